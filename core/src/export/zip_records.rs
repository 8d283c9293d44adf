//! The records of a zip: what stands before and behind a member's bytes, and the directory at the end.
//!
//! Sizes and CRC-32 stand before the bytes where they are known, else in a descriptor behind them. The wide forms
//! (zip64) are used where a number does not fit, and only there.

use crate::{Attrs, Device, Kind, Result, Time};

use super::Out;

pub(super) const ENCRYPTED: u16 = 1;
pub(super) const DESCRIPTOR: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;
/// A number that does not fit stands in a zip64 field.
const WIDE: u64 = u32::MAX as u64;
const MADE_ON_UNIX: u16 = 3 << 8;

const EXTENDED_TIMES: u16 = 0x5455;
const NTFS_TIMES: u16 = 0x000a;
const OWNER: u16 = 0x7875;
const DEVICE: u16 = 0x000d;
const ZIP64: u16 = 0x0001;

/// What both headers of a member say.
pub(super) struct Head {
    /// The name, that of a directory with a slash at its end.
    pub(super) name: Vec<u8>,
    /// Flags beside that of UTF-8.
    pub(super) flags: u16,
    pub(super) method: u16,
    /// DOS date (upper half) and time.
    pub(super) time: u32,
    /// The Unix mode with its type bits.
    pub(super) mode: u32,
    /// Extra fields.
    pub(super) extra: Vec<u8>,
}

/// The numbers of a member's bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
}

/// The directory as it grows: some 100 bytes a member.
#[derive(Default)]
pub(super) struct Directory {
    records: Vec<u8>,
    count: u64,
}

impl Head {
    fn all_flags(&self) -> u16 {
        let marked = !self.name.is_ascii() && std::str::from_utf8(&self.name).is_ok();
        if marked { self.flags | UTF8 } else { self.flags }
    }

    /// Returns the version that a reader must have: 2.0, and for zip64 4.5, for AES 5.1.
    fn needs(&self, wide: bool) -> u16 {
        match self.method {
            99 => 51,
            _ if wide => 45,
            _ => 20,
        }
    }

    fn fixed(&self, version: u16, sums: [u32; 3], extra: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        short(&mut bytes, &[version, self.all_flags(), self.method]);
        long(&mut bytes, &[self.time, sums[0], sums[1], sums[2]]);
        short(&mut bytes, &[self.name.len() as u16, extra as u16]);
        bytes
    }

    /// Returns the local header. Without sums a descriptor must follow the bytes, a wide one when `wide` is set.
    pub(super) fn local(&self, sums: Option<Sums>, wide: bool) -> Vec<u8> {
        let known = sums.unwrap_or_default();
        let mut extra = self.extra.clone();
        if wide {
            field(&mut extra, ZIP64, &[known.size.to_le_bytes(), known.packed.to_le_bytes()].concat());
        }
        let size = |size: u64| if wide { u32::MAX } else { size as u32 };
        let numbers = [known.crc, size(known.packed), size(known.size)];
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend(self.fixed(self.needs(wide), numbers, extra.len()));
        bytes.extend_from_slice(&self.name);
        bytes.extend(extra);
        bytes
    }
}

impl Sums {
    /// Returns whether a size needs the wide form.
    pub(super) fn is_wide(&self) -> bool {
        self.packed >= WIDE || self.size >= WIDE
    }

    /// Returns the descriptor behind a member's bytes.
    pub(super) fn descriptor(&self, wide: bool) -> Vec<u8> {
        let mut bytes = b"PK\x07\x08".to_vec();
        long(&mut bytes, &[self.crc]);
        match wide {
            true => [self.packed, self.size].iter().for_each(|size| bytes.extend(size.to_le_bytes())),
            false => long(&mut bytes, &[self.packed as u32, self.size as u32]),
        }
        bytes
    }
}

impl Directory {
    /// Adds the record of a member whose local header stands at `at`.
    pub(super) fn add(&mut self, head: &Head, sums: &Sums, at: u64) {
        let mut wide = Vec::new();
        let mut number = |number: u64| {
            if number < WIDE {
                return number as u32;
            }
            wide.extend(number.to_le_bytes());
            u32::MAX
        };
        let (size, packed, offset) = (number(sums.size), number(sums.packed), number(at));
        let mut extra = head.extra.clone();
        if !wide.is_empty() {
            field(&mut extra, ZIP64, &wide);
        }
        let version = head.needs(!wide.is_empty());
        self.records.extend(b"PK\x01\x02");
        short(&mut self.records, &[MADE_ON_UNIX | version]);
        self.records.extend(head.fixed(version, [sums.crc, packed, size], extra.len()));
        short(&mut self.records, &[0, 0, 0]);
        let dos_directory = u32::from(head.name.ends_with(b"/")) << 4;
        long(&mut self.records, &[head.mode << 16 | dos_directory, offset]);
        self.records.extend_from_slice(&head.name);
        self.records.extend(extra);
        self.count += 1;
    }

    /// Writes the directory and the end record, the wide one where a number asks for it.
    pub(super) fn finish(&mut self, out: &mut Out<'_>, comment: &[u8]) -> Result<()> {
        let (start, size) = (out.at, self.records.len() as u64);
        out.put(&std::mem::take(&mut self.records))?;
        let is_wide = self.count >= u16::MAX.into() || start >= WIDE || size >= WIDE;
        let mut end = if is_wide { self.wide_end(start, size) } else { Vec::new() };
        let count = self.count.min(u16::MAX.into()) as u16;
        end.extend(b"PK\x05\x06");
        short(&mut end, &[0, 0, count, count]);
        long(&mut end, &[size.min(WIDE) as u32, start.min(WIDE) as u32]);
        short(&mut end, &[comment.len() as u16]);
        end.extend(comment);
        out.put(&end)
    }

    fn wide_end(&self, start: u64, size: u64) -> Vec<u8> {
        let mut bytes = b"PK\x06\x06".to_vec();
        bytes.extend(44_u64.to_le_bytes());
        short(&mut bytes, &[MADE_ON_UNIX | 45, 45]);
        long(&mut bytes, &[0, 0]);
        [self.count, self.count, size, start].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend((start + size).to_le_bytes());
        long(&mut bytes, &[1]);
        bytes
    }
}

/// Returns the mode with the type bits of a kind; a whiteout is a character device.
pub(super) fn unix_mode(kind: Kind, mode: u32) -> u32 {
    let bits = match kind {
        Kind::File => 0o100_000,
        Kind::Dir => 0o040_000,
        Kind::Symlink => 0o120_000,
        Kind::Fifo => 0o010_000,
        Kind::Socket => 0o140_000,
        Kind::Char | Kind::Whiteout => 0o020_000,
        Kind::Block => 0o060_000,
    };
    bits | mode & 0o7777
}

/// Returns the extra fields for times, owner and device; those that say nothing are left out.
pub(super) fn extra(attrs: &Attrs, device: Option<Device>) -> Vec<u8> {
    let mut extra = Vec::new();
    let secs = i32::try_from(attrs.mtime.secs).ok();
    if let Some(secs) = secs {
        field(&mut extra, EXTENDED_TIMES, &[&[1][..], &secs.to_le_bytes()].concat());
    }
    if let Some(ticks) = ntfs_ticks(attrs.mtime).filter(|_| attrs.mtime.nanos > 0 || secs.is_none()) {
        let times = [ticks.to_le_bytes(); 3].concat();
        field(&mut extra, NTFS_TIMES, &[&[0, 0, 0, 0, 1, 0, 24, 0][..], &times].concat());
    }
    if (attrs.uid, attrs.gid) != (0, 0) {
        let ids = [&[1, 4][..], &attrs.uid.to_le_bytes(), &[4], &attrs.gid.to_le_bytes()].concat();
        field(&mut extra, OWNER, &ids);
    }
    if let Some(device) = device {
        field(&mut extra, DEVICE, &device_field(attrs, device));
    }
    extra
}

/// Returns times and ids in the widths of the old format, then the numbers of a device.
fn device_field(attrs: &Attrs, device: Device) -> Vec<u8> {
    let secs = u32::try_from(attrs.mtime.secs).unwrap_or(0);
    let mut bytes = Vec::new();
    long(&mut bytes, &[secs, secs]);
    short(&mut bytes, &[attrs.uid as u16, attrs.gid as u16]);
    long(&mut bytes, &[device.major, device.minor]);
    bytes
}

/// Returns the time in ticks of 100 ns since 1601, unless that is out of range.
fn ntfs_ticks(time: Time) -> Option<u64> {
    let secs = u64::try_from(time.secs.checked_add(11_644_473_600)?).ok()?;
    secs.checked_mul(10_000_000)?.checked_add(u64::from(time.nanos / 100))
}

/// Returns whether the fields of [`extra`] hold a time exactly.
pub(super) fn holds_time(time: Time) -> bool {
    time.nanos.is_multiple_of(100)
        && (ntfs_ticks(time).is_some() || (time.nanos == 0 && i32::try_from(time.secs).is_ok()))
}

/// Returns DOS date (upper half) and time, in UTC; what is before 1980 or after 2107 is drawn to the nearest.
pub(super) fn dos_time(time: Time) -> u32 {
    let secs = time.secs.clamp(315_532_800, 4_354_819_198);
    let (days, rest) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = civil(days);
    let date = (year - 1980) << 9 | month << 5 | day;
    let clock = (rest / 3600) << 11 | (rest / 60 % 60) << 5 | (rest % 60 / 2);
    (date << 16 | clock) as u32
}

/// Returns year, month and day of a count of days since 1970, for days after 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 1 March 0000 in eras of 400 years, a leap day ends its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, late) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + late, month, of_month)
}

pub(super) fn field(extra: &mut Vec<u8>, id: u16, body: &[u8]) {
    short(extra, &[id, body.len() as u16]);
    extra.extend_from_slice(body);
}

fn short(bytes: &mut Vec<u8>, numbers: &[u16]) {
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
}

fn long(bytes: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
}
