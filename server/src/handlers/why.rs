//! `/v1/why`: what every layer holds at a path, which one shows, and what hides the rest.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ovl_core::overlay::{Fate, Reason, Verdict, Why};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Shared, run};
use crate::{
    entry::{EntryKind, kind_name, readable, readable_path},
    json::Json,
    problem::Problem,
    raw_path::RawPath,
};

/// The look-up of a path, layer by layer.
#[derive(Serialize, ToSchema)]
pub(crate) struct WhyBody {
    /// The path; no symbolic link is followed.
    pub(crate) path: String,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    /// The layer that shows; missing when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<String>,
    /// Content bytes in layers below that do not show.
    hidden_bytes: u64,
    /// What each layer says, topmost first.
    pub(crate) layers: Vec<VerdictBody>,
}

/// What one layer says.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerdictBody {
    /// The layer.
    pub(crate) layer: String,
    /// What it holds there; missing for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EntryKind>)]
    pub(crate) found: Option<&'static str>,
    /// Content bytes of a file there.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// `absent`, `shows`, `merges`, `gives_content`, `hides` or `hidden`.
    pub(crate) fate: &'static str,
    /// The layer that hides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hidden_by: Option<String>,
    /// Where what hides it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hidden_at: Option<String>,
    /// What hides it: `whiteout`, `opaque` or `covered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
    /// Whether a directory there hides everything below.
    pub(crate) opaque: bool,
    /// Where the layers below are asked instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redirect: Option<String>,
}

/// Tell why a path looks as it does: the same answer comes with 404 when nothing shows.
#[utoipa::path(get, path = "/v1/why/{path}", tag = "layers",
    params(("path" = String, Path, description = "The path; '/' may be escaped")),
    responses(
        (status = 200, description = "What shows, and what every layer says", body = WhyBody),
        (status = 404, description = "Nothing shows; what every layer says", body = WhyBody),
    ))]
pub(crate) async fn get(State(state): Shared, raw: RawPath) -> Result<Response, Problem> {
    let (overlay, ids) = (state.overlay.clone(), state.merged.ids.clone());
    let why = run(move || overlay.why(&raw.path)).await?;
    let status = if why.shown.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, Json(WhyBody::of(&why, &ids))).into_response())
}

impl WhyBody {
    pub(crate) fn of(why: &Why, ids: &[String]) -> Self {
        let (path, path_b64) = readable_path(&why.path);
        let hidden = why.layers.iter().filter(|verdict| matches!(verdict.fate, Fate::Hidden { .. }));
        Self {
            path,
            path_b64,
            shown: why.shown.map(|layer| ids[layer].clone()),
            hidden_bytes: hidden.filter_map(|verdict| verdict.size).sum(),
            layers: why.layers.iter().map(|verdict| VerdictBody::of(verdict, ids)).collect(),
        }
    }
}

impl VerdictBody {
    fn of(verdict: &Verdict, ids: &[String]) -> Self {
        let hidden = match &verdict.fate {
            Fate::Hidden { by, at, reason } => Some((ids[*by].clone(), readable_path(at).0, word(*reason))),
            _ => None,
        };
        let (hidden_by, hidden_at, reason) = match hidden {
            Some((by, at, reason)) => (Some(by), Some(at), Some(reason)),
            None => (None, None, None),
        };
        Self {
            layer: ids[verdict.layer].clone(),
            found: verdict.found.map(kind_name),
            size: verdict.size,
            fate: match verdict.fate {
                Fate::Absent => "absent",
                Fate::Shows => "shows",
                Fate::Merges => "merges",
                Fate::GivesContent => "gives_content",
                Fate::Hides => "hides",
                Fate::Hidden { .. } => "hidden",
            },
            hidden_by,
            hidden_at,
            reason,
            opaque: verdict.opaque,
            redirect: verdict.redirect.as_ref().map(|redirect| readable(redirect).0),
        }
    }
}

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Whiteout => "whiteout",
        Reason::Opaque => "opaque",
        Reason::Covered => "covered",
    }
}
