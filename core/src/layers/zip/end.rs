//! The end record: where the central directory lies, and whether the archive agrees with itself about that.
//!
//! Two readers that take different end records for the true one see different archives. So there may be one
//! only, its totals must agree in full width, and the directory must end exactly where the record begins
//! (trust T11). What stands before the archive shifts every offset by one constant base.

use super::le::{u16_at, u32_at, u64_at};
use crate::{Blob, Error, ErrorKind, Result};

const SIGNATURE: &[u8] = b"PK\x05\x06";
const SIGNATURE_64: &[u8] = b"PK\x06\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

const LEN: u64 = 22;
const LOCATOR_LEN: u64 = 20;
/// An end record with the longest comment.
const REACH: u64 = LEN + 0xffff;

/// Where the central directory lies.
#[derive(Debug)]
pub(super) struct Directory {
    /// What the archive's own offsets leave out: the length of what stands before it.
    pub(super) base: u64,
    /// The directory's place in the source.
    pub(super) start: u64,
    /// Its length.
    pub(super) size: u64,
    /// How many entries it has.
    pub(super) entries: u64,
    /// The place of the (plain) end record in the source.
    pub(super) end: u64,
    /// Places before the directory that would pass for an end record; they are true to a reader who stops there,
    /// unless they lie within a member.
    pub(super) others: Vec<u64>,
}

/// The totals of a plain or zip64 end record.
struct Totals {
    disk: u32,
    directory_disk: u32,
    here: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

/// The last bytes of the source, and where they begin.
struct Tail {
    bytes: Vec<u8>,
    at: u64,
    len: u64,
}

/// Returns whether the source looks like a zip by its content: it has an end record, or begins with a local header.
pub fn sniff(source: &dyn Blob) -> Result<bool> {
    let tail = Tail::read(source)?;
    Ok(tail.candidates().next().is_some() || begins_with_member(source)?)
}

/// Finds the central directory. Refuses (`Corrupt`) a source without an end record, or with more than one, and
/// totals that contradict each other or the source's length.
pub(super) fn find(source: &dyn Blob) -> Result<Directory> {
    let tail = Tail::read(source)?;
    let chosen = tail.choose()?;
    let mut directory = check(source, chosen)?;
    if directory.base > 0 && tail.trailing(chosen) > 0 {
        return Err(corrupt("the archive is cut short, or bytes stand before and after it"));
    }
    if directory.base > 0 && begins_with_member(source)? {
        return Err(corrupt("another archive stands before this one"));
    }
    for other in tail.candidates().filter(|at| *at != chosen) {
        if stands(source, other)? {
            directory.others.push(other);
        }
    }
    if directory.others.iter().any(|at| *at >= directory.start) {
        return Err(corrupt("there are two end records"));
    }
    Ok(directory)
}

/// Returns an error of kind `Corrupt` with the reason.
#[cold]
pub(super) fn corrupt(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "read archive").because(reason.into())
}

/// Reads exactly `len` bytes at `at`. Refuses (`Corrupt`) a source that ends before.
pub(super) fn read_exactly(source: &dyn Blob, at: u64, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut got = 0;
    while got < len {
        match source.read_at(&mut bytes[got..], at.saturating_add(got as u64))? {
            0 => return Err(corrupt("the archive is cut short")),
            more => got += more,
        }
    }
    Ok(bytes)
}

impl Tail {
    fn read(source: &dyn Blob) -> Result<Self> {
        let len = source.size()?;
        let at = len.saturating_sub(REACH);
        Ok(Self { bytes: read_exactly(source, at, (len - at) as usize)?, at, len })
    }

    /// Returns the places in the source where a record stands with its whole comment, the last first.
    fn candidates(&self) -> impl Iterator<Item = u64> {
        let last = self.bytes.len().saturating_sub(LEN as usize - 1);
        let found = (0..last).rev().filter(|at| self.bytes[*at..].starts_with(SIGNATURE));
        found.map(|at| self.at + at as u64).filter(|at| self.record_end(*at) <= self.len)
    }

    /// Returns the one record that ends the source. Where none does, the last one, with bytes after it.
    fn choose(&self) -> Result<u64> {
        let mut exact = self.candidates().filter(|at| self.trailing(*at) == 0);
        match (exact.next(), exact.next()) {
            (Some(_), Some(_)) => Err(corrupt("there are two end records")),
            (Some(at), None) => Ok(at),
            (None, _) => {
                self.candidates().next().ok_or_else(|| corrupt("no end record: this is no zip, or it is cut short"))
            }
        }
    }

    fn record_end(&self, at: u64) -> u64 {
        let comment = u16_at(&self.bytes, (at - self.at) as usize + 20).unwrap_or(u16::MAX);
        at + LEN + u64::from(comment)
    }

    fn trailing(&self, at: u64) -> u64 {
        self.len - self.record_end(at)
    }
}

fn begins_with_member(source: &dyn Blob) -> Result<bool> {
    let mut head = [0; 4];
    Ok(source.read_at(&mut head, 0)? == 4 && head == LOCAL)
}

/// Returns whether the record at `at` is a true one.
fn stands(source: &dyn Blob, at: u64) -> Result<bool> {
    match check(source, at) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
        Err(error) => Err(error),
    }
}

fn check(source: &dyn Blob, at: u64) -> Result<Directory> {
    let plain = Totals::plain(&read_exactly(source, at, LEN as usize)?).ok_or_else(|| corrupt("no end record"))?;
    let Some((totals, end, base)) = zip64(source, at, &plain)? else {
        return plain.directory(source, at, at, None);
    };
    totals.directory(source, end, at, Some(base))
}

/// Returns the totals and the place of the zip64 end record before a plain one, and the base its locator implies.
fn zip64(source: &dyn Blob, plain_at: u64, plain: &Totals) -> Result<Option<(Totals, u64, u64)>> {
    let Some(locator_at) = plain_at.checked_sub(LOCATOR_LEN) else { return plain.whole().map(|()| None) };
    let locator = read_exactly(source, locator_at, LOCATOR_LEN as usize)?;
    if !locator.starts_with(LOCATOR) {
        return plain.whole().map(|()| None);
    }
    let told = u64_at(&locator, 8).unwrap_or(u64::MAX);
    let at = zip64_place(source, told, locator_at)?;
    let record = read_exactly(source, at, 56)?;
    let end = u64_at(&record, 4).and_then(|len| at.checked_add(12)?.checked_add(len));
    let totals = Totals::wide(&record).ok_or_else(|| corrupt("the zip64 end record is cut short"))?;
    if end != Some(locator_at) {
        return Err(corrupt("the zip64 end record does not end at its locator"));
    }
    plain.agree(&totals)?;
    Ok(Some((totals, at, at - told)))
}

/// Returns where the zip64 end record stands: where it is told to, or shifted by what stands before the archive.
fn zip64_place(source: &dyn Blob, told: u64, locator_at: u64) -> Result<u64> {
    for at in [Some(told), locator_at.checked_sub(56)].into_iter().flatten() {
        let fits = at >= told && at.checked_add(56).is_some_and(|end| end <= locator_at);
        if fits && read_exactly(source, at, 4)? == SIGNATURE_64 {
            return Ok(at);
        }
    }
    Err(corrupt("the zip64 locator points to no zip64 end record"))
}

impl Totals {
    fn plain(record: &[u8]) -> Option<Self> {
        record.starts_with(SIGNATURE).then_some(())?;
        Some(Self {
            disk: u16_at(record, 4)?.into(),
            directory_disk: u16_at(record, 6)?.into(),
            here: u16_at(record, 8)?.into(),
            entries: u16_at(record, 10)?.into(),
            size: u32_at(record, 12)?.into(),
            offset: u32_at(record, 16)?.into(),
        })
    }

    fn wide(record: &[u8]) -> Option<Self> {
        Some(Self {
            disk: u32_at(record, 16)?,
            directory_disk: u32_at(record, 20)?,
            here: u64_at(record, 24)?,
            entries: u64_at(record, 32)?,
            size: u64_at(record, 40)?,
            offset: u64_at(record, 48)?,
        })
    }

    /// Refuses a plain record that refers to a zip64 record where there is none.
    fn whole(&self) -> Result<()> {
        if self.size == u64::from(u32::MAX) || self.offset == u64::from(u32::MAX) {
            return Err(corrupt("the end record refers to a zip64 record that is not there"));
        }
        Ok(())
    }

    /// Refuses a plain record (`self`) that says something else than the zip64 record, where it says something.
    fn agree(&self, wide: &Totals) -> Result<()> {
        let same = |plain: u64, wide: u64, silent: u64| plain == silent || plain == wide;
        let agree = same(self.here, wide.here, 0xffff)
            && same(self.entries, wide.entries, 0xffff)
            && same(self.size, wide.size, 0xffff_ffff)
            && same(self.offset, wide.offset, 0xffff_ffff)
            && same(self.disk.into(), wide.disk.into(), 0xffff)
            && same(self.directory_disk.into(), wide.directory_disk.into(), 0xffff);
        if agree { Ok(()) } else { Err(corrupt("the end record and its zip64 record disagree")) }
    }

    /// Returns where the directory lies that ends at `end`, with the base that was found before, if one was.
    fn directory(&self, source: &dyn Blob, end: u64, record: u64, base: Option<u64>) -> Result<Directory> {
        if self.disk != 0 || self.directory_disk != 0 || self.here != self.entries {
            return Err(corrupt("the archive is split over several disks"));
        }
        let start = end.checked_sub(self.size).ok_or_else(|| corrupt("the directory is longer than the archive"))?;
        let shift = start.checked_sub(self.offset);
        let shift = shift.ok_or_else(|| corrupt("the directory does not end where the end record begins"))?;
        if base.is_some_and(|base| base != shift) {
            return Err(corrupt("the zip64 end record and the directory are shifted differently"));
        }
        if self.entries > self.size / 46 {
            return Err(corrupt("the end record counts more entries than the directory has room for"));
        }
        if self.size > 0 && read_exactly(source, start, 4)? != ENTRY {
            return Err(corrupt("the directory does not end where the end record begins"));
        }
        Ok(Directory { base: shift, start, size: self.size, entries: self.entries, end: record, others: Vec::new() })
    }
}
