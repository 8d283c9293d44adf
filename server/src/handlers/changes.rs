//! `/v1/changes`: the upper against the lowers.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use ovl_core::{
    VPath,
    overlay::{Done, Follow},
    report::{ChangeBody, ChangesPage, read_cursor},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, change, run};
use crate::{
    body::lines,
    conditions,
    json::Json,
    problem::{INVALID_QUERY, NOT_FOUND, Problem, ProblemBody},
    query::{self, Query},
    raw_path::RawPath,
};

const LIMIT: usize = 1000;
const LIMIT_MAX: usize = 10_000;
const GENERATION: HeaderName = HeaderName::from_static("ovl-generation");

/// Which changes are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// Only what lies beneath this directory.
    path: Option<String>,
    /// Changes of one page.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
    /// Where the page before ended: its `next_cursor`.
    cursor: Option<String>,
}

/// List what the upper changes. The ETag is the overlay's generation; there is none while the kernel has the upper mounted.
#[utoipa::path(get, path = "/v1/changes", tag = "changes", params(ChangesQuery),
    responses(
        (status = 200, description = "A page of changes, or with `Accept: application/x-ndjson` a stream of lines",
            content((ChangesPage = "application/json"), (String = "application/x-ndjson"))),
    ))]
pub(crate) async fn list(
    State(state): Shared,
    Query(query): Query<ChangesQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (generation, tag) = (state.overlay.generation(), state.generation_tag());
    let (beneath, after, limit) = query.read()?;
    let overlay = state.overlay.clone();
    let changes = run(move || overlay.changes(&beneath, after.as_ref())).await?;
    let mut response = if lines::wanted(&headers) {
        lines::answer(changes.map(|change| change.map(|change| ChangeBody::of(&change))), generation)
    } else {
        Json(run(move || ChangesPage::take(changes, limit)).await?).into_response()
    };
    response.headers_mut().extend(tag.map(|tag| (header::ETAG, conditions::etag(&tag))));
    response.headers_mut().insert(GENERATION, generation.into());
    Ok(response)
}

impl ChangesQuery {
    /// Returns beneath what, after what and how many.
    fn read(&self) -> Result<(VPath, Option<VPath>, usize), Problem> {
        let bad = |detail: &str| Problem::new(&INVALID_QUERY, detail);
        let beneath = query::path(self.path.as_deref())?;
        let limit = self.limit.unwrap_or(LIMIT);
        if limit == 0 || limit > LIMIT_MAX {
            return Err(bad("limit is from 1 to 10000"));
        }
        let after = self.cursor.as_deref().map(|cursor| read_cursor(cursor).ok_or_else(|| bad("no such cursor")));
        Ok((beneath, after.transpose()?, limit))
    }
}

/// Describe the change of one path.
#[utoipa::path(get, path = "/v1/changes/{path}", tag = "changes",
    params(("path" = String, Path, description = "The path; '/' may be escaped")),
    responses(
        (status = 200, description = "The change", body = ChangeBody),
        (status = 404, description = "The upper leaves it as it is below", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn get(State(state): Shared, raw: RawPath) -> Result<Json<ChangeBody>, Problem> {
    let (overlay, path) = (state.overlay.clone(), raw.path.clone());
    let change = run(move || overlay.change_at(&path)).await?;
    let unchanged = || Problem::new(&NOT_FOUND, format!("{} is as it is below", raw.path)).at(raw.path.as_bytes());
    change.map(|change| Json(ChangeBody::of(&change))).ok_or_else(unchanged)
}

/// Discard the change of one path, with everything beneath it: the layers below show again.
#[utoipa::path(delete, path = "/v1/changes/{path}", tag = "changes",
    params(("path" = String, Path, description = "The path; '/' may be escaped")),
    responses(
        (status = 204, description = "It was discarded"),
    ))]
pub(crate) async fn discard(State(state): Shared, raw: RawPath, headers: HeaderMap) -> Result<Response, Problem> {
    if raw.path.is_root() {
        return discard_all(State(state), headers).await;
    }
    let ctx = change::ctx(&state, &headers)?;
    let path = raw.path.clone();
    let done = change::make(&state, &raw.path, Follow::No, move |state| state.overlay.discard(&ctx, &path)).await?;
    Ok(gone(&done))
}

/// Discard every change. `If-Match` must name the ETag of `/v1/changes` or `/v1/overlay`.
#[utoipa::path(delete, path = "/v1/changes", tag = "changes",
    params(("If-Match" = String, Header, description = "The generation that is to go")),
    responses(
        (status = 204, description = "They were discarded"),
    ))]
pub(crate) async fn discard_all(State(state): Shared, headers: HeaderMap) -> Result<Response, Problem> {
    let ctx = change::whole(&state, &headers, true)?;
    let shared = state.clone();
    let done = run(move || Ok(shared.overlay.discard_all(&ctx))).await?;
    let done = done.map_err(|error| change::of_whole(&state, error))?;
    Ok(gone(&done))
}

fn gone(done: &Done) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(GENERATION, done.generation.into());
    response
}
