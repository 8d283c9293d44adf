//! The content of a file in memory: pages of 64 KiB that copies share until one of them is written.

use std::{
    any::Any,
    ops::Range,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{Allocate, Blob, BlobMut, Error, ErrorKind, Result, Stored, copy_blob, sorted::Sorted};

const PAGE: u64 = 64 * 1024;
/// The largest file, as on Linux: lengths and offsets fit 63 bits.
const LARGEST: u64 = i64::MAX as u64;

#[derive(Debug, Default)]
pub(super) struct Content(RwLock<Pages>);

/// A page shorter than 64 KiB reads as zeros behind its end; a missing one is a hole.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    len: u64,
    version: u64,
    pages: Sorted<u64, Arc<Vec<u8>>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.read().len
    }

    pub(super) fn version(&self) -> u64 {
        self.read().version
    }

    /// Returns what it holds now; the pages are shared.
    pub(super) fn pages(&self) -> Pages {
        self.read().clone()
    }

    /// Puts other pages in place, and returns those that were there.
    pub(super) fn exchange(&self, pages: Pages) -> Pages {
        let mut held = self.write();
        let version = held.version + 1;
        std::mem::replace(&mut *held, Pages { version, ..pages })
    }

    // A writer that panicked left whole pages: each is replaced in one step.
    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pages> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn set_len(&mut self, len: u64) {
        self.pages.remove_between(&len.div_ceil(PAGE), &u64::MAX);
        if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
            Arc::make_mut(page).truncate((len % PAGE) as usize);
        }
        self.len = len;
    }

    /// Makes a range read as zeros: whole pages go.
    fn clear(&mut self, range: Range<u64>) {
        self.pages.remove_between(&range.start.div_ceil(PAGE), &(range.end / PAGE));
        for index in [range.start / PAGE, range.end / PAGE] {
            let Some(page) = self.pages.get_mut(&index) else { continue };
            let start = range.start.saturating_sub(index * PAGE) as usize;
            let end = page.len().min((range.end - index * PAGE).min(PAGE) as usize);
            if start < end {
                Arc::make_mut(page)[start..end].fill(0);
            }
        }
    }

    /// Writes what of `data` fits the page at `offset`, and returns how much that was.
    fn write_page(&mut self, data: &[u8], offset: u64) -> usize {
        let start = (offset % PAGE) as usize;
        let count = data.len().min(PAGE as usize - start);
        let page = Arc::make_mut(self.pages.or_default(offset / PAGE));
        if page.len() < start + count {
            page.resize(start + count, 0);
        }
        page[start..start + count].copy_from_slice(&data[..count]);
        count
    }

    /// Reads what `buf` takes of the page at `offset`, which is below the length.
    fn read_page(&self, buf: &mut [u8], offset: u64) -> usize {
        let start = (offset % PAGE) as usize;
        let count = (buf.len() as u64).min(PAGE - start as u64).min(self.len - offset) as usize;
        let page = self.pages.get(&(offset / PAGE));
        let have = page.map_or(&[][..], |page| page.get(start..).unwrap_or_default());
        let filled = have.len().min(count);
        buf[..filled].copy_from_slice(&have[..filled]);
        buf[filled..count].fill(0);
        count
    }
}

impl Blob for Content {
    fn size(&self) -> Result<u64> {
        Ok(self.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let pages = self.read();
        let mut done = 0;
        while done < buf.len() && offset + (done as u64) < pages.len {
            done += pages.read_page(&mut buf[done..], offset + done as u64);
        }
        Ok(done)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let pages = self.read();
        let found = pages.pages.from(&(offset / PAGE)).first();
        let range = |(index, _): &(u64, _)| offset.max(index * PAGE)..(index * PAGE + PAGE).min(pages.len);
        Ok(found.map(range).filter(|range| !range.is_empty()))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        Ok(self.version().into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl BlobMut for Content {
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= LARGEST);
        let end = end.ok_or_else(|| Error::new(ErrorKind::TooLarge, "write"))?;
        let mut pages = self.write();
        pages.version += 1;
        let mut done = 0;
        while done < data.len() {
            done += pages.write_page(&data[done..], offset + done as u64);
        }
        pages.len = pages.len.max(end);
        Ok(())
    }

    fn allocate(&self, how: Allocate, range: Range<u64>) -> Result<()> {
        if range.end > LARGEST {
            return Err(Error::new(ErrorKind::TooLarge, "allocate"));
        }
        let mut pages = self.write();
        pages.version += 1;
        let zeros = matches!(how, Allocate::Punch | Allocate::Zero | Allocate::ZeroKeep);
        if zeros && range.start < pages.len {
            let end = range.end.min(pages.len);
            pages.clear(range.start..end);
        }
        if matches!(how, Allocate::Extend | Allocate::Zero) {
            pages.len = pages.len.max(range.end);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        if len > LARGEST {
            return Err(Error::new(ErrorKind::TooLarge, "truncate"));
        }
        let mut pages = self.write();
        pages.version += 1;
        pages.set_len(len);
        Ok(())
    }

    fn copy_from(&self, from: &dyn Blob) -> Result<u64> {
        let Some(other) = from.as_any().downcast_ref::<Self>() else { return copy_blob(from, self) };
        let copy = other.read().clone();
        let mut pages = self.write();
        *pages = Pages { version: pages.version + 1, ..copy };
        Ok(pages.len)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }
}
