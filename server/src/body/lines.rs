//! Lines of JSON on their way, and the trailer that says that they are all.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use ovl_core::Result;
use serde::Serialize;

use super::pull;

/// The media type of lines.
pub(crate) const MEDIA_TYPE: &str = "application/x-ndjson";
/// Bytes of one piece.
const PIECE: usize = 64 * 1024;

/// The last line: without it the lines are not all.
#[derive(Serialize)]
struct Trailer {
    trailer: bool,
    count: u64,
    generation: u64,
}

struct Lines<I> {
    lines: I,
    count: u64,
    generation: u64,
    ended: bool,
}

/// Returns whether a client wants lines rather than a page.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| value.as_bytes().starts_with(MEDIA_TYPE.as_bytes()))
}

/// Answers with lines and a trailer.
pub(crate) fn answer<T, I>(lines: I, generation: u64) -> Response
where
    T: Serialize,
    I: Iterator<Item = Result<T>> + Send + Unpin + 'static,
{
    let lines = Lines { lines, count: 0, generation, ended: false };
    let mut response = Response::new(Body::new(pull::body(lines, None)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

impl<T, I> pull::Source for Lines<I>
where
    T: Serialize,
    I: Iterator<Item = Result<T>> + Send + Unpin + 'static,
{
    fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        let mut piece = Vec::with_capacity(PIECE + 1024);
        while piece.len() < PIECE && !self.ended {
            match self.lines.next() {
                Some(line) => {
                    self.count += 1;
                    push(&mut piece, &line?);
                }
                None => {
                    self.ended = true;
                    push(&mut piece, &Trailer { trailer: true, count: self.count, generation: self.generation });
                }
            }
        }
        Ok(Some(piece.into()))
    }
}

fn push(piece: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(&mut *piece, value).expect("lines are plain JSON");
    piece.push(b'\n');
}
