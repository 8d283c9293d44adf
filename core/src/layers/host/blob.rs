//! The content of a host's file: read and written at a place, never mapped (trust T16).

use std::{
    any::Any,
    fs::File,
    io,
    ops::Range,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Durability,
    object::Object,
    sys::{self, Handle},
};
use crate::{Allocate, Blob, BlobMut, Error, ErrorKind, Result, Stored, copy_blob};

/// The most content that is copied without looking for a quicker way.
const PAGE: usize = 4096;

/// A file's content.
#[derive(Debug)]
pub(super) struct HostBlob {
    file: File,
}

impl HostBlob {
    /// Opens the content of `handle`, a regular file, for reading.
    pub(super) fn open(handle: &Handle) -> io::Result<Self> {
        Ok(Self { file: handle.read()? })
    }
}

/// Opens the regular file at `path`, the source of a zip layer.
///
/// Refuses directories (`IsADirectory`) and what is neither file nor directory (`Unsupported`).
pub fn file(path: &Path) -> Result<Arc<dyn Blob>> {
    let file = sys::open_file(path).map_err(|e| super::failed("open")(e).because(path.display().to_string()))?;
    Ok(Arc::new(HostBlob { file }))
}

/// Returns the descriptor of content that is a file of the host's, for who can use the file itself.
#[cfg(unix)]
pub fn descriptor(blob: &dyn Blob) -> Option<std::os::fd::BorrowedFd<'_>> {
    use std::os::fd::AsFd;
    blob.as_any().downcast_ref().map(|host: &HostBlob| host.file.as_fd())
}

impl Blob for HostBlob {
    fn size(&self) -> Result<u64> {
        Ok(sys::stat_file(&self.file).map_err(super::failed("stat"))?.stat.size)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        sys::read_at(&self.file, buf, offset).map_err(super::failed("read"))
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        sys::next_data(&self.file, offset).map_err(super::failed("find data"))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    /// Returns a hash of device, inode, size, mtime and ctime, taken anew (trust T16).
    fn stamp(&self) -> Result<u128> {
        let raw = sys::stat_file(&self.file).map_err(super::failed("stat"))?;
        let (m, c) = (raw.stat.attrs.mtime, raw.stat.ctime);
        let parts =
            [raw.dev, raw.stat.ino, raw.stat.size, m.secs as u64, m.nanos.into(), c.secs as u64, c.nanos.into()];
        Ok(u128::from_le_bytes(super::digest(&parts)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The content of an upper's file.
#[derive(Debug)]
pub(super) struct HostBlobMut {
    blob: HostBlob,
    object: Arc<Object>,
    settler: Arc<super::settle::Settler>,
}

impl HostBlobMut {
    /// Opens the content of `object`, a regular file, for reading and writing.
    pub(super) fn open(object: Arc<Object>, settler: Arc<super::settle::Settler>) -> io::Result<Self> {
        let file = object.handle.write()?;
        Ok(Self { blob: HostBlob { file }, object, settler })
    }

    /// Copies inside the kernel, keeping holes. Returns the bytes.
    fn copy_ranges(&self, from: &HostBlob) -> Result<u64> {
        let size = from.size()?;
        self.set_len(0)?;
        self.set_len(size)?;
        let mut at = 0;
        while let Some(data) = from.next_data(at)? {
            at = data.start;
            while at < data.end.min(size) {
                match sys::copy_range(&from.file, &self.blob.file, at, data.end.min(size) - at) {
                    Ok(0) => return Ok(at),
                    Ok(copied) => at += copied,
                    Err(error) => return Err(super::failed("copy")(error)),
                }
            }
            if at >= size {
                break;
            }
        }
        Ok(size)
    }

    /// Copies content of at most a page, to which a clone and a search for holes would be most of the work. Returns the
    /// bytes, `None` when it is longer.
    fn copy_page(&self, from: &HostBlob) -> Result<Option<u64>> {
        let mut buf = [0; PAGE + 1];
        let mut len = 0;
        while len < buf.len() {
            match from.read_at(&mut buf[len..], len as u64)? {
                0 => break,
                got => len += got,
            }
        }
        if len > PAGE {
            return Ok(None);
        }
        self.set_len(0)?;
        sys::write_at(&self.blob.file, &buf[..len], 0).map_err(super::failed("write"))?;
        Ok(Some(len as u64))
    }

    fn copy_host(&self, from: &HostBlob) -> Result<u64> {
        if let Some(copied) = self.copy_page(from)? {
            return Ok(copied);
        }
        if sys::clone_content(&from.file, &self.blob.file).is_ok() {
            return from.size();
        }
        match self.copy_ranges(from) {
            Err(error) if error.kind() != ErrorKind::NoSpace => copy_blob(from, self),
            copied => copied,
        }
    }
}

impl Blob for HostBlobMut {
    fn size(&self) -> Result<u64> {
        self.blob.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.blob.read_at(buf, offset)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.blob.next_data(offset)
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        self.blob.stamp()
    }

    fn as_any(&self) -> &dyn Any {
        &self.blob
    }
}

impl BlobMut for HostBlobMut {
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.settler.check()?;
        self.object.touch();
        sys::write_at(&self.blob.file, data, offset).map_err(super::failed("write"))
    }

    fn allocate(&self, how: Allocate, range: Range<u64>) -> Result<()> {
        self.settler.check()?;
        self.object.touch();
        sys::allocate(&self.blob.file, how, range).map_err(super::failed("allocate"))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.settler.check()?;
        self.object.touch();
        self.blob.file.set_len(len).map_err(super::failed("set length"))
    }

    fn copy_from(&self, from: &dyn Blob) -> Result<u64> {
        self.settler.check()?;
        self.object.touch();
        match from.as_any().downcast_ref() {
            Some(host) => self.copy_host(host),
            None => copy_blob(from, self),
        }
    }

    /// Makes content and attributes durable: always at [`Durability::Full`], at [`Durability::Ordered`]
    /// for what is copied up (semantics U14), else never.
    fn sync(&self) -> Result<()> {
        let copied_up = self.object.temp.as_ref().is_some_and(|temp| temp.copied_up);
        let wanted = match self.settler.durability() {
            Durability::Full => true,
            Durability::Ordered => copied_up,
            Durability::None => false,
        };
        if !wanted {
            return Ok(());
        }
        self.settler.check()?;
        self.object.dirty.store(false, Ordering::Release);
        self.settler.outcome(self.blob.file.sync_all())
    }
}

/// Returns a failure because an entry of this kind has no content.
pub(super) fn no_content() -> Error {
    Error::new(ErrorKind::UnsupportedEntry, "open").because("only regular files have content")
}
