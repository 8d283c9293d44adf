//! Compression of listings and descriptions; file content is never compressed here.

use std::sync::Arc;

use axum::{Router, middleware::map_response, response::Response};
use http::{HeaderValue, header};
use tower_http::compression::{CompressionLayer, CompressionLevel};

use crate::state::State;

/// Compresses the answers of these routes for clients that take it.
pub(crate) fn layer(routes: Router<Arc<State>>) -> Router<Arc<State>> {
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
    routes.layer(compression).layer(map_response(mark))
}

/// Gives a coded answer a tag of its own: a strong tag stands for these very bytes.
async fn mark(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok());
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).and_then(|tag| tag.strip_suffix('"'));
    if let (Some(coding), Some(tag)) = (coding, tag) {
        let marked = HeaderValue::try_from(format!("{tag}-{coding}\"")).expect("a tag and the name of a coding");
        headers.insert(header::ETAG, marked);
    }
    response
}
