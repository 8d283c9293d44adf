//! What an open archive and its open members have in common.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU16, Ordering},
};

use rawzip::CompressionMethod as Method;

#[cfg(feature = "seek")]
use super::seek::Sought;
use super::{
    index::{Index, Record},
    inflate::Decoder,
};
use crate::{Blob, Error, ErrorKind, Result};

/// A member that no full read has verified yet.
const UNREAD: u16 = 0;

/// The most decoders that wait for a member: for two who read small ones at the same time.
const SPARES: usize = 2;

pub(super) struct Shared {
    pub(super) source: Arc<dyn Blob>,
    /// The length of what stands before the archive proper.
    pub(super) base: u64,
    /// The source's stamp when its directory was read.
    pub(super) stamp: u128,
    /// The layer's name.
    pub(super) name: String,
    pub(super) index: Index,
    /// What the first full read of each record's content found, see [`Shared::set_verified`].
    verified: Box<[AtomicU16]>,
    /// Decoders for deflate that have come to an end: to make one takes longer than to decode a small member.
    spares: Mutex<Vec<Decoder>>,
    /// Where big members can be decoded from.
    #[cfg(feature = "seek")]
    pub(super) sought: Sought,
}

impl Shared {
    pub(super) fn new(source: Arc<dyn Blob>, base: u64, stamp: u128, name: String, index: Index) -> Self {
        let verified = index.records.iter().map(|_| AtomicU16::new(UNREAD)).collect();
        Self {
            source,
            base,
            stamp,
            name,
            index,
            verified,
            spares: Mutex::default(),
            #[cfg(feature = "seek")]
            sought: Sought::default(),
        }
    }

    /// Returns a decoder at the front of a member, or `None` for a method that no decoder knows.
    pub(super) fn decoder(&self, method: u16) -> Option<Decoder> {
        let spare = (Method::new(method) == Method::DEFLATE).then(|| self.spares().pop()).flatten();
        spare.or_else(|| Decoder::new(method))
    }

    /// Takes a decoder that has read a member to its end, for the next one.
    pub(super) fn spare(&self, decoder: Decoder) {
        let Some(decoder) = decoder.renewed() else { return };
        let mut spares = self.spares();
        if spares.len() < SPARES {
            spares.push(decoder);
        }
    }

    // Nothing that can fail is done while it is held.
    fn spares(&self) -> MutexGuard<'_, Vec<Decoder>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, id: u32) -> &Record {
        &self.index.records[id as usize]
    }

    /// Returns whether the content was read in full and found to be as declared.
    pub(super) fn is_verified(&self, id: u32) -> bool {
        self.verified[id as usize].load(Ordering::Relaxed) != UNREAD
    }

    /// Notes that the content is as declared, and how long the extra fields of its local header are.
    pub(super) fn set_verified(&self, id: u32, extra: u16) {
        self.verified[id as usize].store(extra.saturating_add(1), Ordering::Relaxed);
    }

    /// Returns the length of the local header's extra fields, when the header has been read and a full read has
    /// verified the member: then it need not be read again.
    pub(super) fn known_extra(&self, id: u32) -> Option<u16> {
        match self.verified[id as usize].load(Ordering::Relaxed) {
            UNREAD | u16::MAX => None,
            known => Some(known - 1),
        }
    }

    /// Refuses (`LayerChanged`) an archive that is no longer the one whose directory was read (trust T16).
    pub(super) fn unchanged(&self) -> Result<()> {
        if self.source.stamp()? == self.stamp {
            return Ok(());
        }
        Err(Error::new(ErrorKind::LayerChanged, "read"))
    }

    /// Names the layer in a failure; damage in an archive that has changed is the change's.
    pub(super) fn explain(&self, error: Error) -> Error {
        let damage = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io);
        let error = if damage { self.unchanged().err().unwrap_or(error) } else { error };
        error.in_layer(&self.name)
    }
}
