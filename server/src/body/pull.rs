//! Answers that are made piece by piece on blocking threads, one piece ahead of the client.
//!
//! A thread is held only while it makes a piece, so clients that stop reading hold none.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use ovl_core::Result;
use tokio::task::{JoinHandle, spawn_blocking};

/// What makes the pieces of an answer.
pub(crate) trait Source: Send + Unpin + 'static {
    /// Returns the next piece, or `None` at the end. An error breaks the connection off, so that a client
    /// never takes half an answer for a whole one.
    fn next(&mut self) -> Result<Option<Bytes>>;
}

/// A body of a source's pieces.
struct Pull<S> {
    next: Option<JoinHandle<(S, Result<Option<Bytes>>)>>,
    left: Option<u64>,
}

/// Returns the body of a source; `length` is its length in bytes, where that is known.
pub(crate) fn body<S: Source>(source: S, length: Option<u64>) -> Body {
    Body::new(Pull { next: Some(step(source)), left: length })
}

fn step<S: Source>(mut source: S) -> JoinHandle<(S, Result<Option<Bytes>>)> {
    spawn_blocking(move || {
        let piece = source.next();
        (source, piece)
    })
}

impl<S: Source> http_body::Body for Pull<S> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let stepped = ready!(Pin::new(next).poll(cx));
        self.next = None;
        let (source, piece) = match stepped {
            Ok(stepped) => stepped,
            Err(error) => return Poll::Ready(Some(Err(axum::Error::new(error)))),
        };
        match piece {
            Ok(None) => Poll::Ready(None),
            Ok(Some(bytes)) => {
                let left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                self.left = left;
                if left != Some(0) {
                    self.next = Some(step(source));
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                tracing::warn!("an answer was broken off: {error}");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
