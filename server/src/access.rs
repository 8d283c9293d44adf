//! The access log: one line a request, and the id that joins it to the answer and to the logs of a proxy.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use axum::{extract::Request, response::Response};
use http::{HeaderName, HeaderValue, Method};

const ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client.
const ID_MAX: usize = 128;

/// Gives requests their ids.
#[derive(Debug)]
pub(crate) struct Access {
    next: AtomicU64,
}

/// What the log says about a request; the query may hold nothing secret, but names are long enough.
pub(crate) struct Logged {
    id: HeaderValue,
    method: Method,
    path: String,
    begun: Instant,
}

impl Access {
    /// Returns a log whose ids count up from `nonce`.
    pub(crate) fn new(nonce: u64) -> Self {
        Self { next: AtomicU64::new(nonce) }
    }

    /// Begins the line of a request, or returns `None` when nobody reads it.
    pub(crate) fn begin(&self, request: &Request) -> Option<Logged> {
        if !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return None;
        }
        let path = ovl_core::printable(request.uri().path().as_bytes()).into_owned();
        Some(Logged { id: self.id(request), method: request.method().clone(), path, begun: Instant::now() })
    }

    /// Returns the id that a proxy gave to the request, or a new one.
    fn id(&self, request: &Request) -> HeaderValue {
        let is_fine = |id: &&HeaderValue| id.len() <= ID_MAX && id.as_bytes().iter().all(u8::is_ascii_graphic);
        let given = request.headers().get(ID).filter(|id| !id.is_empty()).filter(is_fine);
        given.cloned().unwrap_or_else(|| {
            let number = self.next.fetch_add(1, Relaxed);
            HeaderValue::from_str(&format!("{number:x}")).expect("made of digits")
        })
    }
}

impl Logged {
    /// Writes the line, and the id into the answer.
    pub(crate) fn end(self, response: &mut Response) {
        let (id, micros) = (self.id.to_str().unwrap_or_default(), self.begun.elapsed().as_micros());
        let (method, path, status) = (self.method, self.path, response.status().as_u16());
        tracing::info!(target: "access", %method, path, status, micros, id);
        response.headers_mut().insert(ID, self.id);
    }
}
