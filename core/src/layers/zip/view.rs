//! The archive as the directory walker reads it: without what stands before it, every directory byte hashed once.

use std::{cell::RefCell, io};

use rawzip::{ReaderAt, ZipArchive, ZipLocator};

use super::end::{Directory, corrupt};
use crate::{Blob, Error, Result};

/// Room for the longest variable part of one record, three times 65,535 bytes.
pub(super) const BUFFER: usize = 256 * 1024;

pub(super) struct View<'a> {
    source: &'a dyn Blob,
    base: u64,
    /// Takes what is read, from the start of the walk to its end.
    hasher: RefCell<Option<blake3::Hasher>>,
}

impl<'a> View<'a> {
    /// Opens the archive whose directory was found. Refuses (`Corrupt`) one that the walker reads otherwise.
    pub(super) fn open(source: &'a dyn Blob, found: &Directory) -> Result<ZipArchive<Self>> {
        let view = Self { source, base: found.base, hasher: RefCell::new(None) };
        let end = found.end - found.base;
        let archive = ZipLocator::new()
            .max_search_space(22)
            .locate_in_reader(view, &mut vec![0; 1024], end + 22)
            .map_err(|(_, error)| failed(error))?;
        if archive.directory_offset() != found.start - found.base || archive.eocd_offset() != end {
            return Err(corrupt("two readings of the end record are possible"));
        }
        Ok(archive)
    }

    /// Hashes from here on: the walk reads every byte of the directory once, in order.
    pub(super) fn begin(&self) {
        self.hasher.replace(Some(blake3::Hasher::new()));
    }

    /// Returns the hash of what was read since the beginning.
    pub(super) fn finish(&self) -> blake3::Hash {
        self.hasher.take().unwrap_or_default().finalize()
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let at = self.base.checked_add(offset).ok_or_else(|| corrupt("an offset lies beyond every archive"))?;
        self.source.read_at(buf, at)
    }
}

impl ReaderAt for View<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let got = self.read(buf, offset).map_err(io::Error::other)?;
        if let Some(hasher) = &mut *self.hasher.borrow_mut() {
            hasher.update(&buf[..got]);
        }
        Ok(got)
    }
}

/// Translates the walker's failure; one of ours that passed through it comes out as it was.
pub(super) fn failed(error: rawzip::Error) -> Error {
    match error.into_kind() {
        rawzip::ErrorKind::IO(error) => error.downcast::<Error>().unwrap_or_else(Error::from),
        rawzip::ErrorKind::InvalidSignature { .. } => corrupt("the directory holds something that is no entry"),
        rawzip::ErrorKind::Eof => corrupt("the directory ends within an entry"),
        other => corrupt(other.to_string()),
    }
}
