//! `/v1/entries`, reading: one entry, or the page of a directory.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use ovl_core::{
    Kind,
    report::{EntryBody, View},
    tree::Tree,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, listing, run};
use crate::{
    body::lines,
    conditions::{self, Read},
    json::Json,
    problem::{INVALID_QUERY, NOT_A_DIRECTORY, Problem},
    query::Query,
    raw_path::RawPath,
};

/// What of an entry or a directory is told.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EntriesQuery {
    /// Lists the directory instead of describing it.
    pub(super) list: bool,
    /// Lines of one page.
    #[param(minimum = 1, maximum = 10000)]
    pub(super) limit: Option<usize>,
    /// Where the page before ended: its `next_cursor`.
    pub(super) cursor: Option<String>,
    /// Lists what lies beneath as well, depth first.
    pub(super) recursive: bool,
    /// How many levels down; 1 is the directory alone.
    #[param(minimum = 1)]
    pub(super) depth: Option<usize>,
    /// Lists only what matches: `*.txt` by name, `src/**/*.rs` by path from the directory.
    pub(super) glob: Option<String>,
    /// The fields to tell, separated by commas.
    #[param(example = "name,kind,size")]
    pub(super) fields: Option<String>,
    /// What else to tell, separated by commas: `whiteouts`, `shadowed`, and of one directory `hidden`, the names that an
    /// opaque directory hides.
    pub(super) include: Option<String>,
    /// `blake3`: adds the digest of the content, or of everything in a directory.
    pub(super) digest: Option<String>,
}

/// Describe an entry, or list a directory.
#[utoipa::path(get, path = "/v1/entries/{path}", tag = "entries",
    params(("path" = String, Path, description = "The path; '/' may be escaped"), EntriesQuery),
    responses(
        (status = 200, description = "The entry; with `list`, a page of the directory, or with `Accept: application/x-ndjson` a stream of lines",
            content((EntryOrPage = "application/json"), (String = "application/x-ndjson"))),
        (status = 304, description = "The client has it"),
    ))]
pub(crate) async fn get(
    State(state): Shared,
    raw: RawPath,
    Query(query): Query<EntriesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    read(&state.merged, Tree::Merged, state.overlay.generation(), raw, query, &headers).await
}

/// One of both, as `list` says.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the API; the answers are made apart")]
pub(crate) enum EntryOrPage {
    Page(listing::Page),
    Entry(Box<EntryBody>),
}

/// Answers about a place of a tree.
pub(crate) async fn read(
    view: &View,
    tree: Tree,
    generation: u64,
    raw: RawPath,
    query: EntriesQuery,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if query.list || lines::wanted(headers) {
        return listing::answer(view.clone(), raw.path, query, generation, headers).await;
    }
    query.refuse_listing()?;
    let digest = query.wants_digest()?;
    let (view, fields, wanted) = (view.clone(), query.fields, headers.clone());
    let told = run(move || Ok(describe(&view, tree, &raw, digest, &wanted))).await??;
    let mut response = match (told.body, fields) {
        (None, _) => StatusCode::NOT_MODIFIED.into_response(),
        (Some(body), Some(fields)) => Json(listing::pick(&body, &fields)).into_response(),
        (Some(body), None) => Json(body).into_response(),
    };
    response.headers_mut().insert(header::ETAG, conditions::etag(&told.opaque));
    Ok(response)
}

/// An entry and its validator.
struct Told {
    opaque: String,
    /// `None` when the client has it.
    body: Option<EntryBody>,
}

/// Describes an entry, unless the client knows it as it is; only then the digest is worth its time.
fn describe(view: &View, tree: Tree, raw: &RawPath, digest: bool, headers: &HeaderMap) -> Result<Told, Problem> {
    let (info, mut body) = view.describe(&raw.path)?;
    if raw.dir && info.stat.kind != Kind::Dir {
        return Err(Problem::new(&NOT_A_DIRECTORY, "the path ends in '/'").at(raw.path.as_bytes()));
    }
    let opaque = info.tag.to_string();
    if conditions::read(headers, &opaque)? == Read::Unchanged {
        return Ok(Told { opaque, body: None });
    }
    if digest {
        body.blake3 = Some(view.tree.digest(tree, &raw.path)?.to_string());
    }
    Ok(Told { opaque, body: Some(body) })
}

impl EntriesQuery {
    /// Refuses what only means something for a listing.
    fn refuse_listing(&self) -> Result<(), Problem> {
        let listing = self.limit.is_some() || self.cursor.is_some() || self.recursive || self.depth.is_some();
        if listing || self.glob.is_some() || self.include.is_some() {
            let detail = "limit, cursor, recursive, depth, glob and include go with list=true";
            return Err(Problem::new(&INVALID_QUERY, detail));
        }
        Ok(())
    }

    fn wants_digest(&self) -> Result<bool, Problem> {
        match self.digest.as_deref() {
            None => Ok(false),
            Some("blake3") => Ok(true),
            Some(_) => Err(Problem::new(&INVALID_QUERY, "the only digest is blake3")),
        }
    }
}
