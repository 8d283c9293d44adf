//! A body on its way into the upper: kept in memory while it is short, staged without a lock when it is long.

use std::sync::Arc;

use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use ovl_core::{
    Blob, Result,
    overlay::{Ctx, Overlay, Upload},
};
use sha2::{Digest, Sha256};

use crate::{
    handlers::run,
    json::unreadable,
    problem::{DIGEST_MISMATCH, INVALID_BODY, Problem, TOO_LARGE, UNSUPPORTED_MEDIA},
    state::State,
};

/// Up to so many bytes are held at once.
const HELD: usize = 256 * 1024;

/// A body that has arrived whole.
pub(crate) struct Received {
    /// What has been written so far, if the body was long.
    upload: Option<Arc<Upload>>,
    /// What has not.
    rest: Vec<u8>,
    written: u64,
}

/// Takes in a body.
///
/// # Errors
/// 413 beyond `--max-body`, 415 for a coded body, 400 for a wrong digest or a broken body, 408 for a slow one, and
/// what staging answers.
pub(crate) async fn receive(
    state: &Arc<State>,
    ctx: &Ctx,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Problem> {
    refuse_coding(headers)?;
    refuse_length(headers, state.settings.max_body)?;
    let expected = content_digest(headers)?;
    let mut hash = expected.is_some().then(Sha256::new);
    let mut received = Received { upload: None, rest: Vec::new(), written: 0 };
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(&error))?;
        let Some(data) = frame.data_ref() else { continue };
        if let Some(hash) = &mut hash {
            hash.update(data);
        }
        received.rest.extend_from_slice(data);
        if received.len() > state.settings.max_body {
            return Err(too_large(state.settings.max_body));
        }
        if received.rest.len() >= HELD {
            let (overlay, ctx) = (state.overlay.clone(), ctx.clone());
            received = run(move || received.flushed(&overlay, &ctx)).await?;
        }
    }
    let digest = hash.map(|hash| hash.finalize().to_vec());
    if digest != expected {
        return Err(Problem::new(&DIGEST_MISMATCH, "the body does not have the SHA-256 of Content-Digest"));
    }
    Ok(received)
}

impl Received {
    /// Returns the length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.rest.len() as u64
    }

    fn flushed(mut self, overlay: &Overlay, ctx: &Ctx) -> Result<Self> {
        let upload = self.staged(overlay, ctx)?;
        (self.written, self.upload) = (self.len(), Some(upload));
        self.rest.clear();
        Ok(self)
    }

    /// Returns it as a staged file.
    pub(crate) fn staged(&self, overlay: &Overlay, ctx: &Ctx) -> Result<Arc<Upload>> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => Arc::new(overlay.upload(ctx)?),
        };
        upload.write_at(&self.rest, self.written)?;
        Ok(upload)
    }

    /// Returns it as the source of a write.
    pub(crate) fn content(self, overlay: &Overlay, ctx: &Ctx) -> Result<Arc<dyn Blob>> {
        match self.upload {
            None => Ok(Arc::new(self.rest)),
            Some(_) => Ok(self.staged(overlay, ctx)?.content()),
        }
    }
}

/// Refuses a coded body: what is stored is what is sent.
fn refuse_coding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(coding) if coding == "identity" => Ok(()),
        Some(_) => {
            Err(Problem::new(&UNSUPPORTED_MEDIA, "Content-Encoding is not undone here: send the bytes as they are"))
        }
    }
}

/// Refuses a declared length beyond the limit before the first byte (trust T26).
fn refuse_length(headers: &HeaderMap, max: u64) -> Result<(), Problem> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > max) { Err(too_large(max)) } else { Ok(()) }
}

fn too_large(max: u64) -> Problem {
    Problem::new(&TOO_LARGE, format!("a body has at most {max} bytes here"))
}

/// Returns the SHA-256 that `Content-Digest` states (RFC 9530); other algorithms are not checked.
fn content_digest(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let Some(value) = headers.get("content-digest") else { return Ok(None) };
    let bad = || Problem::new(&INVALID_BODY, "Content-Digest looks like sha-256=:BASE64:");
    let items = value.to_str().map_err(|_| bad())?.split(',').map(str::trim);
    let Some(coded) = items.filter_map(|item| item.strip_prefix("sha-256=")).next() else { return Ok(None) };
    let coded = coded.strip_prefix(':').and_then(|coded| coded.strip_suffix(':')).ok_or_else(bad)?;
    BASE64_STANDARD.decode(coded).map(Some).map_err(|_| bad())
}
