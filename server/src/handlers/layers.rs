//! `/v1/overlay` and `/v1/layers`: the stack, and each layer as it is.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Method, StatusCode, header};
use ovl_core::{
    VPath,
    layers::quota::Quota,
    report::{Omission, omission},
    tree::Tree,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    entries::{self, EntriesQuery, EntryOrPage},
    files::{self, GetQuery},
    mounts::MountSummary,
    run,
};
use crate::{
    body::content::Ask,
    conditions::{self, Read},
    json::Json,
    problem::{INVALID_QUERY, NOT_FOUND, Problem},
    query::Query,
    raw_path::RawPath,
    state,
};

/// The whole overlay.
#[derive(Serialize, ToSchema)]
pub(crate) struct OverlayBody {
    /// How many changes were made since the start. Those that the kernel makes through its mount do not count.
    generation: u64,
    /// Whether nothing can be changed.
    read_only: bool,
    /// Its layers, topmost first.
    layers: Vec<LayerBody>,
    policy: PolicyBody,
    /// What the upper holds, where it is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageBody>,
    /// Who has it mounted, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    mount: Option<MountSummary>,
}

/// What the upper holds, and what it may hold; without a limit nothing is counted.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageBody {
    /// Content bytes.
    bytes: u64,
    /// Names, whiteouts aside.
    entries: u64,
    /// The most content bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    /// The most names.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_entries: Option<u64>,
}

impl UsageBody {
    fn of(quota: &Quota) -> ovl_core::Result<Self> {
        let (usage, limit) = (quota.usage()?, quota.limit());
        let known = |limit: u64| Some(limit).filter(|limit| *limit < u64::MAX);
        let (max_bytes, max_entries) = (known(limit.bytes), known(limit.entries));
        Ok(Self { bytes: usage.bytes, entries: usage.entries, max_bytes, max_entries })
    }
}

/// What the overlay chooses where several behaviours are right.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyBody {
    /// Whether directories of lower layers can be moved.
    redirect_dir: bool,
}

/// A layer.
#[derive(Serialize, ToSchema)]
pub(crate) struct LayerBody {
    /// Its name in addresses.
    #[schema(example = "lower-1")]
    id: String,
    /// Its place, 0 on top.
    index: usize,
    /// `upper`, `lower`, or `data` for a lower that gives content alone.
    role: &'static str,
    /// `dir`, `zip` or `mem`.
    kind: &'static str,
    /// What it is called.
    name: String,
    /// Whether it takes no changes.
    read_only: bool,
    /// The form of a directory upper.
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    /// How many entries of an archive are not shown, or not as they stand.
    omitted: usize,
}

/// A layer in full.
#[derive(Serialize, ToSchema)]
pub(crate) struct LayerDetail {
    #[serde(flatten)]
    layer: LayerBody,
    /// What an archive holds that is not shown, or not as it stands, and why.
    omissions: Vec<Omission>,
    /// BLAKE3 of everything in it, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    blake3: Option<String>,
}

/// What else of a layer is told.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct LayerQuery {
    /// `blake3`: adds the digest of everything in it.
    digest: Option<String>,
}

/// Describe the overlay: its layers, whether it can be changed, and its generation.
#[utoipa::path(get, path = "/v1/overlay", tag = "layers", responses(
    (status = 200, description = "The overlay", body = OverlayBody),
    (status = 304, description = "The client has it"),
))]
pub(crate) async fn overlay(State(state): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let mount = state.mount.as_deref().map(MountSummary::of);
    let is_gone = mount.as_ref().is_some_and(MountSummary::is_gone);
    let opaque = state.generation_tag().map(|tag| if is_gone { tag + state::GONE } else { tag });
    let known = opaque.as_deref().map(|opaque| conditions::read(&headers, opaque)).transpose()?;
    let mut response = match known {
        Some(Read::Unchanged) => StatusCode::NOT_MODIFIED.into_response(),
        _ => Json(described(&state, mount).await?).into_response(),
    };
    response.headers_mut().extend(opaque.map(|opaque| (header::ETAG, conditions::etag(&opaque))));
    Ok(response)
}

async fn described(state: &state::State, mount: Option<MountSummary>) -> Result<OverlayBody, Problem> {
    let usage = match state.quota.clone() {
        Some(quota) => Some(run(move || UsageBody::of(&quota)).await?),
        None => None,
    };
    Ok(OverlayBody {
        generation: state.overlay.generation(),
        read_only: !state.is_writable(),
        layers: bodies(state),
        policy: PolicyBody { redirect_dir: state.overlay.redirects() },
        usage,
        mount,
    })
}

/// List the layers, topmost first.
#[utoipa::path(get, path = "/v1/layers", tag = "layers", responses((status = 200, description = "The layers", body = Vec<LayerBody>)))]
pub(crate) async fn list(State(state): Shared) -> Json<Vec<LayerBody>> {
    Json(bodies(&state))
}

fn bodies(state: &state::State) -> Vec<LayerBody> {
    (0..state.layers.len()).map(|index| body(state, index)).collect()
}

fn body(state: &state::State, index: usize) -> LayerBody {
    let (single, caps) = (&state.layers[index], state.overlay.layers()[index].caps());
    LayerBody {
        id: single.id.clone(),
        index,
        role: match (single.upper, caps.data_only) {
            (true, _) => "upper",
            (_, true) => "data",
            _ => "lower",
        },
        kind: caps.kind,
        name: caps.name.clone(),
        read_only: !single.upper,
        form: single.form.clone(),
        omitted: caps.omitted.len(),
    }
}

/// Describe a layer, and what of an archive is left out.
#[utoipa::path(get, path = "/v1/layers/{id}", tag = "layers",
    params(("id" = String, Path, description = "The layer"), LayerQuery),
    responses(
        (status = 200, description = "The layer", body = LayerDetail),
    ))]
pub(crate) async fn get(
    State(state): Shared,
    Path(id): Path<String>,
    Query(query): Query<LayerQuery>,
) -> Result<Json<LayerDetail>, Problem> {
    let index = find(&state, &id)?;
    let blake3 = match query.digest.as_deref() {
        None => None,
        Some("blake3") => {
            let overlay = state.overlay.clone();
            let digest = run(move || overlay.digest(Tree::Layer(index), &VPath::root()));
            Some(digest.await?.to_string())
        }
        Some(_) => return Err(Problem::new(&INVALID_QUERY, "the only digest is blake3")),
    };
    let omissions = state.overlay.layers()[index].caps().omitted.iter().map(omission).collect();
    Ok(Json(LayerDetail { layer: body(&state, index), omissions, blake3 }))
}

fn find(state: &Arc<state::State>, id: &str) -> Result<usize, Problem> {
    let found = state.layers.iter().position(|single| single.id == id);
    found.ok_or_else(|| Problem::new(&NOT_FOUND, "no such layer; GET /v1/layers lists them"))
}

/// Read a file as one layer holds it.
#[utoipa::path(get, path = "/v1/layers/{id}/files/{path}", tag = "layers",
    params(("id" = String, Path, description = "The layer"), ("path" = String, Path, description = "The path; '/' may be escaped"), GetQuery),
    responses(
        (status = 200, description = "The content", content_type = "application/octet-stream", body = Vec<u8>),
    ))]
pub(crate) async fn file(
    State(state): Shared,
    id: LayerId,
    raw: RawPath,
    Query(query): Query<GetQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = &state.layers[find(&state, &id.0)?].view;
    let ask = Ask { method: &method, headers: &headers, download: query.download };
    files::read(&view.tree, &raw, &ask).await
}

/// Describe an entry as one layer holds it, or list a directory of one layer; `include=whiteouts` shows those.
#[utoipa::path(get, path = "/v1/layers/{id}/entries/{path}", tag = "layers",
    params(("id" = String, Path, description = "The layer"), ("path" = String, Path, description = "The path; '/' may be escaped"), EntriesQuery),
    responses(
        (status = 200, description = "The entry, or a page of the directory", content((EntryOrPage = "application/json"), (String = "application/x-ndjson"))),
    ))]
pub(crate) async fn entry(
    State(state): Shared,
    id: LayerId,
    raw: RawPath,
    Query(query): Query<EntriesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = &state.layers[find(&state, &id.0)?].view;
    entries::read(view, Tree::Layer(0), state.overlay.generation(), raw, query, &headers).await
}

/// The name of a layer in an address.
pub(crate) struct LayerId(String);

impl<S: Sync> axum::extract::FromRequestParts<S> for LayerId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Problem> {
        let id = parts.uri.path().split('/').nth(3).unwrap_or_default();
        Ok(Self(id.to_owned()))
    }
}
