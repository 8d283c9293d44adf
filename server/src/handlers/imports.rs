//! `/v1/imports`: an archive brought into the tree; an exported upper becomes the upper that it was.

use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use ovl_core::{
    Error, ErrorKind, VPath,
    import::{OnConflict, Options, import},
    report::ImportBody,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, change, run};
use crate::{
    body::upload,
    json::Json,
    problem::{INVALID_QUERY, Problem, UNSUPPORTED_ENTRY, UNSUPPORTED_MEDIA},
    query::{self, Query},
    state,
};

/// Where an archive goes.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// `upper`, the only one so far.
    into: Option<String>,
    /// The directory that takes what is in it; made when it is missing.
    path: Option<String>,
    /// What becomes of an entry whose place is taken: `error` (by default; then nothing is changed), `replace` or `keep`.
    on_conflict: Option<String>,
}

/// Import a zip or a tar, told apart by content. An exported upper brings its deletions and renames along.
#[utoipa::path(post, path = "/v1/imports", tag = "changes",
    params(ImportQuery, ("If-Match" = Option<String>, Header, description = "The generation onto which to import")),
    request_body(description = "The archive", content_type = "application/octet-stream", content = Vec<u8>),
    responses(
        (status = 201, description = "It was imported", body = ImportBody),
    ))]
pub(crate) async fn post(
    State(state): Shared,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (into, options) = query.read()?;
    let ctx = change::whole(&state, &headers, false)?;
    let received = upload::receive(&state, &ctx, &headers, body).await?;
    let imported = run(move || {
        let source = received.content(&state.overlay, &ctx)?;
        Ok(import(&state.overlay, &ctx, source, &into, &options).map_err(|error| refused(&state, error)))
    });
    let imported = imported.await??;
    Ok((StatusCode::CREATED, Json(ImportBody::of(&imported))).into_response())
}

/// Blames the archive, not the server, for what cannot be read.
fn refused(state: &state::State, error: Error) -> Problem {
    let class = match error.kind() {
        ErrorKind::Unsupported => &UNSUPPORTED_MEDIA,
        ErrorKind::Corrupt => &UNSUPPORTED_ENTRY,
        _ => return change::of_whole(state, error),
    };
    let why = error.cause().unwrap_or_else(|| error.kind().reason().to_owned());
    Problem::new(class, ovl_core::printable(why.as_bytes()))
}

impl ImportQuery {
    fn read(&self) -> Result<(VPath, Options), Problem> {
        let bad = |detail: &str| Problem::new(&INVALID_QUERY, detail);
        if self.into.as_deref().is_some_and(|into| into != "upper") {
            return Err(bad("into is upper"));
        }
        let on_conflict = match self.on_conflict.as_deref() {
            None | Some("error") => OnConflict::Error,
            Some("replace") => OnConflict::Replace,
            Some("keep") => OnConflict::Keep,
            Some(_) => return Err(bad("on_conflict is error, replace or keep")),
        };
        let into = query::path(self.path.as_deref())?;
        Ok((into, Options { on_conflict, ..Options::default() }))
    }
}
