//! Problems: every error that leaves the server, as `application/problem+json` (RFC 9457).

mod classes;

pub use classes::*;

use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ovl_core::{Error, ErrorKind, printable};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A failure on its way to the client.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    class: &'static Class,
    headers: HeaderMap,
    body: ProblemBody,
}

/// An error as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// The address of a page that explains this class of error.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not-found")]
    kind: String,
    /// The summary of the class.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// The path that it concerns, with a leading slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
    /// The layer that it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    /// The name of the system's error number that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<&'static str>,
    /// The ETag of what stands there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_etag: Option<String>,
    /// The operation of a batch that failed, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    op_index: Option<usize>,
}

impl Problem {
    /// Returns a problem of a class with a sentence about this occurrence.
    #[cold]
    pub fn new(class: &'static Class, detail: impl Into<String>) -> Self {
        let body = ProblemBody {
            kind: format!("/problems/{}", class.slug),
            title: class.title,
            status: class.status,
            detail: detail.into(),
            path: None,
            path_b64: None,
            layer: None,
            errno: None,
            current_etag: None,
            op_index: None,
        };
        let mut headers = HeaderMap::new();
        if class == &UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ovl\""));
        }
        Self(Box::new(Inner { class, headers, body }))
    }

    /// Names the path by its bytes, without a leading slash.
    pub fn at(mut self, path: &[u8]) -> Self {
        let body = &mut self.0.body;
        body.path = Some(format!("/{}", String::from_utf8_lossy(path)));
        body.path_b64 = std::str::from_utf8(path).is_err().then(|| BASE64_STANDARD.encode(path));
        self
    }

    /// Names the path unless one is named already.
    pub fn or_at(self, path: &[u8]) -> Self {
        if self.0.body.path.is_some() { self } else { self.at(path) }
    }

    /// Tells the ETag of what stands there now.
    pub fn current(mut self, etag: Option<String>) -> Self {
        self.0.body.current_etag = etag;
        self
    }

    /// Adds a header to the answer.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Returns the class.
    pub fn class(&self) -> &'static Class {
        self.0.class
    }

    /// Returns what happened, as one sentence.
    pub fn detail(&self) -> &str {
        &self.0.body.detail
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (class, errno) = of_kind(error.kind());
        let mut problem = Self::new(class, sentence(&error));
        if let Some(path) = error.path() {
            problem = problem.at(path);
        }
        problem.0.body.layer = error.layer().map(|layer| printable(layer.as_bytes()).into_owned());
        problem.0.body.errno = errno;
        if class.status >= 500 && error.kind() != ErrorKind::NoSpace {
            tracing::error!("{error}");
        }
        problem
    }
}

/// Says what failed; a cause from the system stays in the log, as it may name the host's files (trust T32).
fn sentence(error: &Error) -> String {
    let place = error.path().map(|path| format!(" /{}", printable(path))).unwrap_or_default();
    let reason = error.kind().reason();
    match error.cause().filter(|_| error.kind() != ErrorKind::Io) {
        Some(cause) => format!("{}{place}: {reason} ({})", error.op(), printable(cause.as_bytes())),
        None => format!("{}{place}: {reason}", error.op()),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { class, headers, body } = *self.0;
        let status = StatusCode::from_u16(class.status).expect("every class has a valid status");
        let bytes = serde_json::to_vec(&body).expect("a problem holds nothing but texts and numbers");
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], bytes).into_response();
        response.headers_mut().extend(headers);
        response
    }
}
