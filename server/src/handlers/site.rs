//! `/`: the playground and live console, as `cargo xtask web` has built it into this program.

use axum::{
    extract::Path,
    response::{Html, IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use rust_embed::{Embed, EmbeddedFile};

use crate::{
    body::coding,
    problem::{NOT_FOUND, Problem},
};

/// The built files, each also compressed (`NAME.br`). The folder is empty where nobody has built them.
#[derive(Embed)]
#[folder = "site"]
#[exclude = ".*"]
struct Site;

/// Nothing of another host, and no script but the site's own files and its WebAssembly. `blob:` is the page's own memory.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' blob:; \
     font-src 'self'; connect-src 'self' blob:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
/// No page that it opens can reach back into it.
const ALONE: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
/// Files under `/assets` have a hash of their content in their names.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

const UNBUILT: &str = include_str!("unbuilt.html");

/// The addresses of the site outside `/assets`.
pub(crate) const NAMES: [&str; 3] = ["/", "/favicon.svg", "/sw.js"];

/// Answers with the page, or with a page that says how to build it.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    let mut response = send("index.html", &headers).unwrap_or_else(|| Html(UNBUILT).into_response());
    let own = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, ASK_AGAIN), ALONE];
    response.headers_mut().extend(own);
    response
}

/// Answers with one of the files beside the page.
pub(crate) async fn beside(uri: Uri, headers: HeaderMap) -> Result<Response, Problem> {
    sent(uri.path().trim_start_matches('/'), &headers, ASK_AGAIN)
}

/// Answers with a file that never changes.
pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    sent(&format!("assets/{name}"), &headers, FOR_EVER)
}

fn sent(name: &str, headers: &HeaderMap, kept: HeaderValue) -> Result<Response, Problem> {
    let mut response = send(name, headers).ok_or_else(|| Problem::new(&NOT_FOUND, "the page has no such file"))?;
    // A Worker has the policy of the file that it starts from.
    response.headers_mut().extend([(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, kept)]);
    Ok(response)
}

/// Returns a file, compressed for those who take it.
fn send(name: &str, headers: &HeaderMap) -> Option<Response> {
    let whole = Site::get(name)?;
    let small = Site::get(&format!("{name}.br"));
    let tag = tag(&whole);
    let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
    let head = [(header::CONTENT_TYPE, HeaderValue::from_static(media(name))), vary];
    let mut response = match small.filter(|_| coding::accepted(headers, "br")) {
        Some(small) => {
            let coding = (header::CONTENT_ENCODING, HeaderValue::from_static("br"));
            (head, [coding, (header::ETAG, quoted(&format!("{tag}-br")))], small.data).into_response()
        }
        None => (head, [(header::ETAG, quoted(&tag))], whole.data).into_response(),
    };
    if let Some(asked) = headers.get(header::IF_NONE_MATCH)
        && response.headers().get(header::ETAG) == Some(asked)
    {
        *response.status_mut() = http::StatusCode::NOT_MODIFIED;
        *response.body_mut() = axum::body::Body::empty();
    }
    Some(response)
}

fn tag(file: &EmbeddedFile) -> String {
    file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn quoted(tag: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{tag}\"")).expect("hexadecimal digits")
}

fn media(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}
