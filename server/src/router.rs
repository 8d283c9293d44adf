//! The table of routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    routing::{MethodRouter, get, post},
};
use http::Uri;

use crate::{
    handlers::{about, edit, entries, events, files, health, layers},
    problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem},
    state::State,
};

/// Returns the router of the whole server; the guard stands before it.
pub(crate) fn build(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/v1", get(about::api))
        .route("/v1/files", files())
        .route("/v1/files/", files())
        .route("/v1/files/{*path}", files())
        .route("/v1/entries", entries())
        .route("/v1/entries/", entries())
        .route("/v1/entries/{*path}", entries())
        .route("/v1/moves", post(edit::moves))
        .route("/v1/copies", post(edit::copies))
        .route("/v1/overlay", get(layers::overlay))
        .route("/v1/layers", get(layers::list))
        .route("/v1/layers/{id}", get(layers::get))
        .route("/v1/layers/{id}/files", get(layers::file))
        .route("/v1/layers/{id}/files/", get(layers::file))
        .route("/v1/layers/{id}/files/{*path}", get(layers::file))
        .route("/v1/layers/{id}/entries", get(layers::entry))
        .route("/v1/layers/{id}/entries/", get(layers::entry))
        .route("/v1/layers/{id}/entries/{*path}", get(layers::entry))
        .route("/v1/events", get(events::get))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/problems/{slug}", get(about::problem));
    api.fallback(no_route).method_not_allowed_fallback(no_method).with_state(state)
}

fn files() -> MethodRouter<Arc<State>> {
    get(files::get).put(files::put).patch(files::patch).delete(files::delete)
}

fn entries() -> MethodRouter<Arc<State>> {
    get(entries::get).put(edit::put).patch(edit::patch).delete(edit::delete)
}

/// Returns what PATCH takes at a path, and in which unit ranges are served there.
pub(crate) fn accept_patch(path: &str) -> Option<(&'static str, &'static str)> {
    if path.starts_with("/v1/files") {
        return Some(("application/octet-stream", "bytes"));
    }
    path.starts_with("/v1/entries").then_some(("application/merge-patch+json", "none"))
}

async fn no_route(uri: Uri) -> Problem {
    let detail =
        format!("no such address: {}; GET /v1 lists what there is", ovl_core::printable(uri.path().as_bytes()));
    Problem::new(&NOT_FOUND, detail)
}

async fn no_method(request: Request) -> Problem {
    Problem::new(&METHOD_NOT_ALLOWED, format!("{} is not allowed here", request.method()))
}
