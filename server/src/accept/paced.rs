//! A request's body, which must come at a pace (trust T25).

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::pulse::Timeouts;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a body that comes too slowly ends with.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body comes too slowly")
    }
}

impl std::error::Error for TooSlow {}

/// A body and the time that was spent waiting for it; the time that the server takes does not count.
pub(super) struct Paced {
    body: Incoming,
    limits: Arc<Timeouts>,
    bytes: u64,
    begun: bool,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Paced {
    pub(super) fn new(body: Incoming, limits: Arc<Timeouts>) -> Self {
        Self { body, limits, bytes: 0, begun: false, waited: Duration::ZERO, waiting: None }
    }

    /// Returns whether anybody has begun to read it.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Waits on, or fails when the body has been waited for too long in all.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let earned = Duration::from_secs(self.bytes / self.limits.body_rate.max(1));
        let left = (self.limits.body_grace + earned).saturating_sub(self.waited);
        let (_, timer) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        timer.as_mut().poll(cx).map(|()| Some(Err(TooSlow.into())))
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.begun = true;
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return self.wait(cx) };
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
