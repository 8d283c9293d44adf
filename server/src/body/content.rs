//! The content of a file as an answer: whole, in ranges, or as gzip straight from the archive.
//!
//! Small content is read here and goes out together with the head. An archive's member under 1 MiB is read to
//! its end first, since only then is it known to be whole (trust 3.7); longer content goes out piece by piece,
//! and the connection breaks off where it turns out damaged.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use axum::{body::Body, response::Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use ovl_core::{
    Blob, Error, ErrorKind, Result, Stored,
    overlay::{Info, Tag},
};
use sha2::{Digest, Sha256};

use super::{coding, gzip, media, pull, ranges, ranges::Wanted};
use crate::{
    conditions::{self, Read},
    handlers::run,
    problem::{Problem, RANGE_NOT_SATISFIABLE},
    time,
};

/// Up to so many bytes are read without leaving the runtime's thread: faster than a change of threads.
const INLINE: u64 = 64 * 1024;
/// Up to so many bytes of an archive's member are read before the first goes out.
const WHOLE: u64 = 1 << 20;
/// Bytes of one piece.
const PIECE: u64 = 256 * 1024;

const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const BY_CODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// What the client asks for.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// Whether it is to be saved rather than shown.
    pub(crate) download: bool,
}

/// Content that is about to be answered.
struct Content {
    blob: Arc<dyn Blob>,
    tag: Tag,
    size: u64,
    media: &'static str,
    stored: Option<Stored>,
}

/// Answers with the content of a file.
///
/// # Errors
/// 412 and 416 as conditions and ranges ask, and what reading answers as long as nothing has been sent.
pub(crate) async fn answer(info: &Info, blob: Arc<dyn Blob>, ask: &Ask<'_>) -> Result<Response, Problem> {
    let name = info.path.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
    // The size that the tag was made of: content that is longer by now is cut, shorter content is an error.
    let content = Content { tag: info.tag, size: info.stat.size, media: media::of(name), stored: blob.stored(), blob };
    let mut response = content.respond(ask).await.map_err(|error| error.or_at(info.path.as_bytes()))?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::ACCEPT_RANGES, BYTES);
    if ask.download || media::is_active(content.media) {
        headers.insert(header::CONTENT_DISPOSITION, text(media::attachment(name)));
    }
    if let Some(date) = time::http_date(info.stat.attrs.mtime) {
        headers.insert(header::LAST_MODIFIED, text(date));
    }
    if content.stored.as_ref().is_some_and(|stored| stored.method == 8) {
        headers.append(header::VARY, BY_CODING);
    }
    Ok(response)
}

impl Content {
    async fn respond(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let opaque = self.tag.to_string();
        let digest = wants_sha256(ask.headers);
        let range = ask.headers.get(header::RANGE).filter(|_| ask.method == Method::GET);
        let coded = self.stored.as_ref().filter(|_| range.is_none() && !digest && self.passes_through(ask.headers));
        let etag = conditions::etag(&if coded.is_some() { format!("{opaque}-gzip") } else { opaque.clone() });
        let mut response = match (conditions::read(ask.headers, &opaque)?, coded) {
            (Read::Unchanged, _) => status(StatusCode::NOT_MODIFIED, Body::empty()),
            (Read::Go, Some(stored)) => self.gzip(stored, ask).await?,
            (Read::Go, None) => self.plain(range.filter(|_| in_time(ask.headers, &etag)), ask).await?,
        };
        if digest {
            response.headers_mut().insert("repr-digest", self.digest().await?);
        }
        response.headers_mut().insert(header::ETAG, etag);
        Ok(response)
    }

    /// Returns whether the stored bytes can go out as they are: deflated, and known to be whole.
    fn passes_through(&self, headers: &HeaderMap) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.method == 8 && stored.verified)
            && coding::accepted(headers, "gzip")
    }

    async fn gzip(&self, stored: &Stored, ask: &Ask<'_>) -> Result<Response, Problem> {
        let bytes = stored.bytes.clone();
        let size = bytes.size()?;
        let pieces = [
            Piece::Bytes(Bytes::from_static(&gzip::HEADER)),
            Piece::Blob(bytes, 0..size),
            Piece::Bytes(gzip::trailer(stored)),
        ];
        let mut response = self.send(pieces.into(), size + gzip::ADDED, ask).await?;
        response.headers_mut().insert(header::CONTENT_ENCODING, GZIP);
        Ok(response)
    }

    async fn plain(&self, range: Option<&HeaderValue>, ask: &Ask<'_>) -> Result<Response, Problem> {
        let wanted = range.and_then(|range| range.to_str().ok()).map(|range| ranges::parse(range, self.size));
        match wanted {
            None | Some(Wanted::Whole) => self.whole(ask).await,
            Some(Wanted::Nothing) => {
                let detail = format!("the content has {} bytes", self.size);
                let length = text(format!("bytes */{}", self.size));
                Err(Problem::new(&RANGE_NOT_SATISFIABLE, detail).with(header::CONTENT_RANGE, length))
            }
            Some(Wanted::Parts(parts)) => match &parts[..] {
                [part] => self.one(part, ask).await,
                parts => self.several(parts, ask).await,
            },
        }
    }

    async fn whole(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        self.send([Piece::Blob(self.blob.clone(), 0..self.size)].into(), self.size, ask).await
    }

    async fn one(&self, part: &Range<u64>, ask: &Ask<'_>) -> Result<Response, Problem> {
        let piece = Piece::Blob(self.blob.clone(), part.clone());
        let mut response = self.send([piece].into(), part.end - part.start, ask).await?;
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(header::CONTENT_RANGE, text(self.content_range(part)));
        Ok(response)
    }

    /// Answers with several ranges as `multipart/byteranges`.
    async fn several(&self, parts: &[Range<u64>], ask: &Ask<'_>) -> Result<Response, Problem> {
        let boundary = format!("ovl-{}", self.tag);
        let mut pieces = VecDeque::new();
        for part in parts {
            let (media, range) = (self.media, self.content_range(part));
            let head = format!("\r\n--{boundary}\r\nContent-Type: {media}\r\nContent-Range: {range}\r\n\r\n");
            pieces.push_back(Piece::Bytes(head.into()));
            pieces.push_back(Piece::Blob(self.blob.clone(), part.clone()));
        }
        pieces.push_back(Piece::Bytes(format!("\r\n--{boundary}--\r\n").into()));
        let length = pieces.iter().map(Piece::len).sum();
        let mut response = self.send(pieces, length, ask).await?;
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let media = format!("multipart/byteranges; boundary={boundary}");
        response.headers_mut().insert(header::CONTENT_TYPE, text(media));
        Ok(response)
    }

    fn content_range(&self, part: &Range<u64>) -> String {
        format!("bytes {}-{}/{}", part.start, part.end - 1, self.size)
    }

    /// Answers with pieces of so many bytes in all.
    async fn send(&self, pieces: VecDeque<Piece>, length: u64, ask: &Ask<'_>) -> Result<Response, Problem> {
        let mut pieces = Pieces(pieces);
        let at_once = if self.stored.as_ref().is_some_and(|stored| !stored.verified) { WHOLE } else { PIECE };
        let body = match length {
            _ if ask.method == Method::HEAD => Body::empty(),
            0..=INLINE => pieces.join(length)?.into(),
            _ if length < at_once => run(move || pieces.join(length)).await?.into(),
            _ => pull::body(pieces, Some(length)),
        };
        let mut response = status(StatusCode::OK, body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media));
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        Ok(response)
    }

    async fn digest(&self) -> Result<HeaderValue, Problem> {
        let mut pieces = Pieces([Piece::Blob(self.blob.clone(), 0..self.size)].into());
        let digest = run(move || pieces.sha256()).await?;
        Ok(text(format!("sha-256=:{}:", BASE64_STANDARD.encode(digest))))
    }
}

fn status(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    // Room for all headers of an answer at once: growing on the way costs more than the headers do.
    *response.headers_mut() = HeaderMap::with_capacity(12);
    *response.status_mut() = status;
    response
}

fn text(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("made of characters that a header takes")
}

/// Returns whether a range may be answered: `If-Range` is missing or names the content as it is.
fn in_time(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get(header::IF_RANGE).is_none_or(|value| value == etag)
}

/// Returns whether `Want-Repr-Digest` asks for SHA-256 (RFC 9530).
fn wants_sha256(headers: &HeaderMap) -> bool {
    let wanted = headers.get("want-repr-digest").and_then(|value| value.to_str().ok()).unwrap_or_default();
    wanted.split(',').filter_map(|item| item.trim().strip_prefix("sha-256")).any(|weight| weight.trim() != "=0")
}

/// A stretch of an answer.
enum Piece {
    Bytes(Bytes),
    Blob(Arc<dyn Blob>, Range<u64>),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(_, range) => range.end - range.start,
        }
    }
}

/// The stretches of an answer, in order.
struct Pieces(VecDeque<Piece>);

impl Pieces {
    /// Reads everything into one buffer.
    fn join(&mut self, length: u64) -> Result<Bytes> {
        let mut all = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut at = 0;
        for piece in self.0.drain(..) {
            let end = at + piece.len() as usize;
            match piece {
                Piece::Bytes(bytes) => all[at..end].copy_from_slice(&bytes),
                Piece::Blob(blob, range) => read(&*blob, &mut all[at..end], range.start)?,
            }
            at = end;
        }
        Ok(all.into())
    }

    fn sha256(&mut self) -> Result<[u8; 32]> {
        let mut hash = Sha256::new();
        while let Some(bytes) = pull::Source::next(self)? {
            hash.update(&bytes);
        }
        Ok(hash.finalize().into())
    }
}

impl pull::Source for Pieces {
    fn next(&mut self) -> Result<Option<Bytes>> {
        match self.0.pop_front() {
            None => Ok(None),
            Some(Piece::Bytes(bytes)) => Ok(Some(bytes)),
            Some(Piece::Blob(_, range)) if range.is_empty() => self.next(),
            Some(Piece::Blob(blob, range)) => {
                let end = range.end.min(range.start + PIECE);
                let mut bytes = vec![0; (end - range.start) as usize];
                read(&*blob, &mut bytes, range.start)?;
                self.0.push_front(Piece::Blob(blob, end..range.end));
                Ok(Some(bytes.into()))
            }
        }
    }
}

/// Fills `buf`. Refuses content that has become shorter (`LayerChanged`).
fn read(blob: &dyn Blob, buf: &mut [u8], start: u64) -> Result<()> {
    let mut filled = 0;
    while filled < buf.len() {
        match blob.read_at(&mut buf[filled..], start + filled as u64)? {
            0 => return Err(Error::new(ErrorKind::LayerChanged, "read").because("the content became shorter")),
            more => filled += more,
        }
    }
    Ok(())
}
