//! `/v1/why` and `/v1/lookups`: what every layer holds at a path, which one shows, and what hides the rest.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ovl_core::report::WhyBody;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Shared, edit::PathText, run};
use crate::{
    json::Json,
    problem::{INVALID_BODY, Problem},
    raw_path::RawPath,
};

/// The most paths of one question.
const MOST: usize = 1000;

/// Paths to tell about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhyQuery {
    /// Up to 1,000 paths; no symbolic link is followed.
    #[schema(value_type = Vec<ovl_core::report::AttrValue>, max_items = 1000)]
    paths: Vec<PathText>,
}

/// What is told about some paths.
#[derive(Serialize, ToSchema)]
pub(crate) struct WhyRows {
    /// One a path, in the order of the question; also where nothing shows.
    rows: Vec<WhyBody>,
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

/// Tell why many paths look as they do. This only reads; the paths are in the body since an address has no room for them.
#[utoipa::path(post, path = "/v1/lookups", tag = "layers", request_body = WhyQuery,
    responses((status = 200, description = "What every layer says about each path", body = WhyRows)))]
pub(crate) async fn many(State(state): Shared, Json(asked): Json<WhyQuery>) -> Result<Json<WhyRows>, Problem> {
    if asked.paths.len() > MOST {
        return Err(Problem::new(&INVALID_BODY, "one question is about up to 1000 paths"));
    }
    let (overlay, ids) = (state.overlay.clone(), state.merged.ids.clone());
    let look = move |path: PathText| Ok(WhyBody::of(&overlay.why(&path.0)?, &ids));
    let rows = run(move || asked.paths.into_iter().map(look).collect()).await?;
    Ok(Json(WhyRows { rows }))
}
