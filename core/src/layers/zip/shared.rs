//! What an open archive and its open members have in common.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::index::{Index, Record};
use crate::{Blob, Error, ErrorKind, Result};

pub(super) struct Shared {
    pub(super) source: Arc<dyn Blob>,
    /// The length of what stands before the archive proper.
    pub(super) base: u64,
    /// The source's stamp when its directory was read.
    pub(super) stamp: u128,
    /// The layer's name.
    pub(super) name: String,
    pub(super) index: Index,
    /// A bit for each record whose content was read in full and found to be as declared.
    verified: Box<[AtomicU64]>,
}

impl Shared {
    pub(super) fn new(source: Arc<dyn Blob>, base: u64, stamp: u128, name: String, index: Index) -> Self {
        let verified = (0..index.records.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { source, base, stamp, name, index, verified }
    }

    pub(super) fn record(&self, id: u32) -> &Record {
        &self.index.records[id as usize]
    }

    pub(super) fn is_verified(&self, id: u32) -> bool {
        self.verified[id as usize / 64].load(Ordering::Relaxed) & bit(id) != 0
    }

    pub(super) fn set_verified(&self, id: u32) {
        self.verified[id as usize / 64].fetch_or(bit(id), Ordering::Relaxed);
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

fn bit(id: u32) -> u64 {
    1 << (id % 64)
}
