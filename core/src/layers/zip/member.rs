//! The content of a member, decoded where it is read, and its stored bytes as they are.

use std::{
    any::Any,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flate2::Crc;
use rawzip::CompressionMethod as Method;

#[cfg(feature = "seek")]
use super::seek;
use super::{
    end::corrupt,
    index::Record,
    inflate::{Decoder, Task},
    local::{self, ENCRYPTED, Local},
    shared::Shared,
};
use crate::{Blob, Error, ErrorKind, Result, Stored};

/// An open member.
pub(super) struct Member {
    zip: Arc<Shared>,
    id: u32,
    local: Local,
    content: Content,
}

enum Content {
    /// Stored as it is, read in place. How far it has been read from the front is kept until it is verified.
    Plain(Mutex<Front>),
    /// Compressed. The decoder stays where the last read ended.
    Coded(Mutex<Option<Decoder>>),
    /// Listed, and to be copied as it is stored, but not readable for this reason.
    Closed(String),
}

/// What is known of the content from its first byte on.
#[derive(Default)]
struct Front {
    len: u64,
    crc: Crc,
}

impl Member {
    /// Opens the content of a record. Refuses what [`local::read`] refuses.
    pub(super) fn open(zip: &Arc<Shared>, id: u32) -> Result<Self> {
        let local = match zip.known_extra(id) {
            Some(extra) => local::known(&zip.index, id, extra),
            None => local::read(&*zip.source, zip.base, &zip.index, id)?,
        };
        let record = zip.record(id);
        let content = content(record);
        if matches!(content, Content::Plain(_)) && record.packed != record.size {
            return Err(corrupt("a stored member declares two lengths"));
        }
        Ok(Self { zip: Arc::clone(zip), id, local, content })
    }

    fn record(&self) -> &Record {
        self.zip.record(self.id)
    }

    /// Where the stored bytes begin in the source.
    fn data(&self) -> u64 {
        self.zip.base + self.local.data
    }

    fn read(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let got = match &self.content {
            Content::Plain(front) => self.read_plain(front, buf, offset)?,
            Content::Coded(decoder) => self.read_coded(&mut lock(decoder), buf, offset)?,
            Content::Closed(why) => {
                return Err(Error::new(ErrorKind::UnsupportedEntry, "read").because(why.clone()));
            }
        };
        // Whoever has read to the end has read one archive, not parts of two.
        if offset + got as u64 == self.record().size {
            self.zip.unchanged()?;
        }
        Ok(got)
    }

    fn read_plain(&self, front: &Mutex<Front>, buf: &mut [u8], offset: u64) -> Result<usize> {
        let size = self.record().size;
        let want = usize::try_from(size - offset).map_or(buf.len(), |left| left.min(buf.len()));
        let got = self.zip.source.read_at(&mut buf[..want], self.data() + offset)?;
        if got == 0 && want > 0 {
            return Err(corrupt("the archive is cut short"));
        }
        if !self.zip.is_verified(self.id) {
            self.advance(&mut lock(front), &buf[..got], offset)?;
        }
        Ok(got)
    }

    /// Takes a read into account that continues what was read from the front, by whomever.
    fn advance(&self, front: &mut Front, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset + bytes.len() as u64;
        if (offset..end).contains(&front.len) {
            front.crc.update(&bytes[(front.len - offset) as usize..]);
            front.len = end;
        }
        if front.len < self.record().size || end < front.len {
            return Ok(());
        }
        if front.crc.sum() != self.record().crc {
            return Err(corrupt("the content of a member does not fit its CRC-32"));
        }
        self.zip.set_verified(self.id, self.local.extra);
        Ok(())
    }

    /// Returns the decoder that reads up to `end` from `offset` on soonest: the one at hand, one at a point before, or one
    /// at the front.
    fn decoder(&self, at_hand: Option<Decoder>, offset: u64, end: u64) -> Result<Decoder> {
        let record = self.record();
        // Who reads the last bytes must be able to tell whether they may be given.
        let tells = end < record.size || self.zip.is_verified(self.id);
        let at_hand = at_hand.filter(|decoder| decoder.at <= offset && (tells || decoder.is_whole()));
        #[cfg(feature = "seek")]
        if let Some(decoder) = self.sought(at_hand.as_ref().map_or(0, |decoder| decoder.at), offset, tells) {
            return Ok(decoder);
        }
        let made = at_hand.or_else(|| self.zip.decoder(record.method));
        made.ok_or_else(|| corrupt("a member has no method"))
    }

    /// Returns a decoder that notes points, where it is far from `from`, where one is at hand, to `offset`: at the last
    /// point before, if it may begin at one, or at the front if that is near.
    #[cfg(feature = "seek")]
    fn sought(&self, from: u64, offset: u64, at_point: bool) -> Option<Decoder> {
        let record = self.record();
        if Method::new(record.method) != Method::DEFLATE || seek::is_near(from, offset) {
            return None;
        }
        let points = self.zip.sought.of(self.id, record.size);
        let point = points.before(offset).filter(|point| at_point && point.at > from);
        (point.is_some() || seek::is_near(0, from)).then(|| Decoder::noting(&points, point.as_deref()))
    }

    fn read_coded(&self, slot: &mut Option<Decoder>, buf: &mut [u8], offset: u64) -> Result<usize> {
        let record = self.record();
        let task = Task {
            source: &*self.zip.source,
            data: self.data(),
            packed: record.packed,
            size: record.size,
            crc: record.crc,
        };
        let mut decoder = self.decoder(slot.take(), offset, offset.saturating_add(buf.len() as u64))?;
        decoder.skip(&task, offset)?;
        let got = decoder.read(&task, buf)?;
        if decoder.at == record.size {
            if decoder.is_whole() {
                self.zip.set_verified(self.id, self.local.extra);
            }
            self.zip.spare(decoder);
        } else {
            *slot = Some(decoder);
        }
        Ok(got)
    }
}

impl Blob for Member {
    fn size(&self) -> Result<u64> {
        Ok(self.record().size)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let size = self.record().size;
        if buf.is_empty() || offset > size || (offset == size && size > 0) {
            return Ok(0);
        }
        self.read(buf, offset).map_err(|error| self.zip.explain(error))
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = self.record().size;
        Ok((offset < size).then_some(offset..size))
    }

    fn stored(&self) -> Option<Stored> {
        let record = self.record();
        let bytes = Section { zip: Arc::clone(&self.zip), id: self.id, start: self.data(), len: record.packed };
        Some(Stored {
            method: record.method,
            flags: record.flags,
            time: self.local.time,
            crc32: record.crc,
            size: record.size,
            verified: self.zip.is_verified(self.id),
            lock: self.local.lock.clone(),
            bytes: Arc::new(bytes),
        })
    }

    fn stamp(&self) -> Result<u128> {
        stamp(&self.zip, self.id, b"content")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The stored bytes of a member.
struct Section {
    zip: Arc<Shared>,
    id: u32,
    start: u64,
    len: u64,
}

impl Section {
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.len.saturating_sub(offset);
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let got = self.zip.source.read_at(&mut buf[..want], self.start.saturating_add(offset))?;
        if got == 0 && want > 0 {
            return Err(corrupt("the archive is cut short"));
        }
        if offset.saturating_add(got as u64) == self.len {
            self.zip.unchanged()?;
        }
        Ok(got)
    }
}

impl Blob for Section {
    fn size(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.read(buf, offset).map_err(|error| self.zip.explain(error))
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        Ok((offset < self.len).then_some(offset..self.len))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        stamp(&self.zip, self.id, b"stored")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn content(record: &Record) -> Content {
    if record.flags & ENCRYPTED != 0 {
        return Content::Closed("the member is encrypted".into());
    }
    match Method::new(record.method) {
        Method::STORE => Content::Plain(Mutex::default()),
        Method::DEFLATE | Method::DEFLATE64 => Content::Coded(Mutex::default()),
        method => Content::Closed(format!("compression method {method} is not supported")),
    }
}

/// A reader that panicked left either a whole state or none.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stamp(zip: &Shared, id: u32, what: &[u8]) -> Result<u128> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&zip.source.stamp()?.to_le_bytes()).update(&id.to_le_bytes()).update(what);
    let mut stamp = [0; 16];
    stamp.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Ok(u128::from_le_bytes(stamp))
}
