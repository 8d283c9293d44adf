//! `/v1/why`: what every layer holds at a path, which one shows, and what hides the rest.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ovl_core::report::WhyBody;

use super::{Shared, run};
use crate::{json::Json, problem::Problem, raw_path::RawPath};

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
