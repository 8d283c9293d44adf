//! Reading a tar: an exported upper in either dialect of whiteouts, or any other.
//!
//! In any other tar `.wh.` is part of a name, a device 0/0 is left out, and marks of an overlay are a client's
//! attributes like others (trust T8, T9). In an export of ours everything must fit, or the whole is refused.

use std::{any::Any, ops::Range, sync::Arc};

pub(super) use super::tar_header::sniff;
use super::{Archive, Entry, corrupt, tar_header};
use crate::{
    Attrs, Blob, Device, Kind, Marks, Name, Omitted, Opaque, Result, Stored, VPath, Xattr,
    export::tar_format::{COMMENT, OVERLAY, UPPER_KERNEL, UPPER_OCI, WH, WH_OPAQUE, XATTR},
    overlay::Item,
};

/// A tar being read.
pub(super) struct Tar {
    source: Arc<dyn Blob>,
    at: u64,
    dialect: Dialect,
    omitted: Vec<Omitted>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// No export of an upper.
    Plain,
    Kernel,
    Oci,
}

impl Tar {
    pub(super) fn open(source: Arc<dyn Blob>) -> Result<Self> {
        let first = tar_header::read(&*source, 0)?;
        let comment = first.as_ref().and_then(|header| header.records.get(COMMENT));
        let dialect = match comment.map(|comment| &**comment) {
            Some(UPPER_KERNEL) => Dialect::Kernel,
            Some(UPPER_OCI) => Dialect::Oci,
            _ => Dialect::Plain,
        };
        Ok(Self { source, at: 0, dialect, omitted: Vec::new() })
    }

    /// Returns the entry of a member, `None` for one that is left out or the root itself.
    fn entry(&mut self, header: &tar_header::Header) -> Result<Option<Entry>> {
        let Some(path) = self.path(&header.path)? else { return Ok(None) };
        if path.is_root() {
            return Ok(None);
        }
        if let (Dialect::Oci, Some(entry)) = (self.dialect, whiteout(&path)?) {
            return Ok(Some(entry));
        }
        let Some(kind) = kind(header) else {
            return self.leave_out(&header.path, "it is of a kind that is not known here");
        };
        if header.size > 0 && (kind != Kind::File || header.typeflag == b'1') {
            return Err(corrupt("a member that is no file has content"));
        }
        let rdev = Device { major: header.device.0, minor: header.device.1 };
        if kind == Kind::Char && rdev == Device::default() {
            return match self.dialect {
                Dialect::Kernel => Ok(Some(Entry::Object(item(path, Kind::Whiteout)))),
                _ => self.leave_out(&header.path, "a character device 0/0 would hide what lies below"),
            };
        }
        let link = if header.typeflag == b'1' { Some(self.path(&header.target)?) } else { None };
        let link = match link {
            Some(None) => return self.leave_out(&header.path, "it is a link to no valid path"),
            link => link.flatten(),
        };
        let (marks, xattrs) = self.attributes(header)?;
        let time = header.mtime;
        let attrs = Attrs { mode: header.mode, uid: header.uid, gid: header.gid, atime: time, mtime: time };
        let target = if kind == Kind::Symlink { header.target.clone() } else { Vec::new() };
        let content = (kind == Kind::File && link.is_none()).then(|| self.content(header));
        Ok(Some(Entry::Object(Item { path, kind, attrs, rdev, target, xattrs, marks, link, content })))
    }

    fn content(&self, header: &tar_header::Header) -> Arc<dyn Blob> {
        Arc::new(Section { source: self.source.clone(), start: header.data, len: header.size })
    }

    /// Returns the path of a name; `./` in front and `/` behind are no part of it. One that no tree can hold is left
    /// out, or in an export of ours refused (trust T1).
    fn path(&mut self, name: &[u8]) -> Result<Option<VPath>> {
        let mut clean = name;
        while let Some(rest) = clean.strip_prefix(b"./") {
            clean = rest;
        }
        let clean = clean.strip_suffix(b"/").unwrap_or(clean);
        match VPath::parse(if clean == b"." { b"" } else { clean }) {
            Ok(path) => Ok(Some(path)),
            Err(e) if self.dialect != Dialect::Plain => Err(e),
            Err(e) => self.leave_out(name, e.kind().reason()).map(|_| None),
        }
    }

    fn leave_out(&mut self, name: &[u8], reason: &str) -> Result<Option<Entry>> {
        if self.dialect != Dialect::Plain {
            return Err(corrupt(reason).at_bytes(name));
        }
        self.omitted.push(Omitted { name: name.into(), reason: reason.to_owned(), shown: false });
        Ok(None)
    }

    /// Reads the attributes. Those of the overlay are marks in an export of ours, where a client's own have
    /// `overlay.` once more; elsewhere all are a client's.
    fn attributes(&self, header: &tar_header::Header) -> Result<(Marks, Vec<Xattr>)> {
        let (mut marks, mut xattrs) = (Marks::default(), Vec::new());
        for (key, value) in header.records.pairs() {
            let Some(name) = key.strip_prefix(XATTR) else { continue };
            let own = name.strip_prefix(OVERLAY).filter(|_| self.dialect != Dialect::Plain);
            match own {
                None => xattrs.push(Xattr { name: name.into(), value: value[..].into() }),
                Some(rest) => match rest.strip_prefix(b"overlay.") {
                    Some(rest) => {
                        xattrs.push(Xattr { name: [OVERLAY, rest].concat().into(), value: value[..].into() });
                    }
                    None => mark(&mut marks, rest, value)?,
                },
            }
        }
        Ok((marks, xattrs))
    }
}

impl Archive for Tar {
    fn is_upper(&self) -> bool {
        self.dialect != Dialect::Plain
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        while let Some(header) = tar_header::read(&*self.source, self.at)? {
            self.at = header.next(&*self.source).map_err(|e| e.at_bytes(&header.path))?;
            let entry =
                self.entry(&header).map_err(|e| if e.path().is_none() { e.at_bytes(&header.path) } else { e })?;
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    fn omitted(&mut self) -> Vec<Omitted> {
        std::mem::take(&mut self.omitted)
    }
}

fn mark(marks: &mut Marks, name: &[u8], value: &[u8]) -> Result<()> {
    match (name, value) {
        (b"opaque", b"y") => marks.opaque = Opaque::Yes,
        (b"opaque", b"x") => marks.opaque = Opaque::Xwhiteouts,
        (b"redirect", path) => marks.redirect = Some(path.into()),
        _ => return Err(corrupt("it carries a mark that is not known here")),
    }
    Ok(())
}

/// Returns what a name of an OCI layer hides, if it begins with `.wh.`. Refuses one that hides nothing that could be
/// a name, and the names that other programs reserve (trust T8).
fn whiteout(path: &VPath) -> Result<Option<Entry>> {
    let Some((dir, name)) = path.split() else { return Ok(None) };
    if name.as_bytes() == WH_OPAQUE {
        return Ok(Some(Entry::Opaque(dir)));
    }
    let Some(hidden) = name.as_bytes().strip_prefix(WH) else { return Ok(None) };
    match Name::new(hidden) {
        Ok(hidden) if !hidden.as_bytes().starts_with(WH) => {
            Ok(Some(Entry::Object(item(dir.join(hidden), Kind::Whiteout))))
        }
        _ => Err(corrupt("it is no valid whiteout")),
    }
}

fn item(path: VPath, kind: Kind) -> Item {
    let (attrs, rdev, target, xattrs, marks) = Default::default();
    Item { path, kind, attrs, rdev, target, xattrs, marks, link: None, content: None }
}

fn kind(header: &tar_header::Header) -> Option<Kind> {
    match header.typeflag {
        b'0' | 0 | b'7' if header.path.ends_with(b"/") => Some(Kind::Dir),
        b'0' | 0 | b'7' | b'1' => Some(Kind::File),
        b'2' => Some(Kind::Symlink),
        b'3' => Some(Kind::Char),
        b'4' => Some(Kind::Block),
        b'5' => Some(Kind::Dir),
        b'6' => Some(Kind::Fifo),
        _ => None,
    }
}

/// A member's content, where it lies.
struct Section {
    source: Arc<dyn Blob>,
    start: u64,
    len: u64,
}

impl Blob for Section {
    fn size(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let left = self.len.saturating_sub(offset);
        let want = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        match self.source.read_at(&mut buf[..want], self.start.saturating_add(offset))? {
            0 if want > 0 => Err(corrupt("the tar is cut short")),
            got => Ok(got),
        }
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        Ok((offset < self.len).then_some(offset..self.len))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        self.source.stamp()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
