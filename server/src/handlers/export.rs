//! `/v1/export`: a tree as an archive, streamed.
//!
//! The engine pushes bytes from a thread of its own; a client that is slow holds it up, so only so many run at once.

use std::{
    io::{self, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{body::Body, extract::State, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body::Frame;
use ovl_core::{
    Overlay, VPath,
    export::{Format, Whiteouts, export},
    tree::Tree,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_blocking,
};
use utoipa::IntoParams;

use super::Shared;
use crate::{
    problem::{BACKEND_UNAVAILABLE, INVALID_QUERY, NOT_ACCEPTABLE, NOT_FOUND, Problem, RATE_LIMITED},
    query::{self, Query},
    state,
};

/// How many exports run at once.
pub(crate) const AT_ONCE: usize = 16;
/// Bytes of one piece.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for the client.
const AHEAD: usize = 2;

/// What is exported, and how.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `merged` (by default), `upper` or `layer:ID`.
    what: Option<String>,
    /// `zip` (by default) or `tar`.
    format: Option<String>,
    /// How a tar holds whiteouts: `oci` (by default) or `kernel`.
    whiteouts: Option<String>,
    /// Only what lies beneath this directory.
    path: Option<String>,
    /// The same tree always gives the same bytes; 0 is not offered.
    #[param(value_type = u8, minimum = 1, maximum = 1)]
    reproducible: Option<u8>,
}

/// Take a tree home as an archive. What the format cannot hold is counted in the trailer `Ovl-Export-Lossy`; the trailer
/// `Repr-Digest` has the SHA-256. Trailers come to clients that send `TE: trailers`.
#[utoipa::path(get, path = "/v1/export", tag = "changes", params(ExportQuery),
    responses(
        (status = 200, description = "The archive", content((Vec<u8> = "application/zip"), (Vec<u8> = "application/x-tar"))),
    ))]
pub(crate) async fn get(
    State(state): Shared,
    Query(query): Query<ExportQuery>,
    method: Method,
) -> Result<Response, Problem> {
    let order = query.read(&state)?;
    let (media, ending) = match order.format {
        Format::Zip => ("application/zip", "zip"),
        Format::Tar { .. } => ("application/x-tar", "tar"),
    };
    let body = if method == Method::HEAD { Body::empty() } else { start(&state, order).await? };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::TRAILER, HeaderValue::from_static("Repr-Digest, Ovl-Export-Lossy"));
    let name = format!("attachment; filename*=UTF-8''export.{ending}");
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).expect("plain ASCII"));
    Ok(response)
}

/// An export to be made.
struct Order {
    tree: Tree,
    format: Format,
    path: VPath,
}

impl ExportQuery {
    fn read(&self, state: &state::State) -> Result<Order, Problem> {
        let bad = |detail: &str| Problem::new(&INVALID_QUERY, detail);
        if self.reproducible.is_some_and(|asked| asked != 1) {
            return Err(bad("exports are always reproducible: reproducible=1, or nothing"));
        }
        let tree = match self.what.as_deref().unwrap_or("merged") {
            "merged" => Tree::Merged,
            "upper" => Tree::Upper,
            other => {
                let id = other.strip_prefix("layer:").ok_or_else(|| bad("what is merged, upper or layer:ID"))?;
                let found = state.layers.iter().position(|single| single.id == id);
                let missing = || Problem::new(&NOT_FOUND, "no such layer; GET /v1/layers lists them");
                Tree::Layer(found.ok_or_else(missing)?)
            }
        };
        let whiteouts = match self.whiteouts.as_deref() {
            None | Some("oci") => Whiteouts::Oci,
            Some("kernel") => Whiteouts::Kernel,
            Some(_) => return Err(bad("whiteouts is oci or kernel")),
        };
        let format = match self.format.as_deref() {
            None | Some("zip") => Format::Zip,
            Some("tar") => Format::Tar { whiteouts },
            Some(_) => return Err(Problem::new(&NOT_ACCEPTABLE, "format is zip or tar")),
        };
        let path = query::path(self.path.as_deref())?;
        Ok(Order { tree, format, path })
    }
}

/// Starts an export and waits for its first bytes, so that what it refuses at once is still a problem.
async fn start(state: &Arc<state::State>, order: Order) -> Result<Body, Problem> {
    let permit = state.exports.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::new(&RATE_LIMITED, "too many exports run at once"))?;
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    let overlay = state.overlay.clone();
    spawn_blocking(move || push(&overlay, &order, sender, permit));
    match receiver.recv().await {
        Some(Err(error)) => Err(error.into()),
        Some(Ok(first)) => Ok(Body::new(Pushed { first: Some(first), receiver })),
        None => Err(Problem::new(&BACKEND_UNAVAILABLE, "the export ended before it began")),
    }
}

type Piece = ovl_core::Result<Frame<Bytes>>;

fn push(overlay: &Arc<Overlay>, order: &Order, sender: mpsc::Sender<Piece>, _permit: OwnedSemaphorePermit) {
    let mut out = Out { sender, piece: Vec::with_capacity(PIECE), hash: Sha256::new() };
    let done = export(overlay, order.tree, order.format, &order.path, &mut out);
    let told = done.and_then(|report| {
        out.flush()?;
        let mut trailers = HeaderMap::new();
        let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(out.hash.clone().finalize()));
        insert(&mut trailers, "repr-digest", digest);
        insert(&mut trailers, "ovl-export-lossy", report.lossy.to_string());
        Ok(trailers)
    });
    // A client that is gone needs no last word.
    drop(out.sender.blocking_send(told.map(Frame::trailers)));
}

fn insert(trailers: &mut HeaderMap, name: &'static str, value: String) {
    let value = HeaderValue::try_from(value).expect("made of words, numbers and Base64");
    trailers.insert(HeaderName::from_static(name), value);
}

/// Where the engine writes: whole pieces go to the client.
struct Out {
    sender: mpsc::Sender<Piece>,
    piece: Vec<u8>,
    hash: Sha256,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.sender.blocking_send(Ok(Frame::data(piece.into())));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone"))
    }
}

/// A body of what an export pushes.
struct Pushed {
    first: Option<Frame<Bytes>>,
    receiver: mpsc::Receiver<Piece>,
}

impl http_body::Body for Pushed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.receiver.poll_recv(cx).map(|piece| piece.map(|piece| piece.map_err(axum::Error::new)))
    }
}
