//! What the server is: version, limits, links, and the pages that explain its errors.

use axum::{
    extract::{Path, State},
    response::{Html, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use crate::{
    json::Json,
    openapi,
    problem::{self, NOT_FOUND, Problem, ProblemBody},
};

/// The server, its limits and where to go on.
#[derive(Serialize, ToSchema)]
pub(crate) struct About {
    /// The version of this API.
    api: &'static str,
    /// The version of the server.
    version: &'static str,
    limits: AboutLimits,
    /// What can be asked of this server beyond reading.
    features: Vec<&'static str>,
    links: Links,
}

/// The limits of this server.
#[derive(Serialize, ToSchema)]
pub(crate) struct AboutLimits {
    /// Bytes of an uploaded body.
    max_body: u64,
    /// Bytes of a JSON body.
    max_json: u64,
    /// Lines of one page of a listing.
    max_page: usize,
    /// Ranges of one request.
    max_ranges: usize,
    /// Bytes of a name.
    max_name: usize,
    /// Bytes of a path.
    max_path: usize,
}

/// Addresses to go on from.
#[derive(Serialize, ToSchema)]
pub(crate) struct Links {
    overlay: &'static str,
    entries: &'static str,
    files: &'static str,
    layers: &'static str,
    changes: &'static str,
    mounts: &'static str,
    events: &'static str,
    openapi: &'static str,
    docs: &'static str,
}

const LINKS: Links = Links {
    overlay: "/v1/overlay",
    entries: "/v1/entries",
    files: "/v1/files",
    layers: "/v1/layers",
    changes: "/v1/changes",
    mounts: "/v1/mounts",
    events: "/v1/events",
    openapi: "/openapi.json",
    docs: "/docs/",
};

/// Tell the version, the limits and where to go on.
#[utoipa::path(get, path = "/v1", tag = "server", responses((status = 200, description = "The server", body = About)))]
pub(crate) async fn api(State(state): Shared) -> Json<About> {
    let limits = AboutLimits {
        max_body: state.settings.max_body,
        max_json: crate::json::MAX as u64,
        max_page: 10_000,
        max_ranges: 16,
        max_name: ovl_core::NAME_MAX,
        max_path: ovl_core::PATH_MAX,
    };
    let features = [("write", state.is_writable()), ("mount", state.mount.is_some())];
    let features = features.into_iter().filter_map(|(feature, is_on)| is_on.then_some(feature)).collect();
    Json(About { api: "v1", version: env!("CARGO_PKG_VERSION"), limits, features, links: LINKS })
}

/// Explain a class of error to a person.
#[utoipa::path(get, path = "/problems/{slug}", tag = "server", security(()),
    params(("slug" = String, Path, description = "The class of error")),
    responses(
        (status = 200, description = "The page", body = str, content_type = "text/html"),
        (status = 404, description = "No such class", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn problem(Path(slug): Path<String>) -> Result<Html<String>, Problem> {
    let class = problem::ALL.iter().find(|class| class.slug == slug);
    let class = class.ok_or_else(|| Problem::new(&NOT_FOUND, "no such class of problem"))?;
    let (title, status, help) = (class.title, class.status, class.help);
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<h1>{title}</h1>\n\
         <p><code>{slug}</code>, HTTP status {status}</p>\n<p>{help}</p>\n"
    )))
}

/// Describe this API in OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "server", responses((status = 200, description = "The description", body = serde_json::Value, content_type = "application/json")))]
pub(crate) async fn openapi() -> Response {
    openapi::v3_1()
}

/// Describe this API in OpenAPI 3.0, for tools that know no newer.
#[utoipa::path(get, path = "/openapi-3.0.json", tag = "server", responses((status = 200, description = "The description", body = serde_json::Value, content_type = "application/json")))]
pub(crate) async fn openapi_3_0() -> Response {
    openapi::v3_0()
}
