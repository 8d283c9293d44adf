//! The blocks of a tar: headers, PAX records, and the marks of an upper among them.

use crate::{Kind, Time};

/// Everything is written in blocks of this size.
pub(crate) const BLOCK: usize = 512;
/// The record on the first member that says that the tar is an upper of ours.
pub(crate) const COMMENT: &[u8] = b"comment";
/// Its value for whiteouts as the kernel has them.
pub(crate) const UPPER_KERNEL: &[u8] = b"ovl upper export, version 1, kernel";
/// Its value for whiteouts as OCI layers have them.
pub(crate) const UPPER_OCI: &[u8] = b"ovl upper export, version 1, oci";
/// What the name of an extended attribute's record begins with.
pub(crate) const XATTR: &[u8] = b"SCHILY.xattr.";
/// What the kernel's marks begin with; a client's own such attribute has `overlay.` once more (semantics X02).
pub(crate) const OVERLAY: &[u8] = b"trusted.overlay.";
/// What a whiteout's name begins with in an OCI layer.
pub(crate) const WH: &[u8] = b".wh.";
/// The name that makes its directory opaque in an OCI layer.
pub(crate) const WH_OPAQUE: &[u8] = b".wh..wh..opq";

/// A member's header, numbers and names in full length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    pub(crate) path: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: Time,
    pub(crate) typeflag: u8,
    pub(crate) device: (u32, u32),
    /// Further PAX records.
    pub(crate) records: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Returns the type of a member; sockets have none, and a whiteout is a character device.
pub(crate) fn typeflag(kind: Kind) -> Option<u8> {
    match kind {
        Kind::File => Some(b'0'),
        Kind::Symlink => Some(b'2'),
        Kind::Char | Kind::Whiteout => Some(b'3'),
        Kind::Block => Some(b'4'),
        Kind::Dir => Some(b'5'),
        Kind::Fifo => Some(b'6'),
        Kind::Socket => None,
    }
}

/// Returns how many bytes fill the last block of a content.
pub(crate) fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

impl Header {
    /// Returns the blocks before a member's content: what does not fit its header stands in PAX records before it.
    pub(crate) fn blocks(&self) -> Vec<u8> {
        let mut records = Vec::new();
        let mut block = Block::new(self.typeflag);
        block.name(0, 100, &self.path, b"path", &mut records);
        block.number(100, 8, self.mode.into(), b"mode", &mut records);
        block.number(108, 8, self.uid.into(), b"uid", &mut records);
        block.number(116, 8, self.gid.into(), b"gid", &mut records);
        block.number(124, 12, self.size, b"size", &mut records);
        block.time(self.mtime, &mut records);
        block.name(157, 100, &self.target, b"linkpath", &mut records);
        if matches!(self.typeflag, b'3' | b'4') {
            block.number(329, 8, self.device.0.into(), b"SCHILY.devmajor", &mut records);
            block.number(337, 8, self.device.1.into(), b"SCHILY.devminor", &mut records);
        }
        self.records.iter().for_each(|(key, value)| record(&mut records, key, value));
        let mut bytes = if records.is_empty() { Vec::new() } else { extension(&self.path, &records) };
        bytes.extend(block.sealed());
        bytes
    }
}

/// Returns the member that holds PAX records for the next one.
fn extension(path: &[u8], records: &[u8]) -> Vec<u8> {
    let mut block = Block::new(b'x');
    let name = path.strip_suffix(b"/").unwrap_or(path).rsplit(|b| *b == b'/').next().unwrap_or_default();
    let name = [b"PaxHeaders/", &name[..name.len().min(80)]].concat();
    block.0[..name.len()].copy_from_slice(&name);
    let mut none = Vec::new();
    block.number(100, 8, 0o644, b"", &mut none);
    block.number(108, 8, 0, b"", &mut none);
    block.number(116, 8, 0, b"", &mut none);
    block.number(124, 12, records.len() as u64, b"", &mut none);
    block.number(136, 12, 0, b"", &mut none);
    let filled = records.len() + padding(records.len() as u64);
    let mut bytes = Vec::with_capacity(2 * BLOCK + filled);
    bytes.extend(block.sealed());
    bytes.extend(records);
    bytes.resize(BLOCK + filled, 0);
    bytes
}

/// Writes a PAX record: its own length, key and value.
pub(crate) fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    // The length counts its own digits.
    while rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    records.extend(len.to_string().bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Writes a time as PAX has it: a decimal number, its fraction without trailing zeros.
fn decimal(time: Time) -> String {
    // Nanoseconds count forward, also before 1970: -2 s + 0.25 s is -1.75.
    let (negative, secs, nanos) = match (time.secs < 0, time.nanos) {
        (false, nanos) => ("", time.secs.unsigned_abs(), nanos),
        (true, 0) => ("-", time.secs.unsigned_abs(), 0),
        (true, nanos) => ("-", time.secs.unsigned_abs() - 1, 1_000_000_000 - nanos),
    };
    let fraction = format!("{nanos:09}");
    match fraction.trim_end_matches('0') {
        "" => format!("{negative}{secs}"),
        fraction => format!("{negative}{secs}.{fraction}"),
    }
}

/// Fills a field with the octal digits of a number that fits it.
fn octal(field: &mut [u8], mut number: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (number & 7) as u8;
        number >>= 3;
    }
}

/// A header block in the ustar form.
struct Block([u8; BLOCK]);

impl Block {
    fn new(typeflag: u8) -> Self {
        let mut block = [0; BLOCK];
        block[156] = typeflag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        Self(block)
    }

    /// Writes a name, or what of it fits, and then the whole as a record.
    fn name(&mut self, at: usize, width: usize, name: &[u8], key: &[u8], records: &mut Vec<u8>) {
        let fits = name.len().min(width);
        self.0[at..at + fits].copy_from_slice(&name[..fits]);
        if fits < name.len() {
            record(records, key, name);
        }
    }

    /// Writes a number in octal digits and a NUL, or zero, and then the number as a record.
    fn number(&mut self, at: usize, width: usize, number: u64, key: &[u8], records: &mut Vec<u8>) {
        let fits = number < 1 << (3 * (width - 1));
        octal(&mut self.0[at..at + width - 1], if fits { number } else { 0 });
        if !fits {
            record(records, key, number.to_string().as_bytes());
        }
    }

    fn time(&mut self, time: Time, records: &mut Vec<u8>) {
        let secs = u64::try_from(time.secs).unwrap_or(0);
        self.number(136, 12, secs.min((1 << 33) - 1), b"", &mut Vec::new());
        if time.nanos > 0 || time.secs < 0 || secs >= 1 << 33 {
            record(records, b"mtime", decimal(time).as_bytes());
        }
    }

    fn sealed(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        octal(&mut self.0[148..154], sum.into());
        self.0[154] = 0;
        self.0
    }
}
