//! A request's body, lent to whoever answers: what they leave of it is read before the answer goes.
//!
//! A client that sends its body whole before it listens would otherwise find the connection closed and never hear why
//! (RFC 9112 section 9.6), and one that listens could not use the connection again.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::paced::{BoxError, Paced};

/// The most bytes that are read for nothing.
const MOST: u64 = 64 << 20;

#[derive(Clone)]
pub(super) struct Lent(Arc<Mutex<Paced>>);

impl Lent {
    pub(super) fn new(body: Paced) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads what is left. Returns whether the connection can be used again: not when there is too much, or it comes too
    /// slowly, or when the client `waits` to be told to send (`Expect`) and nobody has told it.
    pub(super) async fn finish(&self, waits: bool) -> bool {
        let (ended, begun, left) = {
            let body = self.body();
            (body.is_end_stream(), body.is_begun(), body.size_hint().lower())
        };
        if ended || (waits && !begun) || left > MOST {
            return ended;
        }
        let mut read = 0;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *self.body()).poll_frame(cx)).await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, |data| data.len() as u64);
            if read > MOST {
                return false;
            }
        }
        true
    }

    // It is used by one at a time; a panic of that one ends the request.
    fn body(&self) -> MutexGuard<'_, Paced> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut *self.body()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body().size_hint()
    }
}
