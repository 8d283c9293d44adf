//! Zips written byte by byte, each field of each record open to a lie.
//!
//! No writer of the world makes the archives that a reader must refuse, so tests make them here.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::{Kind, testing::drawing::Item};

const DESCRIPTOR: u16 = 1 << 3;

/// A member: what both of its headers say, and its stored bytes.
#[derive(Clone, Debug)]
pub struct Member {
    /// What the central record says.
    pub central: Header,
    /// What the local header says.
    pub local: Header,
    /// Whether a descriptor follows the content.
    pub descriptor: bool,
    /// The maker's system: 0 DOS, 3 Unix.
    pub host: u8,
    /// External attributes: a Unix mode in the upper half, DOS attributes in the lowest byte.
    pub external: u32,
    /// The entry's comment.
    pub comment: Vec<u8>,
    /// Where the central record says that the member is, if that is a lie.
    pub offset: Option<u32>,
    /// The stored bytes.
    pub stored: Vec<u8>,
}

/// What a local header and a central record have in common.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// General purpose flags.
    pub flags: u16,
    /// Compression method.
    pub method: u16,
    /// DOS time.
    pub time: u16,
    /// DOS date.
    pub date: u16,
    /// CRC-32 of the content.
    pub crc: u32,
    /// Length of the stored bytes.
    pub packed: u32,
    /// Length of the content.
    pub size: u32,
    /// The name.
    pub name: Vec<u8>,
    /// The extra fields.
    pub extra: Vec<u8>,
}

impl Member {
    /// Returns a stored file with mode 0644, of 1980.
    pub fn stored(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(name.as_ref(), 0, content.as_ref(), content.as_ref().to_vec())
    }

    /// Returns a deflated file.
    pub fn deflated(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        Self::new(name.as_ref(), 8, content.as_ref(), deflate(content.as_ref()))
    }

    /// Returns a file of any method, out of its content and what is stored for it.
    pub fn new(name: &[u8], method: u16, content: &[u8], stored: Vec<u8>) -> Self {
        let header = Header {
            method,
            date: 0x21,
            crc: crc32(content),
            packed: stored.len() as u32,
            size: content.len() as u32,
            name: name.to_vec(),
            ..Header::default()
        };
        Self {
            central: header.clone(),
            local: header,
            descriptor: false,
            host: 3,
            external: 0o100_644 << 16,
            comment: Vec::new(),
            offset: None,
            stored,
        }
    }

    /// Returns a directory; the name should end in `/`.
    pub fn directory(name: impl AsRef<[u8]>) -> Self {
        Self::stored(name, "").mode(0o040_755)
    }

    /// Returns a symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::stored(name, target).mode(0o120_777)
    }

    /// Sets the Unix mode, type bits included.
    pub fn mode(mut self, mode: u16) -> Self {
        self.external = u32::from(mode) << 16;
        self
    }

    /// Adds flags to both headers.
    pub fn flags(mut self, flags: u16) -> Self {
        self.central.flags |= flags;
        self.local.flags |= flags;
        self
    }

    /// Adds an extra field to both headers.
    pub fn extra(mut self, id: u16, body: impl AsRef<[u8]>) -> Self {
        for header in [&mut self.central, &mut self.local] {
            header.extra.extend_from_slice(&field(id, body.as_ref()));
        }
        self
    }

    /// Leaves sizes and CRC-32 to a descriptor behind the content.
    pub fn streamed(mut self) -> Self {
        self.descriptor = true;
        (self.local.crc, self.local.packed, self.local.size) = (0, 0, 0);
        self.flags(DESCRIPTOR)
    }

    /// Changes what the local header says.
    pub fn local(mut self, lie: impl FnOnce(&mut Header)) -> Self {
        lie(&mut self.local);
        self
    }

    /// Changes what the central record says.
    pub fn central(mut self, lie: impl FnOnce(&mut Header)) -> Self {
        lie(&mut self.central);
        self
    }

    /// Returns the member that a test's object is, with its time in an extended timestamp; every other file by its
    /// length is deflated.
    pub fn from_item(item: &Item) -> Self {
        let (bits, content) = match item.kind {
            Kind::Dir => (0o040_000, &item.target),
            Kind::Symlink => (0o120_000, &item.target),
            _ => (0o100_000, &item.content),
        };
        let slash = if item.kind == Kind::Dir { &b"/"[..] } else { b"" };
        let name = [item.path.as_bytes(), slash].concat();
        let member = if content.len() % 2 == 1 { Self::deflated(name, content) } else { Self::stored(name, content) };
        let mtime = item.attrs.mtime.secs as u32;
        member.mode(bits | item.attrs.mode as u16).extra(0x5455, [&[1][..], &mtime.to_le_bytes()].concat())
    }
}

/// The parts of an archive.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// What stands before it.
    pub prefix: Vec<u8>,
    /// Whether its offsets count the prefix.
    pub adjusted: bool,
    /// The members.
    pub members: Vec<Member>,
    /// The order of the central records, where it is not that of the members.
    pub order: Option<Vec<usize>>,
    /// Whether a zip64 end record is written, the plain one silent.
    pub zip64: bool,
    /// The archive's comment.
    pub comment: Vec<u8>,
}

/// An archive as bytes, and where its records are.
#[derive(Clone, Debug)]
pub struct Built {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where each member begins.
    pub members: Vec<usize>,
    /// Where the central directory begins.
    pub directory: usize,
    /// Where the zip64 end record begins, or the plain one.
    pub end: usize,
    /// Where the plain end record begins.
    pub plain_end: usize,
}

impl Archive {
    /// Returns an archive of these members.
    pub fn of(members: impl Into<Vec<Member>>) -> Self {
        Self { members: members.into(), ..Self::default() }
    }

    /// Writes it.
    pub fn build(&self) -> Built {
        let mut bytes = self.prefix.clone();
        let base = if self.adjusted { 0 } else { bytes.len() };
        let mut members = Vec::new();
        for member in &self.members {
            members.push(bytes.len());
            bytes.extend_from_slice(&member.local_bytes());
        }
        let directory = bytes.len();
        let order = self.order.clone().unwrap_or_else(|| (0..members.len()).collect());
        for at in &order {
            bytes.extend_from_slice(&self.members[*at].central_bytes((members[*at] - base) as u32));
        }
        let end = bytes.len();
        let totals = [order.len() as u64, (end - directory) as u64, (directory - base) as u64];
        if self.zip64 {
            bytes.extend_from_slice(&zip64_end(totals, (end - base) as u64));
        }
        let plain_end = bytes.len();
        bytes.extend_from_slice(&plain_end_record(if self.zip64 { [u64::MAX; 3] } else { totals }, &self.comment));
        Built { bytes, members, directory, end, plain_end }
    }
}

impl Built {
    /// Overwrites bytes at a place.
    pub fn patch(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

/// Returns an archive of these members as bytes.
pub fn archive(members: impl Into<Vec<Member>>) -> Vec<u8> {
    Archive::of(members).build().bytes
}

/// Returns an extra field.
pub fn field(id: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = [id.to_le_bytes(), (body.len() as u16).to_le_bytes()].concat();
    bytes.extend_from_slice(body);
    bytes
}

/// Returns the CRC-32 of some bytes.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Deflates some bytes.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut coder = Compress::new(Compression::default(), false);
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    let status = coder.compress_vec(bytes, &mut out, FlushCompress::Finish).expect("deflating memory works");
    assert_eq!(status, Status::StreamEnd, "the output has room");
    out
}

impl Member {
    /// Returns the local header, the content and the descriptor, if one was asked for.
    pub fn local_bytes(&self) -> Vec<u8> {
        let header = &self.local;
        let mut bytes = b"PK\x03\x04\x14\0".to_vec();
        header.write(&mut bytes);
        bytes.extend_from_slice(&header.name);
        bytes.extend_from_slice(&header.extra);
        bytes.extend_from_slice(&self.stored);
        if self.descriptor {
            bytes.extend_from_slice(b"PK\x07\x08");
            for number in [self.central.crc, self.central.packed, self.central.size] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes
    }

    /// Returns the central record of a member at `offset`.
    pub fn central_bytes(&self, offset: u32) -> Vec<u8> {
        let header = &self.central;
        let mut bytes = vec![b'P', b'K', 1, 2, 20, self.host, 20, 0];
        header.write(&mut bytes);
        bytes.extend_from_slice(&(self.comment.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.external.to_le_bytes());
        bytes.extend_from_slice(&self.offset.unwrap_or(offset).to_le_bytes());
        bytes.extend_from_slice(&header.name);
        bytes.extend_from_slice(&header.extra);
        bytes.extend_from_slice(&self.comment);
        bytes
    }
}

impl Header {
    fn write(&self, bytes: &mut Vec<u8>) {
        for number in [self.flags, self.method, self.time, self.date] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.crc, self.packed, self.size] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for len in [self.name.len(), self.extra.len()] {
            bytes.extend_from_slice(&(len as u16).to_le_bytes());
        }
    }
}

/// Returns a zip64 end record for [entries, directory bytes, directory offset], and its locator.
fn zip64_end([entries, size, offset]: [u64; 3], at: u64) -> Vec<u8> {
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend_from_slice(&44_u64.to_le_bytes());
    bytes.extend_from_slice(&[45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [entries, entries, size, offset] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(b"PK\x06\x07\0\0\0\0");
    bytes.extend_from_slice(&at.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    bytes
}

fn plain_end_record([entries, size, offset]: [u64; 3], comment: &[u8]) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
    for _ in 0..2 {
        bytes.extend_from_slice(&(entries.min(0xffff) as u16).to_le_bytes());
    }
    for number in [size, offset] {
        bytes.extend_from_slice(&(number.min(u32::MAX.into()) as u32).to_le_bytes());
    }
    bytes.extend_from_slice(&(comment.len() as u16).to_le_bytes());
    bytes.extend_from_slice(comment);
    bytes
}
