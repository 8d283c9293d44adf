//! `/docs`: the interactive pages of the API, served from this program alone.

use std::sync::{Arc, LazyLock};

use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderValue, header};
use utoipa_swagger_ui::{Config, serve};

use crate::{
    problem::{INTERNAL, NOT_FOUND, Problem},
    raw_path::RawPath,
};

/// The pages load nothing from elsewhere; the library styles its elements inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// Sends to the address under which the pages find each other.
pub(crate) async fn root() -> Redirect {
    Redirect::permanent("/docs/")
}

/// Answers with a page or what it needs.
pub(crate) async fn page(raw: RawPath) -> Result<Response, Problem> {
    let name = String::from_utf8_lossy(raw.path.as_bytes()).into_owned();
    let file = serve(&name, CONFIG.clone()).map_err(|error| Problem::new(&INTERNAL, error.to_string()))?;
    let file = file.ok_or_else(|| Problem::new(&NOT_FOUND, "no such page"))?;
    let mut response = ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}
