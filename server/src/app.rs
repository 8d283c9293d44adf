//! One request from its head to its answer: guard, router, panics, and what every answer carries.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tower_service::Service;

use crate::{
    access::Access,
    cors,
    guard::Guard,
    problem::{INTERNAL, Problem},
    router,
    state::State,
    time,
};

const NOSNIFF: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
const SAME_ORIGIN: (HeaderName, HeaderValue) =
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));

/// Everything that answers requests.
pub struct App {
    guard: Guard,
    router: Router,
    state: Arc<State>,
    access: Access,
}

impl App {
    /// Returns what serves `state` to those whom `guard` admits.
    pub fn new(guard: Guard, state: Arc<State>) -> Arc<Self> {
        let access = Access::new(time::nonce());
        Arc::new(Self { guard, router: router::build(state.clone()), state, access })
    }

    /// Answers a request. Every route stands behind the guard; a panic costs this request alone (trust T32).
    pub async fn answer(&self, request: Request) -> Response {
        let log = self.access.begin(&request);
        self.state.counters.begin();
        let origin = request.headers().get(header::ORIGIN).filter(|origin| self.guard.names(Some(origin))).cloned();
        let mut response = self.admitted(request, origin.is_some()).await;
        self.state.counters.end(response.status());
        finish(&mut response, origin);
        if let Some(log) = log {
            log.end(&mut response);
        }
        response
    }

    /// Ends the answers that would go on for ever.
    pub(crate) fn stop(&self) {
        self.state.events.close();
    }

    async fn admitted(&self, request: Request, named: bool) -> Response {
        if named && cors::is_preflight(&request) {
            return cors::preflight(&request);
        }
        if let Err(problem) = self.guard.admit(&request) {
            return problem.into_response();
        }
        if request.method() == Method::OPTIONS {
            return self.options(request).await;
        }
        self.routed(request).await
    }

    async fn routed(&self, request: Request) -> Response {
        let mut answer = pin!(self.router.clone().call(request));
        let polled = std::future::poll_fn(|cx| {
            // The future is dropped after a panic and shares nothing that a panic leaves half-changed.
            match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(Ok(response))) => Poll::Ready(Some(response)),
                Err(_) => Poll::Ready(None),
            }
        });
        match polled.await {
            Some(response) => response,
            None => {
                self.state.counters.panicked();
                Problem::new(&INTERNAL, "the server made a mistake with this request").into_response()
            }
        }
    }

    /// Lists what an address takes: the router's own refusal of OPTIONS knows.
    async fn options(&self, request: Request) -> Response {
        if request.uri().path() == "*" {
            return StatusCode::NO_CONTENT.into_response();
        }
        let patch = router::accept_patch(request.uri().path());
        let refusal = self.routed(request).await;
        let Some(allow) = refusal.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok()) else {
            return refusal;
        };
        let allow = HeaderValue::from_str(&format!("{allow},OPTIONS"));
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, allow.expect("made of method names"));
        if let Some((patch, ranges)) = patch {
            headers.insert(header::HeaderName::from_static("accept-patch"), HeaderValue::from_static(patch));
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static(ranges));
        }
        response
    }
}

/// Adds what every answer carries.
fn finish(response: &mut Response, origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    headers.insert(SAME_ORIGIN.0, SAME_ORIGIN.1);
    if let Some(origin) = origin {
        cors::allow(headers, origin);
    }
}
