//! What every change shares: who makes it and when, and what is told about it.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ovl_core::{
    Error, ErrorKind, VPath,
    overlay::{Ctx, Done, Follow, When},
};

use super::{mounts, run};
use crate::{conditions, problem::Problem, raw_path, state::State, time};

const COPIED_UP: HeaderName = HeaderName::from_static("ovl-copied-up");
const GENERATION: HeaderName = HeaderName::from_static("ovl-generation");
/// What clients create is writable for its owner alone.
const UMASK: u32 = 0o022;

/// Returns who changes something, now, on the condition of the request.
///
/// # Errors
/// 403 without an upper, 409 while the kernel has it mounted, and what [`conditions::write`] refuses.
pub(crate) fn ctx(state: &State, headers: &HeaderMap) -> Result<Ctx, Problem> {
    let when = conditions::write(headers, state.settings.require_preconditions)?;
    who(state, when)
}

fn who(state: &State, when: When) -> Result<Ctx, Problem> {
    if let Some(owner) = state.owner() {
        return Err(mounts::refusal(owner));
    }
    if !state.overlay.has_upper() {
        return Err(Error::new(ErrorKind::NoUpper, "change").into());
    }
    Ok(Ctx { uid: state.settings.uid, gid: state.settings.gid, umask: UMASK, now: time::now(), when, faithful: false })
}

/// Returns who changes the whole overlay, now, on the condition of the request: `If-Match` names its generation, as
/// `/v1/overlay` and `/v1/changes` tell it. What cannot hold any more is refused at once.
///
/// # Errors
/// 403 without an upper, 409 while the kernel has it mounted, 428 without a condition where one is `required`, 412 for another generation.
pub(crate) fn whole(state: &State, headers: &HeaderMap, required: bool) -> Result<Ctx, Problem> {
    let required = required || state.settings.require_preconditions;
    let when = conditions::whole(headers, required, |tag| state.read_generation_tag(tag))?;
    let now = state.overlay.generation();
    if matches!(&when, When::Generation(wanted) if !wanted.contains(&now)) {
        let stale = Error::new(ErrorKind::Precondition, "change").because("the overlay has changed");
        return Err(of_whole(state, stale));
    }
    who(state, when)
}

/// Translates the failure of a change of the whole overlay; a condition that does not hold comes with the overlay's ETag.
pub(crate) fn of_whole(state: &State, error: Error) -> Problem {
    let failed = error.kind() == ErrorKind::Precondition;
    Problem::from(error).current(state.generation_tag().filter(|_| failed).map(|tag| format!("\"{tag}\"")))
}

/// Makes a change on a blocking thread and counts what it copied up.
///
/// # Errors
/// What the change answers; a condition that does not hold comes with the ETag of what stands at `path`.
pub(crate) async fn make<F>(state: &Arc<State>, path: &VPath, follow: Follow, change: F) -> Result<Done, Problem>
where
    F: FnOnce(&State) -> ovl_core::Result<Done> + Send + 'static,
{
    let (shared, path) = (state.clone(), path.clone());
    let outcome = run(move || Ok(change(&shared).map_err(|error| explain(&shared, &path, follow, error)))).await?;
    let done = outcome?;
    state.counters.copied_up(done.copied_up);
    Ok(done)
}

fn explain(state: &State, path: &VPath, follow: Follow, error: Error) -> Problem {
    let failed = error.kind() == ErrorKind::Precondition;
    let current = state.overlay.entry(path, follow).ok().filter(|_| failed);
    Problem::from(error).current(current.map(|info| format!("\"{}\"", info.tag)))
}

/// Returns 201 with its place for what is new, 204 for what was there.
pub(crate) fn answer(done: &Done, resource: &str, path: &VPath) -> Response {
    let mut response = Response::default();
    *response.status_mut() = if done.created { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
    let headers = response.headers_mut();
    if done.created {
        headers.insert(header::LOCATION, location(resource, path));
    }
    report(headers, done);
    response
}

/// Returns the address of a path under a resource.
pub(crate) fn location(resource: &str, path: &VPath) -> HeaderValue {
    let address = format!("{resource}/{}", raw_path::escape(path.as_bytes()));
    HeaderValue::try_from(address).expect("an escaped path is plain ASCII")
}

/// Adds the headers that tell what a change did.
pub(crate) fn report(headers: &mut HeaderMap, done: &Done) {
    if let Some(info) = &done.info {
        headers.insert(header::ETAG, conditions::etag(&info.tag.to_string()));
    }
    headers.insert(COPIED_UP, done.copied_up.into());
    headers.insert(GENERATION, done.generation.into());
}
