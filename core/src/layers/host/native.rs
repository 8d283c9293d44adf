//! Reading a tree of host objects as they are, with the kernel's overlay marks decoded.
//!
//! One name is looked up at a time from a directory's descriptor; nothing is opened but directories
//! and regular files, and nothing is ever written.

use std::{io, sync::Arc};

use super::{
    beside,
    blob::{self, HostBlob},
    index::{self, Index},
    marks::{self, Keys, Namespace},
    object::{self, Object},
    record::Record,
    sys::{Handle, Raw},
};
use crate::{
    Blob, Caps, Entry, Error, ErrorKind, Facts, Kind, Layer, Marks, Name, NameBuf, Node, Opaque, Result, Stat, Xattr,
    layer::Links,
};

/// A host's directory tree.
#[derive(Debug)]
pub(super) struct Native {
    caps: Caps,
    root: Node,
    dev: u64,
    keys: &'static Keys,
    /// Whether ovl wrote it, so that objects may carry a record.
    ours: bool,
    /// Whether it is only read: then marks are read once, and empty files may be whiteouts (L09, L23).
    lower: bool,
    /// Whether what is mounted inside the tree is refused (trust T7).
    one_device: bool,
    /// What the kernel knows of hard links in the lowers, of an upper that it mounts.
    index: Option<Index>,
}

impl Native {
    /// Reads the tree beneath `root`, a directory that is written too.
    pub(super) fn upper(root: Handle, caps: Caps, namespace: Namespace) -> Result<Self> {
        Ok(Self { lower: false, ..Self::lower(root, caps, namespace, false)? })
    }

    /// Reads the same without the records of ovl.
    pub(super) fn upper_as_found(root: Handle, caps: Caps, namespace: Namespace) -> Result<Self> {
        Ok(Self { ours: false, ..Self::upper(root, caps, namespace)? })
    }

    /// Reads the tree beneath `root`, a directory.
    pub(super) fn lower(root: Handle, caps: Caps, namespace: Namespace, one_device: bool) -> Result<Self> {
        let keys = namespace.keys();
        let raw = root.stat().map_err(super::failed("open"))?;
        let ours = root.xattr(keys.form).map_err(super::failed("open"))?.is_some();
        let root = Object::found(root).node(raw.stat.ino, Kind::Dir);
        Ok(Self { caps, root, dev: raw.dev, keys, ours, lower: true, one_device, index: None })
    }

    /// Heeds an index of hard links.
    pub(super) fn with(self, index: Option<Index>) -> Self {
        Self { index, ..self }
    }

    /// Returns the names of the marks in use.
    pub(super) fn keys(&self) -> &'static Keys {
        self.keys
    }

    /// Returns the record of an object; an empty one where none is stored.
    pub(super) fn record(&self, object: &Object) -> Result<Record> {
        match &object.beside {
            Some(beside) => Ok(beside::lock(beside).record.clone()),
            None if self.ours => decode(object.handle.xattr(self.keys.meta).map_err(super::failed("read record"))?),
            None => Ok(Record::default()),
        }
    }

    /// Returns the record of an object that has attributes of these names.
    fn recorded(&self, object: &Object, names: &[Box<[u8]>]) -> Result<Record> {
        match object.beside.is_some() || has(names, self.keys.meta) {
            true => self.record(object),
            false => Ok(Record::default()),
        }
    }

    /// Returns what a found object is: an empty file may be a whiteout (L09, L10) or stand for a device.
    fn kind(&self, object: &Object, stat: &Stat) -> Result<Kind> {
        if stat.kind != Kind::File || stat.size != 0 {
            return Ok(stat.kind);
        }
        let names = self.names(&object.handle)?;
        if has(&names, self.keys.whiteout) {
            return Ok(Kind::Whiteout);
        }
        Ok(self.recorded(object, &names)?.kind.unwrap_or(Kind::File))
    }

    /// Refuses what lies on another device when asked to; else tells equal inode numbers of two devices apart.
    fn on_device(&self, mut raw: Raw) -> Result<Stat> {
        if raw.dev != self.dev {
            if self.one_device {
                return Err(self.error(ErrorKind::PermissionDenied, "look up").because("it lies on another device"));
            }
            raw.stat.ino ^= raw.dev.rotate_left(40);
        }
        Ok(raw.stat)
    }

    /// Counts the names of what may be in the index, whose mark `read` returns.
    fn count_links(&self, stat: Stat, read: impl FnOnce(&str) -> io::Result<Option<Vec<u8>>>) -> Result<Stat> {
        if self.index.is_none() || stat.kind == Kind::Dir {
            return Ok(stat);
        }
        let mark = read(self.keys.nlink).map_err(self.fail("stat"))?;
        Ok(Stat { nlink: mark.map_or(stat.nlink, |mark| index::count_links(stat.nlink, &mark)), ..stat })
    }

    fn error(&self, kind: ErrorKind, op: &'static str) -> Error {
        Error::new(kind, op).in_layer(&self.caps.name)
    }

    fn fail(&self, op: &'static str) -> impl Fn(io::Error) -> Error {
        move |error| super::failed(op)(error).in_layer(&self.caps.name)
    }

    fn listing(&self, dir: &Node, stats: bool) -> Result<Listing> {
        let xwhiteouts = self.lower && self.marks(dir)?.opaque == Opaque::Xwhiteouts;
        Ok(Listing { stats, xwhiteouts, marked: self.ours || xwhiteouts })
    }

    /// Returns the entry of a name that `list` found, with its attributes if asked for.
    fn entry(&self, dir: &Handle, found: Found, listing: Listing) -> Result<Option<Entry>> {
        let name = NameBuf::new(found.name).map_err(|e| e.in_layer(&self.caps.name))?;
        let kind = match found.kind {
            Some(kind) if !listing.stats && (kind != Kind::File || !listing.marked) => {
                return Ok(Some(Entry { name, kind, stat: None }));
            }
            _ => dir.child_stat(name.as_bytes()),
        };
        match kind {
            // Gone since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fail("list")(error)),
            Ok(raw) => self.full_entry(dir, name, self.on_device(raw)?, listing).map(Some),
        }
    }

    fn full_entry(&self, dir: &Handle, name: NameBuf, stat: Stat, listing: Listing) -> Result<Entry> {
        let mark = |key| dir.child_xattr(name.as_bytes(), key).map_err(self.fail("list"));
        let recorded = self.ours && (listing.stats || (stat.kind == Kind::File && stat.size == 0));
        let record = match recorded {
            true if self.is_beside(stat.kind) => self.slot(dir, name.as_bytes())?.of(stat.ino),
            true => decode(mark(self.keys.meta)?)?,
            false => Record::default(),
        };
        let stat = record.apply(stat);
        let stat = match listing.stats {
            true => self.count_links(stat, |key| dir.child_xattr(name.as_bytes(), key))?,
            false => stat,
        };
        let empty = stat.kind == Kind::File && stat.size == 0;
        let white = stat.kind == Kind::Whiteout || (empty && listing.xwhiteouts && mark(self.keys.whiteout)?.is_some());
        let kind = if white { Kind::Whiteout } else { stat.kind };
        Ok(Entry { name, kind, stat: (listing.stats && !white).then_some(stat) })
    }

    /// Returns the attributes of an object that has some of these names, those of its record included.
    fn read_xattrs(&self, handle: &Handle, mut record: Record, names: &[Box<[u8]>]) -> Result<Vec<Xattr>> {
        for stored in names {
            let Some(name) = self.keys.unescape(stored) else { continue };
            let value = handle.xattr_bytes(stored).map_err(self.fail("read attribute"))?;
            // Gone since the names were read, or overruled by the record.
            let Some(value) = value.filter(|_| record.xattrs.iter().all(|kept| *kept.name != *name)) else { continue };
            record.set_xattr(&name, Some(&value));
        }
        record.xattrs.sort_unstable();
        Ok(record.xattrs)
    }

    /// Returns whether the inode says it all of an object that has attributes of these names.
    fn is_plain(&self, kind: Kind, names: &[Box<[u8]>]) -> bool {
        names.iter().all(|name| self.keys.is_silent(name)) && !(self.ours && self.is_beside(kind))
    }

    fn names(&self, handle: &Handle) -> Result<Vec<Box<[u8]>>> {
        handle.xattr_names().map_err(self.fail("list attributes"))
    }

    /// Returns the marks of an object that has attributes of these names.
    fn read_marks(&self, handle: &Handle, kind: Kind, names: &[Box<[u8]>]) -> Result<Marks> {
        let get = |key: &str| match has(names, key) {
            true => handle.xattr(key).map_err(self.fail("read marks")),
            false => Ok(None),
        };
        let mut found = Marks::default();
        if kind == Kind::Dir {
            found.opaque = get(self.keys.opaque)?.map_or(Opaque::No, |value| marks::opaque(&value));
        } else if let Some(value) = get(self.keys.metacopy)? {
            marks::metacopy(&value).map_err(|e| e.in_layer(&self.caps.name))?;
            found.metacopy = true;
        }
        let redirect = get(self.keys.redirect)?.map(marks::redirect).transpose();
        found.redirect = redirect.map_err(|e| e.in_layer(&self.caps.name))?;
        Ok(found)
    }
}

fn has(names: &[Box<[u8]>], name: &str) -> bool {
    names.iter().any(|known| **known == *name.as_bytes())
}

/// What a listing must find out beyond names and kinds.
#[derive(Clone, Copy)]
struct Listing {
    stats: bool,
    xwhiteouts: bool,
    /// Whether a regular file may be something else: a whiteout, or a device kept as data.
    marked: bool,
}

/// A name of a directory as the host reads it out; ordered by its bytes.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    name: Box<[u8]>,
    kind: Option<Kind>,
}

/// Returns the `max` smallest names after `after`, sorted, holding no more than twice as many.
fn smallest(dir: &Handle, after: Option<Name<'_>>, max: usize) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    dir.scan(&mut |name, kind| {
        if after.is_none_or(|after| name > after.as_bytes()) {
            found.push(Found { name: name.into(), kind });
        }
        if found.len() >= max.saturating_mul(2) {
            keep_smallest(&mut found, max);
        }
    })?;
    keep_smallest(&mut found, max);
    found.sort_unstable();
    Ok(found)
}

fn plain(stat: Stat) -> Facts {
    Facts { stat, marks: Marks::default(), xattrs: Vec::new(), faithful: true }
}

fn keep_smallest(found: &mut Vec<Found>, max: usize) {
    if found.len() > max {
        found.select_nth_unstable(max);
        found.truncate(max);
    }
}

fn decode(value: Option<Vec<u8>>) -> Result<Record> {
    value.map_or_else(|| Ok(Record::default()), |value| Record::decode(&value))
}

impl Layer for Native {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn root(&self) -> Node {
        self.root.clone()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        let dir = object::shared(dir)?;
        let handle = match dir.handle.child(name.as_bytes()) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fail("look up")(error)),
        };
        let stat = self.on_device(handle.stat().map_err(self.fail("look up"))?)?;
        let beside = if self.ours { self.beside(&dir, name, stat.kind, stat.ino)? } else { None };
        let object = Object::found(handle).with(beside);
        let kind = self.kind(&object, &stat)?;
        Ok(Some(object.node(stat.ino, kind)))
    }

    fn enter(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        // What cannot be opened as a directory is something else, or nothing, or kept from us: the lookup tells.
        let Ok(handle) = object::of(dir)?.handle.child_dir(name.as_bytes()) else { return self.lookup(dir, name) };
        let stat = self.on_device(handle.stat().map_err(self.fail("look up"))?)?;
        Ok(Some(Object::found(handle).node(stat.ino, Kind::Dir)))
    }

    /// Reads the whole directory and keeps the page: a large one is best read in one page.
    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        let listing = self.listing(dir, stats)?;
        let dir = &object::of(dir)?.handle;
        let mut entries = Vec::new();
        let mut after = after.map(Name::to_owned);
        // Names that vanish between reading the directory and looking at them must not end the page early.
        while entries.len() < max {
            let want = max - entries.len();
            let found = smallest(dir, after.as_ref().map(NameBuf::as_name), want).map_err(self.fail("list"))?;
            let (complete, count) = (found.len() < want, entries.len());
            entries.reserve(found.len());
            after = found.last().map(|last| NameBuf::new(&*last.name)).transpose()?;
            for found in found {
                entries.extend(self.entry(dir, found, listing)?);
            }
            if complete || entries.len() == count + want {
                break;
            }
        }
        Ok(entries)
    }

    fn stat_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Stat>> {
        let listing = self.listing(dir, true)?;
        let found = Found { name: name.as_bytes().into(), kind: None };
        Ok(self.entry(&object::of(dir)?.handle, found, listing)?.and_then(|entry| entry.stat))
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        let object = object::of(node)?;
        let stat = self.on_device(object.handle.stat().map_err(self.fail("stat"))?)?;
        if node.kind == Kind::Whiteout {
            return Ok(Stat { kind: Kind::Whiteout, ..stat });
        }
        let stat = self.record(object)?.apply(stat);
        self.count_links(stat, |key| object.handle.xattr(key))
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        if !matches!(node.kind, Kind::Dir | Kind::File) {
            return Ok(Marks::default());
        }
        let object = object::of(node)?;
        if let Some(marks) = object.marks.get() {
            return Ok(marks.clone());
        }
        let marks = self.read_marks(&object.handle, node.kind, &self.names(&object.handle)?)?;
        if self.lower {
            // Another reader may have been first, with the same.
            object.marks.set(marks.clone()).ok();
        }
        Ok(marks)
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        let object = object::of(node)?;
        let names = self.names(&object.handle)?;
        self.read_xattrs(&object.handle, self.recorded(object, &names)?, &names)
    }

    fn facts(&self, node: &Node) -> Result<Facts> {
        let object = object::of(node)?;
        let names = self.names(&object.handle)?;
        let stat = self.on_device(object.handle.stat().map_err(self.fail("stat"))?)?;
        if self.is_plain(node.kind, &names) {
            return Ok(plain(stat));
        }
        let record = self.recorded(object, &names)?;
        let stat = if node.kind == Kind::Whiteout { Stat { kind: node.kind, ..stat } } else { record.apply(stat) };
        let marks = match node.kind {
            Kind::Dir | Kind::File => self.read_marks(&object.handle, node.kind, &names)?,
            _ => Marks::default(),
        };
        let faithful = record.is_empty();
        let stat = self.count_links(stat, |key| object.handle.xattr(key))?;
        Ok(Facts { stat, marks, xattrs: self.read_xattrs(&object.handle, record, &names)?, faithful })
    }

    /// Asks by name, and looks up only what carries more than its inode.
    fn facts_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Facts>> {
        let handle = &object::of(dir)?.handle;
        let stat = match handle.child_stat(name.as_bytes()) {
            Ok(raw) => self.on_device(raw)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fail("look up")(error)),
        };
        match handle.child_xattr_names(name.as_bytes()) {
            Ok(names) if self.is_plain(stat.kind, &names) => Ok(Some(plain(stat))),
            _ => self.lookup(dir, name)?.map(|node| self.facts(&node)).transpose(),
        }
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        object::of(link)?.handle.read_link().map_err(self.fail("read link"))
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        if file.kind != Kind::File {
            return Err(blob::no_content().in_layer(&self.caps.name));
        }
        Ok(Arc::new(HostBlob::open(&object::of(file)?.handle).map_err(self.fail("open"))?))
    }

    fn links(&self) -> Option<&dyn Links> {
        self.index.is_some().then_some(self)
    }
}

impl Links for Native {
    fn changed(&self, lower: &dyn Layer, node: &Node) -> Result<Option<Node>> {
        let root = lower.root();
        // What is no object of the host was not beneath the kernel's mount.
        let (Some(index), Ok(root), Ok(below)) = (&self.index, object::of(&root), object::of(node)) else {
            return Ok(None);
        };
        let found = index.entry(&root.handle, &below.handle).map_err(|e| e.in_layer(&self.caps.name))?;
        let Some(handle) = found else { return Ok(None) };
        let stat = self.on_device(handle.stat().map_err(self.fail("look up"))?)?;
        Ok(Some(Object::found(handle).node(stat.ino, stat.kind)))
    }
}
