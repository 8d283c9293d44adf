//! The headers of a tar: ustar, GNU and PAX, read by one rule each (trust T12).
//!
//! Two programs must not see two different trees in one tar, so whatever says a thing twice in two ways is refused:
//! a PAX size beside another one in the header, a long name in two forms, a record that comes twice.

use super::corrupt;
use crate::{Blob, Result, Time, export::tar_format::BLOCK, sorted::Sorted};

/// The most bytes of names and records before one member.
const LARGEST: u64 = 1 << 20;

/// PAX records.
type Records = Sorted<Box<[u8]>, Box<[u8]>>;

/// A member: what its headers say, and where its content begins.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) typeflag: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: Time,
    pub(super) device: (u32, u32),
    /// The PAX records.
    pub(super) records: Records,
    /// Where the content begins.
    pub(super) data: u64,
}

/// What stands before a member's own header.
#[derive(Default)]
struct Prefix {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// Returns whether a header block stands at the start, or the end of an empty tar.
pub(super) fn sniff(source: &dyn Blob) -> Result<bool> {
    let size = source.size()?;
    if size < BLOCK as u64 {
        return Ok(false);
    }
    let block = Block::read(source, 0)?;
    Ok(block.is_sealed() || (block.is_zero() && size.is_multiple_of(BLOCK as u64)))
}

/// Reads the headers of the member at `at`, or `None` at the end: two blocks of zeros, or nothing more.
///
/// Refuses (`Corrupt`) a bad checksum, what is cut short, data behind a single block of zeros, and contradictions.
pub(super) fn read(source: &dyn Blob, mut at: u64) -> Result<Option<Header>> {
    let mut prefix = Prefix::default();
    loop {
        if at == source.size()? {
            return prefix.must_be_empty().map(|()| None);
        }
        let block = Block::read(source, at)?;
        at += BLOCK as u64;
        if block.is_zero() {
            prefix.must_be_empty()?;
            let ends = at == source.size()? || Block::read(source, at)?.is_zero();
            return if ends { Ok(None) } else { Err(corrupt("a single block of zeros stands in the tar")) };
        }
        if !block.is_sealed() {
            return Err(corrupt("the checksum of a tar header is wrong"));
        }
        let size = block.number(124, 12)?;
        let Some(body) = prefix.take(source, &block, at, size)? else {
            return prefix.member(&block, at, size).map(Some);
        };
        at = body;
    }
}

impl Prefix {
    fn must_be_empty(&self) -> Result<()> {
        let is_empty = self.records.is_none() && self.name.is_none() && self.target.is_none();
        if is_empty { Ok(()) } else { Err(corrupt("the tar ends behind records for a member that is not there")) }
    }

    /// Takes in a header that belongs to the next one, and returns where that is; `None` for a member's own.
    fn take(&mut self, source: &dyn Blob, block: &Block, at: u64, size: u64) -> Result<Option<u64>> {
        let twice = match block.typeflag() {
            b'x' => self.records.replace(records(&content(source, at, size)?)?).is_some(),
            b'g' => {
                let global = records(&content(source, at, size)?)?;
                let weighty = [&b"path"[..], b"linkpath", b"size"];
                weighty.iter().any(|key| global.get(*key).is_some())
            }
            b'L' => self.name.replace(until_nul(&content(source, at, size)?)).is_some(),
            b'K' => self.target.replace(until_nul(&content(source, at, size)?)).is_some(),
            _ => return Ok(None),
        };
        if twice {
            return Err(corrupt("a tar says the name or size of a member twice"));
        }
        Ok(Some(after(at, size)?))
    }

    fn member(self, block: &Block, data: u64, size: u64) -> Result<Header> {
        let records = self.records.unwrap_or_default();
        let text = |key: &[u8]| records.get(key).map(|value| &**value);
        let number = |key: &[u8], else_: u64| text(key).map_or(Ok(else_), decimal);
        let narrow = |number: u64| u32::try_from(number).map_err(|_| corrupt("a number in a tar header is too large"));
        let header = Header {
            path: one_of(self.name, text(b"path"), || block.path())?,
            target: one_of(self.target, text(b"linkpath"), || until_nul(block.part(157, 100)))?,
            typeflag: block.typeflag(),
            mode: (block.number(100, 8)? & 0o7777) as u32,
            uid: narrow(number(b"uid", block.number(108, 8)?)?)?,
            gid: narrow(number(b"gid", block.number(116, 8)?)?)?,
            size: number(b"size", size)?,
            mtime: text(b"mtime").map_or_else(|| block.time(), time)?,
            device: (
                narrow(number(b"SCHILY.devmajor", block.number(329, 8)?)?)?,
                narrow(number(b"SCHILY.devminor", block.number(337, 8)?)?)?,
            ),
            data,
            records: Sorted::default(),
        };
        // A header holds any size below 8 GiB: then a record may repeat it, not change it.
        if size != 0 && size != header.size && header.size < 1 << 33 {
            return Err(corrupt("a tar says two sizes of a member"));
        }
        Ok(Header { records, ..header })
    }
}

impl Header {
    /// Returns where the next header is. Refuses content that is cut short (`Corrupt`).
    pub(super) fn next(&self, source: &dyn Blob) -> Result<u64> {
        let end = self.data.checked_add(self.size).filter(|end| source.size().is_ok_and(|size| *end <= size));
        end.ok_or_else(|| corrupt("the tar is cut short"))?;
        // The last member's padding may be missing.
        Ok(after(self.data, self.size)?.min(source.size()?))
    }
}

/// Returns where the block behind a content is.
fn after(data: u64, size: u64) -> Result<u64> {
    let blocks = size.div_ceil(BLOCK as u64).checked_mul(BLOCK as u64);
    blocks.and_then(|len| data.checked_add(len)).ok_or_else(|| corrupt("a size in the tar is too large"))
}

fn content(source: &dyn Blob, at: u64, size: u64) -> Result<Vec<u8>> {
    if size > LARGEST {
        return Err(corrupt("the records of a member are too long"));
    }
    let mut bytes = vec![0; size as usize];
    read_exactly(source, at, &mut bytes)?;
    Ok(bytes)
}

fn read_exactly(source: &dyn Blob, at: u64, buf: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match source.read_at(&mut buf[done..], at + done as u64)? {
            0 => return Err(corrupt("the tar is cut short")),
            got => done += got,
        }
    }
    Ok(())
}

/// Chooses between a GNU long name, a PAX record and the header; the first two must not differ.
fn one_of(long: Option<Vec<u8>>, record: Option<&[u8]>, short: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>> {
    match (long, record) {
        (Some(long), Some(record)) if long != record => Err(corrupt("a tar says two names of a member")),
        (_, Some(record)) if record.contains(&0) => Err(corrupt("a name in a PAX record has a NUL byte")),
        (Some(long), _) => Ok(long),
        (_, Some(record)) => Ok(record.to_vec()),
        _ => Ok(short()),
    }
}

/// Reads PAX records: length, key, `=`, value, newline.
fn records(mut bytes: &[u8]) -> Result<Records> {
    let damaged = || corrupt("a PAX record is damaged");
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ').ok_or_else(damaged)?;
        let len = usize::try_from(decimal(&bytes[..space])?).map_err(|_| damaged())?;
        let (whole, rest) = bytes.split_at_checked(len).ok_or_else(damaged)?;
        let text = whole.get(space + 1..).and_then(|text| text.strip_suffix(b"\n")).ok_or_else(damaged)?;
        let equals = text.iter().position(|b| *b == b'=').ok_or_else(damaged)?;
        records.push((text[..equals].into(), text[equals + 1..].into()));
        bytes = rest;
    }
    Sorted::of(records).map_err(|_| corrupt("a PAX record comes twice"))
}

fn decimal(digits: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| corrupt("a number in a PAX record is damaged"))
}

/// Reads a time as PAX has it: a decimal number with a fraction; what is finer than a nanosecond is cut off.
fn time(text: &[u8]) -> Result<Time> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let mut parts = text.splitn(2, |b| *b == b'.');
    let secs = i64::try_from(decimal(parts.next().unwrap_or_default())?);
    let secs = secs.map_err(|_| corrupt("a time in a PAX record is too large"))?;
    let mut fraction = parts.next().unwrap_or_default().to_vec();
    fraction.resize(9, b'0');
    let nanos = decimal(&fraction)? as u32;
    Ok(match (negative, nanos) {
        (false, nanos) => Time { secs, nanos },
        (true, 0) => Time { secs: -secs, nanos: 0 },
        (true, nanos) => Time { secs: -secs - 1, nanos: 1_000_000_000 - nanos },
    })
}

fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|b| *b == 0).next().unwrap_or_default().to_vec()
}

/// A header block.
struct Block([u8; BLOCK]);

impl Block {
    fn read(source: &dyn Blob, at: u64) -> Result<Self> {
        let mut block = [0; BLOCK];
        read_exactly(source, at, &mut block)?;
        Ok(Self(block))
    }

    fn part(&self, at: usize, len: usize) -> &[u8] {
        &self.0[at..at + len]
    }

    fn is_zero(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    fn typeflag(&self) -> u8 {
        self.0[156]
    }

    /// Returns whether the checksum fits: the sum of all bytes, its own field counted as spaces.
    fn is_sealed(&self) -> bool {
        let around = self.0[..148].iter().chain(&self.0[156..]);
        let sum: u64 = around.map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ');
        !self.is_zero() && self.number(148, 8).is_ok_and(|said| said == sum)
    }

    /// Returns the name; only POSIX headers have a part of it elsewhere.
    fn path(&self) -> Vec<u8> {
        let name = until_nul(self.part(0, 100));
        let prefix = if self.part(257, 6) == b"ustar\0" { until_nul(self.part(345, 155)) } else { Vec::new() };
        if prefix.is_empty() { name } else { [&prefix[..], b"/", &name].concat() }
    }

    fn time(&self) -> Result<Time> {
        let secs = i64::try_from(self.number(136, 12)?).map_err(|_| corrupt("a time in a tar header is too large"))?;
        Ok(Time { secs, nanos: 0 })
    }

    /// Returns a number: octal digits among spaces and NULs, or with the highest bit set the plain number.
    fn number(&self, at: usize, len: usize) -> Result<u64> {
        let damaged = || corrupt("a number in a tar header is damaged");
        let field = self.part(at, len);
        if let [0x80, number @ ..] = field {
            let (high, low) = number.split_at(number.len() - 8.min(number.len()));
            let fits = high.iter().all(|byte| *byte == 0);
            let number = low.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            return if fits { Ok(number) } else { Err(damaged()) };
        }
        let text = field.trim_ascii_start();
        let digits = text.iter().take_while(|b| matches!(b, b'0'..=b'7')).count();
        let clean = text[digits..].iter().all(|b| matches!(b, 0 | b' '));
        let number = text[..digits].iter().fold(0u64, |number, digit| number << 3 | u64::from(digit - b'0'));
        if clean { Ok(number) } else { Err(damaged()) }
    }
}
