//! Bytes in memory as the source of an archive, which a test can change under the layer.

use std::{
    any::Any,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Blob, Result, Stored};

/// A source whose stamp changes whenever its bytes are replaced.
#[derive(Debug, Default)]
pub struct Source {
    held: Mutex<(Vec<u8>, u128)>,
    given: AtomicU64,
}

impl Source {
    /// Returns a source of these bytes.
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new((bytes, 0)), given: AtomicU64::new(0) })
    }

    /// Replaces the bytes.
    pub fn replace(&self, bytes: Vec<u8>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (bytes, held.1 + 1);
    }

    /// Returns how many bytes have been read so far.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }

    fn with<T>(&self, read: impl FnOnce(&[u8], u128) -> T) -> T {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        read(&held.0, held.1)
    }
}

impl Blob for Source {
    fn size(&self) -> Result<u64> {
        Ok(self.with(|bytes, _| bytes.len() as u64))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        Ok(self.with(|bytes, _| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let got = buf.len().min(bytes.len() - from);
            buf[..got].copy_from_slice(&bytes[from..from + got]);
            self.given.fetch_add(got as u64, Ordering::Relaxed);
            got
        }))
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = self.size()?;
        Ok((offset < size).then_some(offset..size))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        Ok(self.with(|_, stamp| stamp))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
