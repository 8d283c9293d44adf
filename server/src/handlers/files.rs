//! `/v1/files`: content.

use axum::{body::Body, extract::State, response::Response};
use http::{HeaderMap, Method, header};
use ovl_core::{
    Overlay, Time,
    overlay::{At, Follow, PutOptions, Removal},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, change};
use crate::{
    body::{
        content::{self, Ask},
        upload::{self, Received},
    },
    problem::{INVALID_BODY, INVALID_QUERY, Problem, RANGE_NOT_SATISFIABLE},
    query::{self, Query},
    raw_path::RawPath,
    time,
};

/// How content is read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GetQuery {
    /// 1: the answer asks to be saved as a file.
    #[serde(default, deserialize_with = "query::switch")]
    #[param(value_type = u8, minimum = 0, maximum = 1)]
    pub(super) download: bool,
}

/// How a file is put.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PutQuery {
    /// Makes the directories above that are missing.
    parents: bool,
    /// Permission bits in octal, such as 0644; a file that is replaced keeps its own by default.
    #[param(example = "0644", pattern = "^[0-7]{1,5}$")]
    mode: Option<String>,
    /// The time of the content (RFC 3339), this moment by default.
    #[param(format = DateTime)]
    mtime: Option<String>,
}

/// Where bytes are written.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PatchQuery {
    /// So many bytes from the start; a gap reads as zeros.
    offset: Option<u64>,
    /// Behind the last byte.
    append: bool,
}

/// Read a file's content.
#[utoipa::path(get, path = "/v1/files/{path}", tag = "files",
    params(("path" = String, Path, description = "The path; '/' may be escaped"), GetQuery),
    responses(
        (status = 200, description = "The content", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 206, description = "The ranges that were asked for", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "The client has it"),
    ))]
pub(crate) async fn get(
    State(state): Shared,
    raw: RawPath,
    Query(query): Query<GetQuery>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let ask = Ask { method: &method, headers: &headers, download: query.download };
    read(&state.overlay, &raw, &ask).await
}

/// Answers with the content at a path of a tree. The look-up is short enough for the runtime's thread.
pub(crate) async fn read(tree: &Overlay, raw: &RawPath, ask: &Ask<'_>) -> Result<Response, Problem> {
    let (info, blob) = tree.open(&raw.path, Follow::Yes)?;
    raw.refuse_slash()?;
    content::answer(&info, blob, ask).await
}

/// Create a file, or replace its content.
#[utoipa::path(put, path = "/v1/files/{path}", tag = "files",
    params(("path" = String, Path, description = "The path; '/' may be escaped"), PutQuery),
    request_body(description = "The content", content_type = "application/octet-stream", content = Vec<u8>),
    responses(
        (status = 201, description = "It was created"),
        (status = 204, description = "It was replaced"),
    ))]
pub(crate) async fn put(
    State(state): Shared,
    raw: RawPath,
    Query(query): Query<PutQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    raw.refuse_slash()?;
    if headers.contains_key(header::CONTENT_RANGE) {
        return Err(Problem::new(&INVALID_BODY, "PUT takes whole files; PATCH writes a part"));
    }
    let options = query.options()?;
    let ctx = change::ctx(&state, &headers)?;
    let received = upload::receive(&state, &ctx, &headers, body).await?;
    let path = raw.path.clone();
    let done = change::make(&state, &raw.path, Follow::Yes, move |state| {
        if query.parents {
            super::make_parents(&state.overlay, &ctx, &path)?;
        }
        let upload = received.staged(&state.overlay, &ctx)?;
        state.overlay.put(&ctx, &path, &upload, &options)
    });
    Ok(change::answer(&done.await?, "/v1/files", &raw.path))
}

impl PutQuery {
    fn options(&self) -> Result<PutOptions, Problem> {
        let bad = |detail| Problem::new(&INVALID_QUERY, detail);
        let mode = self.mode.as_deref().map(octal).transpose().map_err(bad)?;
        let mtime = self.mtime.as_deref().map(instant).transpose().map_err(bad)?;
        Ok(PutOptions { mode, mtime })
    }
}

/// Reads permission bits in octal, at most 7777, or returns what to say.
pub(super) fn octal(text: &str) -> Result<u32, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o7777);
    mode.ok_or("a mode is octal, from 0 to 7777")
}

/// Reads a time, or returns what to say.
pub(super) fn instant(text: &str) -> Result<Time, &'static str> {
    time::parse(text).ok_or("a time looks like 2026-01-31T12:00:00.5Z")
}

/// Write a part of a file: at `Content-Range: bytes A-B/*`, at an offset, or at the end.
#[utoipa::path(patch, path = "/v1/files/{path}", tag = "files",
    params(("path" = String, Path, description = "The path; '/' may be escaped"), PatchQuery),
    request_body(description = "The bytes", content_type = "application/octet-stream", content = Vec<u8>),
    responses(
        (status = 204, description = "They were written"),
    ))]
pub(crate) async fn patch(
    State(state): Shared,
    raw: RawPath,
    Query(query): Query<PatchQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    raw.refuse_slash()?;
    let place = query.place(&headers)?;
    let ctx = change::ctx(&state, &headers)?;
    let received = upload::receive(&state, &ctx, &headers, body).await?;
    let at = place.at(&received)?;
    let path = raw.path.clone();
    let done = change::make(&state, &raw.path, Follow::Yes, move |state| {
        let content = received.content(&state.overlay, &ctx)?;
        state.overlay.write(&ctx, &path, at, &*content)
    });
    Ok(change::answer(&done.await?, "/v1/files", &raw.path))
}

/// Where the client wants its bytes.
enum Place {
    At(At),
    /// From the first to the last byte, both included.
    Range(u64, u64),
}

impl Place {
    fn at(&self, received: &Received) -> Result<At, Problem> {
        match *self {
            Self::At(at) => Ok(at),
            Self::Range(first, last) if last.checked_sub(first) == received.len().checked_sub(1) => {
                Ok(At::Offset(first))
            }
            Self::Range(..) => {
                let detail = format!("the body has {} bytes, Content-Range names another number", received.len());
                Err(Problem::new(&RANGE_NOT_SATISFIABLE, detail))
            }
        }
    }
}

impl PatchQuery {
    fn place(&self, headers: &HeaderMap) -> Result<Place, Problem> {
        let unclear =
            || Problem::new(&INVALID_QUERY, "say where: Content-Range: bytes A-B/*, ?offset=N or ?append=true");
        match (headers.get(header::CONTENT_RANGE), self.offset, self.append) {
            (None, Some(offset), false) => Ok(Place::At(At::Offset(offset))),
            (None, None, true) => Ok(Place::At(At::End)),
            (Some(range), None, false) => range.to_str().ok().and_then(content_range).ok_or_else(unclear),
            _ => Err(unclear()),
        }
    }
}

/// Reads `bytes A-B/*` or `bytes A-B/LENGTH`.
fn content_range(text: &str) -> Option<Place> {
    let (range, _) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(Place::Range(first, last))
}

/// Remove a file, a symbolic link or another entry that is no directory.
#[utoipa::path(delete, path = "/v1/files/{path}", tag = "files",
    params(("path" = String, Path, description = "The path; '/' may be escaped")),
    responses(
        (status = 204, description = "It was removed"),
    ))]
pub(crate) async fn delete(State(state): Shared, raw: RawPath, headers: HeaderMap) -> Result<Response, Problem> {
    raw.refuse_slash()?;
    let ctx = change::ctx(&state, &headers)?;
    let path = raw.path.clone();
    let done =
        change::make(&state, &raw.path, Follow::No, move |state| state.overlay.remove(&ctx, &path, Removal::File));
    Ok(change::answer(&done.await?, "/v1/files", &raw.path))
}
