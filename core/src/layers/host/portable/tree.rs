//! Reading a portable tree: host names are decoded, and records put over what the host says.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry as Slotted},
    io,
    sync::Arc,
};

use super::{
    item::{self, Item, Items, Standing},
    names::{self, LINKS, Names, Parsed, ROOT_RECORD, Role, hex},
};
use crate::{
    Blob, Caps, Entry, Error, ErrorKind, Kind, Layer, Marks, Name, NameBuf, Node, Opaque, Result, Stat, Xattr,
    layers::host::{
        blob::{self, HostBlob},
        failed,
        object::Object,
        record::Record,
        slot::Slot,
        stage::{read_content, read_file},
        sys::{Handle, Raw},
    },
};

/// A tree in the portable form.
#[derive(Debug)]
pub(in super::super) struct Tree {
    caps: Caps,
    root: Arc<Item>,
    pub(super) items: Items,
}

impl Tree {
    /// Reads the tree beneath `root`, a directory.
    pub(in super::super) fn new(root: Handle, caps: Caps) -> Result<Self> {
        let id = root.stat().map_err(failed("open"))?.stat.ino;
        let root = Arc::new(Item::new(Object::found(root), id, Standing::Root));
        let items = Items::default();
        items.add(&root);
        Ok(Self { caps, root, items })
    }

    /// Returns the root.
    pub(super) fn root_item(&self) -> &Arc<Item> {
        &self.root
    }

    /// Returns the records at a host name.
    pub(super) fn slot(&self, dir: &Handle, host: &[u8]) -> Result<Slot> {
        match read_file(dir, host).map_err(self.fail("read attribute file"))? {
            Some(bytes) => Slot::decode(&bytes).map_err(|e| e.in_layer(&self.caps.name)),
            None => Ok(Slot::default()),
        }
    }

    /// Returns the record of an object, wherever it is kept.
    pub(super) fn record(&self, item: &Item) -> Result<Record> {
        let record = match item.standing() {
            Standing::Root => self.slot(&item.object.handle, ROOT_RECORD)?.of(item.id),
            Standing::At(dir, name) => self.slot(&dir.object.handle, &Names::of(name.as_name()).record)?.of(item.id),
            Standing::Nowhere(record) => record,
        };
        self.resolve_link(record)
    }

    /// Returns the record that is shared by all names of an object, where `record` says that there is one.
    pub(super) fn resolve_link(&self, record: Record) -> Result<Record> {
        let Some(link) = record.link else { return Ok(record) };
        let links = match self.root.object.handle.child(LINKS) {
            Ok(links) => links,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(record),
            Err(error) => return Err(self.fail("read attribute file")(error)),
        };
        let shared = self.slot(&links, &hex(&link))?.of(0);
        Ok(Record { link: Some(link), ..shared })
    }

    /// Returns whether a directory hides what lies below: by its record, else by the marker beside it.
    pub(super) fn is_opaque(&self, item: &Item, record: &Record) -> Result<bool> {
        match (record.opaque, item.standing()) {
            (Some(opaque), _) => Ok(opaque),
            (None, Standing::At(dir, name)) => {
                Ok(look(&dir.object.handle, &Names::of(name.as_name()).whiteout)?.is_some())
            }
            (None, _) => Ok(false),
        }
    }

    fn fail(&self, op: &'static str) -> impl Fn(io::Error) -> Error {
        move |error| failed(op)(error).in_layer(&self.caps.name)
    }

    fn found(&self, dir: &Arc<Item>, name: Name<'_>, names: &Names, handle: Handle) -> Result<Node> {
        let stat = handle.stat().map_err(self.fail("look up"))?.stat;
        let kind = match stat.kind {
            // What the host cannot hold is kept as a file with a record.
            Kind::File => {
                let record = self.slot(&dir.object.handle, &names.record)?.of(stat.ino);
                self.resolve_link(record)?.kind.unwrap_or(Kind::File)
            }
            kind => kind,
        };
        Ok(self.items.found(Object::found(handle), stat.ino, dir, name).node(kind))
    }

    fn whiteout(&self, dir: &Handle, names: &Names) -> Result<Option<Node>> {
        let handle = match dir.child(&names.whiteout) {
            Ok(handle) => handle,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fail("look up")(error)),
        };
        let id = handle.stat().map_err(self.fail("look up"))?.stat.ino;
        let item = Item::new(Object::found(handle), id, Standing::Nowhere(Record::default()));
        Ok(Some(Arc::new(item).node(Kind::Whiteout)))
    }

    /// Reads a directory: the `max` smallest names after `after`, and which names have a record.
    fn scan(&self, dir: &Handle, after: Option<Name<'_>>, max: usize) -> Result<Scan> {
        let mut scan = Scan::default();
        let mut failure = Ok(());
        let scanned = dir.scan(&mut |host, kind| {
            match decode(dir, host) {
                Ok(Some((role, name))) => scan.add(role, name, kind, after, max),
                Ok(None) => {}
                Err(error) => failure = Err(error),
            };
        });
        scanned.and(failure).map_err(self.fail("list"))?;
        Ok(scan)
    }

    fn entry(&self, dir: &Handle, name: Box<[u8]>, seen: Seen, recorded: bool, stats: bool) -> Result<Option<Entry>> {
        let name = NameBuf::new(name)?;
        let Some(kind) = seen.object else {
            return Ok(Some(Entry { name, kind: Kind::Whiteout, stat: None }));
        };
        match kind {
            Some(kind) if !stats && (kind != Kind::File || !recorded) => {
                return Ok(Some(Entry { name, kind, stat: None }));
            }
            _ => {}
        }
        let names = Names::of(name.as_name());
        // Gone since the directory was read.
        let Some(raw) = look(dir, &names.object)? else { return Ok(None) };
        let record = if recorded { self.slot(dir, &names.record)?.of(raw.stat.ino) } else { Record::default() };
        let stat = self.resolve_link(record)?.apply(raw.stat);
        Ok(Some(Entry { name, kind: stat.kind, stat: stats.then_some(stat) }))
    }
}

/// Returns what the host says about `name`, or `None` when nothing stands there.
pub(super) fn look(dir: &Handle, name: &[u8]) -> Result<Option<Raw>> {
    match dir.child_stat(name) {
        Ok(raw) => Ok(Some(raw)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("look up")(error)),
    }
}

/// Reads a host name, looking up in its file a name that is too long for one.
fn decode(dir: &Handle, host: &[u8]) -> io::Result<Option<(Role, Box<[u8]>)>> {
    match names::parse(host) {
        Parsed::Known(role, name) => Ok(Some((role, name))),
        Parsed::Hashed(role, file) => {
            let whole = read_file(dir, &file)?.filter(|name| Name::new(name).is_ok());
            Ok(whole.map(|name| (role, name.into())))
        }
        Parsed::Hidden => Ok(None),
    }
}

/// What a directory holds under one name: an object, with the kind that the host declares, or a whiteout alone.
#[derive(Clone, Copy, Default)]
struct Seen {
    object: Option<Option<Kind>>,
}

/// A page of a directory as it is read.
#[derive(Default)]
struct Scan {
    shown: BTreeMap<Box<[u8]>, Seen>,
    recorded: HashSet<Box<[u8]>>,
}

impl Scan {
    /// Takes a host name in, and keeps no more than the `max` smallest.
    fn add(&mut self, role: Role, name: Box<[u8]>, kind: Option<Kind>, after: Option<Name<'_>>, max: usize) {
        if after.is_some_and(|after| *name <= *after.as_bytes()) {
            return;
        }
        if role == Role::Record {
            self.recorded.insert(name);
            return;
        }
        let object = (role == Role::Object).then_some(kind);
        match self.shown.entry(name) {
            Slotted::Occupied(mut seen) => seen.get_mut().object = seen.get().object.or(object),
            Slotted::Vacant(place) => {
                place.insert(Seen { object });
            }
        }
        // A name that was pushed out is greater than all that stay: coming again, it is pushed out again.
        if self.shown.len() > max {
            self.shown.pop_last();
        }
    }
}

impl Layer for Tree {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn root(&self) -> Node {
        self.root.node(Kind::Dir)
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        let dir = item::of(dir)?;
        let names = Names::of(name);
        match dir.object.handle.child(&names.object) {
            Ok(handle) => self.found(&dir, name, &names, handle).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.whiteout(&dir.object.handle, &names),
            Err(error) => Err(self.fail("look up")(error)),
        }
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        let dir = item::of(dir)?;
        let mut entries = Vec::new();
        let mut after = after.map(Name::to_owned);
        // Names that vanish between reading the directory and looking at them must not end the page early.
        while entries.len() < max {
            let want = max - entries.len();
            let scan = self.scan(&dir.object.handle, after.as_ref().map(NameBuf::as_name), want)?;
            let complete = scan.shown.len() < want;
            after = scan.shown.last_key_value().map(|(name, _)| NameBuf::new(name.clone())).transpose()?;
            for (name, seen) in scan.shown {
                let recorded = scan.recorded.contains(&name);
                entries.extend(self.entry(&dir.object.handle, name, seen, recorded, stats)?);
            }
            if complete {
                break;
            }
        }
        Ok(entries)
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        let item = item::of(node)?;
        let stat = item.object.handle.stat().map_err(self.fail("stat"))?.stat;
        match node.kind {
            Kind::Whiteout => Ok(Stat { kind: Kind::Whiteout, ..stat }),
            _ => Ok(self.record(&item)?.apply(stat)),
        }
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        let item = item::of(node)?;
        if node.kind != Kind::Dir {
            return Ok(Marks::default());
        }
        let record = self.record(&item)?;
        let opaque = if self.is_opaque(&item, &record)? { Opaque::Yes } else { Opaque::No };
        Ok(Marks { opaque, redirect: record.redirect, metacopy: false })
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        let mut xattrs = self.record(&*item::of(node)?)?.xattrs;
        xattrs.sort_unstable();
        Ok(xattrs)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        let handle = &item::of(link)?.object.handle;
        let native = handle.stat().map_err(self.fail("read link"))?.stat.kind == Kind::Symlink;
        let target = if native { handle.read_link() } else { read_content(handle) };
        target.map_err(self.fail("read link"))
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        if file.kind != Kind::File {
            return Err(blob::no_content().in_layer(&self.caps.name));
        }
        Ok(Arc::new(HostBlob::open(&item::of(file)?.object.handle).map_err(self.fail("open"))?))
    }
}

/// Refuses a step because nothing stands at `name`.
pub(super) fn missing(op: &'static str, name: Name<'_>) -> Error {
    Error::new(ErrorKind::NotFound, op).at_bytes(name.as_bytes())
}
