//! The table of routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    routing::{MethodRouter, get, post},
};
use http::Uri;

#[cfg(feature = "docs")]
use crate::handlers::docs;
use crate::{
    compress,
    handlers::{about, changes, edit, entries, events, export, files, health, imports, layers, mounts, site, why},
    problem::{METHOD_NOT_ALLOWED, NOT_FOUND, Problem},
    state::State,
};

type Routes = Router<Arc<State>>;

/// Returns the router of the whole server; the guard stands before it.
pub(crate) fn build(state: Arc<State>) -> Router {
    let routes = compress::layer(described()).merge(content());
    #[cfg(feature = "docs")]
    let routes = routes.route("/docs", get(docs::root)).merge(at("/docs", get(docs::page)));
    routes.fallback(no_route).method_not_allowed_fallback(no_method).with_state(state)
}

/// What is told in JSON.
fn described() -> Routes {
    let entries = get(entries::get).put(edit::put).patch(edit::patch).delete(edit::delete);
    Router::new()
        .route("/v1", get(about::api))
        .route("/v1/overlay", get(layers::overlay))
        .merge(tree("/v1/entries", entries))
        .route("/v1/moves", post(edit::moves))
        .route("/v1/copies", post(edit::copies))
        .merge(tree("/v1/why", get(why::get)))
        .route("/v1/lookups", post(why::many))
        .route("/v1/layers", get(layers::list))
        .route("/v1/layers/{id}", get(layers::get))
        .merge(tree("/v1/layers/{id}/entries", get(layers::entry)))
        .route("/v1/changes", get(changes::list).delete(changes::discard_all))
        .merge(at("/v1/changes", get(changes::get).delete(changes::discard)))
        .route("/v1/mounts", get(mounts::list))
        .route("/v1/graphdriver", get(mounts::graphdriver))
        .route("/openapi.json", get(about::openapi))
        .route("/openapi-3.0.json", get(about::openapi_3_0))
}

/// What is sent as it is.
fn content() -> Routes {
    let files = get(files::get).put(files::put).patch(files::patch).delete(files::delete);
    Router::new()
        .merge(tree("/v1/files", files))
        .merge(tree("/v1/layers/{id}/files", get(layers::file)))
        .route("/v1/export", get(export::get))
        .route("/v1/imports", post(imports::post))
        .route("/v1/events", get(events::get))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/problems/{slug}", get(about::problem))
        .merge(page())
}

/// The page and what it needs.
fn page() -> Routes {
    let [page, icon, offline] = site::NAMES;
    Router::new()
        .route(page, get(site::page))
        .route(icon, get(site::beside))
        .route(offline, get(site::beside))
        .route("/assets/{name}", get(site::asset))
}

/// Routes all paths under a resource, the root included.
fn tree(resource: &str, methods: MethodRouter<Arc<State>>) -> Routes {
    Router::new().route(resource, methods.clone()).merge(at(resource, methods))
}

/// Routes all paths under a resource; a wildcard alone does not match the empty one.
fn at(resource: &str, methods: MethodRouter<Arc<State>>) -> Routes {
    Router::new().route(&format!("{resource}/"), methods.clone()).route(&format!("{resource}/{{*path}}"), methods)
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
