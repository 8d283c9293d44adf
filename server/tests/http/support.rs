//! A server in this process, asked through its router, and what tests need around it.

use std::sync::Arc;

use axum::body::Body;
use clap::Parser;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use ovl_core::overlay::Event;
use ovl_server::{
    app::App,
    cli::{serve::ServeArgs, stack},
    events::Events,
    guard::Guard,
    settings::Settings,
    state::State,
};
use serde_json::Value;

/// The real archive that comes with the project.
pub(crate) const WHEEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/click-8.5.1-py3-none-any.whl");

/// A server without a socket.
pub(crate) struct Site {
    pub(crate) app: Arc<App>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Site {
    /// Opens the stack that the flags name.
    pub(crate) fn open(flags: &[&str]) -> Self {
        Self::guarded(flags, Guard::default(), Settings::default())
    }

    /// A throw-away upper over nothing.
    pub(crate) fn empty() -> Self {
        Self::open(&["--upper", "mem:"])
    }

    pub(crate) fn guarded(flags: &[&str], guard: Guard, settings: Settings) -> Self {
        Self::build(flags, guard, settings, |_| ())
    }

    /// A site whose every change is told to `observe` first, with the lock of all writers held.
    pub(crate) fn observed(flags: &[&str], observe: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self::build(flags, Guard::default(), Settings::default(), observe)
    }

    fn build(
        flags: &[&str],
        guard: Guard,
        settings: Settings,
        observe: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        let args = ServeArgs::parse_from([&["ovl-server"], flags].concat());
        let events = Events::new(7, settings.events_kept);
        let known = events.observer();
        let observer = move |event: &Event| {
            observe(event);
            known(event);
        };
        let opened = stack::open(&args.stack, 7, Some(Box::new(observer))).expect("the flags are right");
        Self { app: App::new(guard, State::new(&opened, settings, events)) }
    }

    /// Sends a request; `head` are lines such as `If-Match: *`.
    pub(crate) async fn send(&self, method: &str, uri: &str, head: &[&str], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        if !head.iter().any(|line| line.to_lowercase().starts_with("host:")) {
            request = request.header("host", "localhost");
        }
        for line in head {
            let (name, value) = line.split_once(':').expect("a header line");
            request = request.header(name, value.trim());
        }
        let response = self.app.answer(request.body(body.into()).expect("a request")).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec());
        Answer { status: parts.status, headers: parts.headers, body: body.expect("a whole answer") }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send("GET", uri, &[], "").await
    }

    pub(crate) async fn put(&self, uri: &str, body: impl Into<Body>) -> Answer {
        self.send("PUT", uri, &[], body).await
    }

    pub(crate) async fn json(&self, method: &str, uri: &str, body: Value) -> Answer {
        self.send(method, uri, &["Content-Type: application/json"], body.to_string()).await
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("readable headers"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The class of a problem, after making sure that it is one in full.
    pub(crate) fn slug(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let value = self.value();
        assert_eq!(value["status"], self.status.as_u16());
        assert!(value["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        value["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/")).expect("a slug").to_owned()
    }
}
