//! What an object is beyond what the host's inode holds: owner, special bits, devices, attributes.
//!
//! Stored as bytes, in `<ns>.overlay.ovl_meta` by the kernel's forms and in a file by the portable one:
//! a version byte (1), then fields, each a tag byte, a length (four bytes, little-endian) and that many
//! bytes. Numbers are little-endian. An unknown version or tag is `Corrupt`: a newer ovl wrote it.
//!
//! | tag | field | bytes |
//! |---|---|---|
//! | `k` | kind | 1: `f d l p s c b` |
//! | `m` | mode | 4 |
//! | `u`, `g` | owner, group | 4 each |
//! | `r` | device | major 4, minor 4 |
//! | `x` | attribute | length of the name 2, name, value |
//! | `o` | opaque | 1: 0 or 1 |
//! | `d` | redirect | the redirect |
//! | `a`, `t` | atime, mtime that the host rounds | secs 8, nanos 4, as the host shows it: secs 8, nanos 4 |
//! | `l` | hard-link identity | 16 |

use crate::{Attrs, Change, Device, Error, ErrorKind, Kind, Result, Stat, Time, Xattr};

const VERSION: u8 = 1;

/// A time that the host holds only rounded: it is meant as long as the host still shows the rounded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exact {
    pub(super) time: Time,
    pub(super) shown: Time,
}

/// Facts that stand above those of the inode; `None` leaves the inode's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Option<Kind>,
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) rdev: Option<Device>,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) opaque: Option<bool>,
    pub(super) redirect: Option<Box<[u8]>>,
    pub(super) atime: Option<Exact>,
    pub(super) mtime: Option<Exact>,
    pub(super) link: Option<[u8; 16]>,
}

impl Record {
    /// Returns whether the inode says it all.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what the object is, given what the inode says.
    pub(super) fn apply(&self, mut stat: Stat) -> Stat {
        stat.kind = self.kind.unwrap_or(stat.kind);
        stat.rdev = self.rdev.unwrap_or(stat.rdev);
        stat.attrs = self.attrs(stat.attrs);
        if !matches!(stat.kind, Kind::File | Kind::Symlink) {
            stat.size = 0;
        }
        stat
    }

    fn attrs(&self, inode: Attrs) -> Attrs {
        Attrs {
            mode: self.mode.unwrap_or(inode.mode),
            uid: self.uid.unwrap_or(inode.uid),
            gid: self.gid.unwrap_or(inode.gid),
            atime: exact(self.atime, inode.atime),
            mtime: exact(self.mtime, inode.mtime),
        }
    }

    /// Sets (or with `None` removes) an attribute.
    pub(super) fn set_xattr(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.xattrs.retain(|xattr| &*xattr.name != name);
        if let Some(value) = value {
            self.xattrs.push(Xattr { name: name.into(), value: value.into() });
        }
    }

    /// Takes a change in, above an inode that still says `stat`; marks aside. Times count from now on, though
    /// the host shows others.
    pub(super) fn change(&mut self, change: &Change, stat: &Stat) {
        self.mode = change.mode.or(self.mode);
        if let Some(uid) = change.uid {
            self.uid = (uid != stat.attrs.uid).then_some(uid);
        }
        if let Some(gid) = change.gid {
            self.gid = (gid != stat.attrs.gid).then_some(gid);
        }
        let exact = |time: Option<Time>, shown| time.map(|time| Exact { time, shown });
        self.atime = exact(change.atime, stat.attrs.atime).or(self.atime);
        self.mtime = exact(change.mtime, stat.attrs.mtime).or(self.mtime);
        for (name, value) in &change.xattrs {
            self.set_xattr(name, value.as_deref());
        }
    }

    /// Returns the stored bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![VERSION]);
        out.field(b'k', self.kind.map(|kind| vec![letter(kind)]));
        out.field(b'm', self.mode.map(u32::to_le_bytes));
        out.field(b'u', self.uid.map(u32::to_le_bytes));
        out.field(b'g', self.gid.map(u32::to_le_bytes));
        out.field(b'r', self.rdev.map(|d| [d.major.to_le_bytes(), d.minor.to_le_bytes()].concat()));
        for xattr in &self.xattrs {
            let len = (xattr.name.len() as u16).to_le_bytes();
            out.field(b'x', Some([&len[..], &xattr.name, &xattr.value].concat()));
        }
        out.field(b'o', self.opaque.map(|opaque| [u8::from(opaque)]));
        out.field(b'd', self.redirect.as_deref());
        out.field(b'a', self.atime.map(encode_exact));
        out.field(b't', self.mtime.map(encode_exact));
        out.field(b'l', self.link);
        out.0
    }

    /// Reads stored bytes; `Corrupt` when they are no record that this version knows.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut input = Reader(bytes);
        let mut record = Self::default();
        if input.array()? != [VERSION] {
            return Err(corrupt());
        }
        while !input.0.is_empty() {
            let [tag] = input.array()?;
            let len = u32::from_le_bytes(input.array()?);
            record.read_field(tag, Reader(input.take(len as usize)?))?;
        }
        Ok(record)
    }

    fn read_field(&mut self, tag: u8, mut field: Reader<'_>) -> Result<()> {
        match tag {
            b'k' => self.kind = Some(kind(field.array()?)?),
            b'm' => self.mode = Some(field.u32()?),
            b'u' => self.uid = Some(field.u32()?),
            b'g' => self.gid = Some(field.u32()?),
            b'r' => self.rdev = Some(Device { major: field.u32()?, minor: field.u32()? }),
            b'x' => self.xattrs.push(field.xattr()?),
            b'o' => self.opaque = Some(field.array()? == [1]),
            b'd' => self.redirect = Some(std::mem::take(&mut field.0).into()),
            b'a' => self.atime = Some(Exact { time: field.time()?, shown: field.time()? }),
            b't' => self.mtime = Some(Exact { time: field.time()?, shown: field.time()? }),
            b'l' => self.link = Some(field.array()?),
            _ => return Err(corrupt()),
        }
        if field.0.is_empty() { Ok(()) } else { Err(corrupt()) }
    }
}

fn exact(exact: Option<Exact>, shown: Time) -> Time {
    exact.filter(|exact| exact.shown == shown).map_or(shown, |exact| exact.time)
}

fn encode_exact(exact: Exact) -> Vec<u8> {
    let time = |time: Time| [&time.secs.to_le_bytes()[..], &time.nanos.to_le_bytes()].concat();
    [time(exact.time), time(exact.shown)].concat()
}

fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'f',
        Kind::Dir => b'd',
        Kind::Symlink => b'l',
        Kind::Fifo => b'p',
        Kind::Socket => b's',
        Kind::Char | Kind::Whiteout => b'c',
        Kind::Block => b'b',
    }
}

fn kind(letter: [u8; 1]) -> Result<Kind> {
    Ok(match &letter {
        b"f" => Kind::File,
        b"d" => Kind::Dir,
        b"l" => Kind::Symlink,
        b"p" => Kind::Fifo,
        b"s" => Kind::Socket,
        b"c" => Kind::Char,
        b"b" => Kind::Block,
        _ => return Err(corrupt()),
    })
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "read attribute record").because("damaged, or written by a newer ovl")
}

struct Writer(Vec<u8>);

impl Writer {
    fn field(&mut self, tag: u8, bytes: Option<impl AsRef<[u8]>>) {
        let Some(bytes) = bytes else { return };
        let bytes = bytes.as_ref();
        self.0.push(tag);
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn time(&mut self) -> Result<Time> {
        Ok(Time { secs: i64::from_le_bytes(self.array()?), nanos: self.u32()? })
    }

    fn xattr(&mut self) -> Result<Xattr> {
        let len = u16::from_le_bytes(self.array()?);
        let name = self.take(len.into())?.into();
        Ok(Xattr { name, value: std::mem::take(&mut self.0).into() })
    }
}
