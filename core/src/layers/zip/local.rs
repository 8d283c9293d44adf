//! The local header in front of a member: where its content begins, and that it says what the directory says.

use rawzip::extra_fields::{ExtraFieldId, ExtraFields};

use super::{
    end::{corrupt, read_exactly},
    index::{Index, Record},
    le::{u16_at, u32_at, u64_at},
    spans::Span,
};
use crate::{Blob, Result};

const LEN: usize = 30;
const SIGNATURE: &[u8] = b"PK\x03\x04";

pub(super) const ENCRYPTED: u16 = 1;
const DESCRIPTOR: u16 = 1 << 3;
const STRONG: u16 = 1 << 6;
const UTF8: u16 = 1 << 11;
const MASKED: u16 = 1 << 13;
/// Flags on which both headers must agree; the others are hints to the coder.
const WEIGHTY: u16 = ENCRYPTED | 1 << 5 | STRONG | MASKED;

/// A local header that agrees with the directory.
pub(super) struct Local {
    /// Where the content begins, from the start of the archive proper.
    pub(super) data: u64,
    /// The length of its extra fields.
    pub(super) extra: u16,
    /// Of an encrypted member, DOS date and time, date in the upper half.
    pub(super) time: u32,
    /// The extra fields without which an encrypted member cannot be read.
    pub(super) lock: Box<[u8]>,
}

/// Reads the header of a record. Refuses (`Corrupt`) one that contradicts the directory in name, method, flags,
/// sizes or CRC-32 (trust T11), or whose extra fields push the content onto what follows.
pub(super) fn read(source: &dyn Blob, base: u64, index: &Index, id: u32) -> Result<Local> {
    let record = &index.records[id as usize];
    let name_len = index.written_len(id);
    let at = base + record.local;
    let header = read_exactly(source, at, LEN + name_len)?;
    let (fixed, name) = header.split_at(LEN);
    let field = |at| u16_at(fixed, at).unwrap_or_default();
    if !fixed.starts_with(SIGNATURE) {
        return Err(corrupt("no local header stands where the directory says"));
    }
    let flags = field(6);
    if flags & MASKED == 0 && (usize::from(field(26)) != name_len || !index.is_written(id, name)) {
        return Err(contradicts("name"));
    }
    if field(8) != record.method {
        return Err(contradicts("method"));
    }
    if (flags ^ record.flags) & weighty(name) != 0 {
        return Err(contradicts("flags"));
    }
    if field(28) > record.room {
        return Err(corrupt("a member overlaps the next one"));
    }
    let extra = read_exactly(source, at + header.len() as u64, field(28).into())?;
    if flags & MASKED == 0 {
        sizes(fixed, &extra, record)?;
    }
    let encrypted = record.flags & ENCRYPTED != 0;
    let time = u32_at(fixed, 10).filter(|_| encrypted).unwrap_or_default();
    Ok(Local { time, lock: lock(&extra, record), ..known(index, id, field(28)) })
}

/// Returns what [`read`] returns for a member that is not encrypted and whose header is known to agree.
pub(super) fn known(index: &Index, id: u32, extra: u16) -> Local {
    let data = index.records[id as usize].local + (LEN + index.written_len(id)) as u64 + u64::from(extra);
    Local { data, extra, time: 0, lock: Box::default() }
}

/// Returns where the content of a member ends whose span was taken from the directory: behind the extra fields too.
pub(super) fn end(source: &dyn Blob, base: u64, span: Span) -> Result<u64> {
    let header = read_exactly(source, base + span.start, LEN)?;
    Ok(span.end + u64::from(u16_at(&header, 28).unwrap_or_default()))
}

fn contradicts(what: &str) -> crate::Error {
    corrupt(format!("the local header of a member contradicts the directory: another {what}"))
}

/// The UTF-8 flag weighs only where it changes how a name reads.
fn weighty(name: &[u8]) -> u16 {
    if name.is_ascii() { WEIGHTY } else { WEIGHTY | UTF8 }
}

/// Compares CRC-32 and sizes. When a descriptor follows the content, the header may leave them out as zeros.
fn sizes(fixed: &[u8], extra: &[u8], record: &Record) -> Result<()> {
    let field = |at| u32_at(fixed, at).unwrap_or_default();
    let (packed, size) = wide_sizes(field(18), field(22), extra);
    let streamed = (record.flags | u16_at(fixed, 6).unwrap_or_default()) & DESCRIPTOR != 0;
    let same = |local: u64, central: u64| local == central || (streamed && local == 0);
    if !same(field(14).into(), record.crc.into()) {
        return Err(contradicts("CRC-32"));
    }
    let silent = |short: u32, wide: u64| streamed && short == u32::MAX && wide == u64::from(u32::MAX);
    let fits = |short, wide, central| same(wide, central) || silent(short, wide);
    if !fits(field(18), packed, record.packed) || !fits(field(22), size, record.size) {
        return Err(contradicts("size"));
    }
    Ok(())
}

/// Returns packed and whole size, out of the zip64 field where the short ones refer to it.
fn wide_sizes(packed: u32, size: u32, extra: &[u8]) -> (u64, u64) {
    let zip64 = ExtraFields::new(extra).find(|(id, _)| *id == ExtraFieldId::ZIP64).map_or(&[][..], |(_, body)| body);
    let mut next = 0;
    let mut wide = |short: u32| {
        if short != u32::MAX {
            return short.into();
        }
        let found = u64_at(zip64, next).unwrap_or(short.into());
        next += 8;
        found
    };
    let size = wide(size);
    (wide(packed), size)
}

/// Returns the fields that describe the encryption: AES (0x9901) and strong encryption (0x0017).
fn lock(extra: &[u8], record: &Record) -> Box<[u8]> {
    let mut kept = Vec::new();
    if record.flags & ENCRYPTED == 0 {
        return kept.into();
    }
    for (id, body) in ExtraFields::new(extra) {
        if matches!(id, ExtraFieldId::AES | ExtraFieldId::STRONG_ENCRYPTION_HEADER) {
            kept.extend_from_slice(&id.as_u16().to_le_bytes());
            kept.extend_from_slice(&(body.len() as u16).to_le_bytes());
            kept.extend_from_slice(body);
        }
    }
    kept.into()
}
