//! The accept loop: connections with timeouts and limits, and a stop that loses nothing (trust T25 to T27).
//!
//! The framework's own loop waits for slow clients for ever, so hyper is driven from here.

mod connections;
mod held;
mod io;
mod lent;
mod listener;
mod paced;
mod pulse;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::app::App;
use connections::{Connections, Ticket};
use io::Watched;
use lent::Lent;
use paced::Paced;
use pulse::Pulse;

pub use connections::Limits;
pub use held::Held;
pub use listener::{Address, Listener, Stream};
pub(crate) use paced::TooSlow;
pub use pulse::Timeouts;

/// The most bytes of a request's line and headers.
const HEAD_MAX: usize = 64 * 1024;
/// The most headers of a request.
const HEADERS_MAX: usize = 200;

/// A listener and what answers on it.
pub struct Server {
    app: Arc<App>,
    timeouts: Arc<Timeouts>,
    limits: Limits,
    connections: Arc<Connections>,
    stopping: Arc<AtomicBool>,
}

impl Server {
    /// Returns a server that answers with `app`.
    pub fn new(app: Arc<App>, timeouts: Timeouts, limits: Limits) -> Self {
        let (connections, stopping) = Default::default();
        Self { app, timeouts: Arc::new(timeouts), limits, connections, stopping }
    }

    /// Serves until `stop` is ready, then lets the requests under way finish, but no longer than the drain timeout.
    pub async fn run(&self, listener: &mut Listener, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut tick = interval(self.timeouts.tick());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = tick.tick() => self.connections.end_overdue(&self.timeouts),
                accepted = listener.accept() => self.take(accepted).await,
            }
        }
        self.stopping.store(true, Ordering::Relaxed);
        self.app.stop();
        if timeout(self.timeouts.drain, self.drained()).await.is_err() {
            self.connections.end_all();
        }
    }

    async fn drained(&self) {
        while self.connections.count() > 0 {
            self.connections.end_idle();
            self.connections.end_overdue(&self.timeouts);
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn take(&self, accepted: std::io::Result<Stream>) {
        match accepted {
            Ok(stream) => self.open(stream),
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn open(&self, stream: Stream) {
        let Some(ticket) = self.connections.admit(stream.address(), &self.limits) else {
            tracing::warn!("too many connections: one more was closed");
            return;
        };
        let id = ticket.id();
        let (app, timeouts, stopping) = (self.app.clone(), self.timeouts.clone(), self.stopping.clone());
        let task = tokio::spawn(converse(stream, ticket, app, timeouts, stopping));
        self.connections.runs(id, task.abort_handle());
    }
}

/// Answers the requests of one connection.
async fn converse(stream: Stream, ticket: Ticket, app: Arc<App>, timeouts: Arc<Timeouts>, stopping: Arc<AtomicBool>) {
    let pulse = &ticket.pulse;
    let service = service_fn(|request: http::Request<Incoming>| {
        let busy = Busy::begin(pulse.clone());
        let (head, body) = request.into_parts();
        let body = Lent::new(Paced::new(body, timeouts.clone()));
        let waits = head.headers.contains_key(header::EXPECT);
        let (app, stopping) = (app.clone(), stopping.clone());
        async move {
            let response = app.answer(http::Request::from_parts(head, Body::new(body.clone()))).await;
            let ends = !body.finish(waits).await || stopping.load(Ordering::Relaxed);
            Ok::<_, Infallible>(hand_over(response, busy, ends))
        }
    });
    let io = TokioIo::new(Watched { stream, pulse: pulse.clone() });
    let mut http = http1::Builder::new();
    http.max_header_size(HEAD_MAX).max_headers(HEADERS_MAX).max_buf_size(4 * HEAD_MAX).half_close(false);
    if let Err(error) = http.serve_connection(io, service).await {
        tracing::debug!("a connection ended: {error}");
    }
}

fn hand_over(mut response: Response, busy: Busy, ends: bool) -> http::Response<Tracked> {
    if ends {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Tracked { body, _busy: busy })
}

/// A request under way, until it is dropped.
struct Busy(Arc<Pulse>);

impl Busy {
    fn begin(pulse: Arc<Pulse>) -> Self {
        pulse.begin();
        Self(pulse)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// An answer's body; when it is dropped, the connection is idle again.
struct Tracked {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Tracked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
