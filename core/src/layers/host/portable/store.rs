//! Writing objects and records of a portable upper.

use std::{io, sync::Arc};

use super::{
    item::{self, Item, Standing},
    names::{LINKS, Names, ROOT_RECORD, hex},
    tree::Tree,
};
use crate::{
    Blob, BlobMut, Caps, Change, Entry, Kind, Layer, Marks, Name, New, Node, Opaque, Result, Stat, Step, Time,
    WritableLayer, Xattr,
    layers::host::{
        Durability,
        blob::{self, HostBlobMut},
        failed,
        object::Object,
        record::{Exact, Record},
        settle::Settler,
        slot::Slot,
        stage::{Stage, Temp},
        sys::{self, Handle},
    },
};

/// An upper in the portable form.
#[derive(Debug)]
pub(in super::super) struct Portable {
    pub(in super::super) tree: Tree,
    pub(in super::super) stage: Arc<Stage>,
    pub(in super::super) settler: Arc<Settler>,
}

impl Portable {
    /// Replaces the records at a host name by one rename, or removes the file when they say nothing. The
    /// directory keeps its times: attributes are no entries of it.
    pub(super) fn store(&self, dir: &Item, host: &[u8], slot: &Slot) -> Result<()> {
        let handle = &dir.object.handle;
        let before = handle.stat().map_err(failed("store record"))?.stat.attrs;
        let stored = match slot.0.iter().all(|(_, record)| record.is_empty()) {
            true => remove_if_there(handle, host).map_err(failed("store record")),
            false => self.write_slot(handle, host, slot),
        };
        stored?;
        handle.set_times(Some(before.atime), Some(before.mtime)).map_err(failed("restore times"))?;
        self.settler.note(dir.object.clone(), dir.id, Kind::Dir);
        Ok(())
    }

    fn write_slot(&self, dir: &Handle, host: &[u8], slot: &Slot) -> Result<()> {
        let temp = self.write_file(&slot.encode())?;
        self.stage.dir().rename(temp.name.as_bytes(), dir, host).map_err(failed("store record"))?;
        temp.place();
        Ok(())
    }

    /// Writes a file on the stage, durable before it gets its name.
    fn write_file(&self, content: &[u8]) -> Result<Temp> {
        let temp = Temp::new(self.stage.clone(), self.stage.name(), false);
        let file = self.stage.dir().make_file(temp.name.as_bytes()).map_err(failed("store record"))?;
        let file = file.write().map_err(failed("store record"))?;
        sys::write_at(&file, content, 0).map_err(failed("store record"))?;
        if self.settler.durability() == Durability::Full {
            self.settler.outcome(file.sync_all())?;
        }
        Ok(temp)
    }

    /// Makes sure that a name too long for a host name can be read back.
    pub(super) fn keep_name(&self, dir: &Item, name: Name<'_>, names: &Names) -> Result<()> {
        let Some(long) = &names.long else { return Ok(()) };
        let temp = self.write_file(name.as_bytes())?;
        self.stage.dir().rename(temp.name.as_bytes(), &dir.object.handle, long).map_err(failed("store name"))?;
        temp.place();
        Ok(())
    }

    /// Stores the record that all names of an object share.
    pub(super) fn store_shared(&self, link: &[u8; 16], record: &Record) -> Result<()> {
        let root = self.tree.root_item();
        let links = match root.object.handle.child(LINKS) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                root.object.handle.make_dir(LINKS).and_then(|()| root.object.handle.child(LINKS))
            }
            links => links,
        };
        let links = links.map_err(failed("store record"))?;
        let id = links.stat().map_err(failed("store record"))?.stat.ino;
        let dir = Item::new(Object::found(links), id, Standing::Nowhere(Record::default()));
        // The link alone is no attribute, but the file must be there for it.
        let record = Record { link: Some(*link), ..record.clone() };
        self.store(&dir, &hex(link), &Slot(vec![(0, record)]))
    }

    /// Removes the shared record of an object that has lost its last name.
    pub(super) fn drop_shared(&self, link: &[u8; 16]) -> Result<()> {
        match self.tree.root_item().object.handle.child(LINKS) {
            Ok(links) => remove_if_there(&links, &hex(link)).map_err(failed("remove record")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("remove record")(error)),
        }
    }

    /// Stores an object's record where it stands.
    fn store_record(&self, item: &Item, record: Record) -> Result<()> {
        if let Some(link) = record.link {
            return self.store_shared(&link, &record);
        }
        match item.standing() {
            Standing::Root => self.store(item, ROOT_RECORD, &Slot(vec![(item.id, record)])),
            Standing::At(dir, name) => {
                self.store(&dir, &Names::of(name.as_name()).record, &Slot(vec![(item.id, record)]))
            }
            Standing::Nowhere(_) => {
                item.stand(Standing::Nowhere(record));
                Ok(())
            }
        }
    }

    /// Makes the host's object, closed to everybody else. What the host may not hold is an empty file.
    fn make(&self, temp: &str, new: &New<'_>) -> io::Result<Handle> {
        let (dir, name) = (self.stage.dir(), temp.as_bytes());
        match new.kind {
            Kind::Dir => dir.make_dir(name).and_then(|()| dir.child(name)),
            Kind::Symlink if sys::HAS_SYMLINKS => dir.make_symlink(name, new.target).and_then(|()| dir.child(name)),
            Kind::Symlink => {
                let file = dir.make_file(name)?;
                sys::write_at(&file.write()?, new.target, 0)?;
                Ok(file)
            }
            _ => dir.make_file(name),
        }
    }

    /// Changes metadata: of an object that stands somewhere by one rename of its record, which holds
    /// everything until the host's own attributes have followed.
    pub(super) fn set(&self, node: &Node, change: &Change) -> Result<()> {
        let item = item::of(node)?;
        let handle = &item.object.handle;
        let stat = handle.stat().map_err(failed("stat"))?.stat;
        let before = self.tree.record(&item)?;
        let mut record = before.clone();
        record.change(change, &stat);
        record.opaque = if change.opaque { Some(true) } else { record.opaque };
        record.redirect = change.redirect.clone().or(record.redirect.take());
        item.object.touch();
        let only_times = Change { atime: None, mtime: None, ..change.clone() } == Change::default();
        if record != before && !only_times {
            self.store_record(&item, record.clone())?;
        }
        let stored = if only_times { before } else { record.clone() };
        self.follow(handle, &stat, change, &mut record)?;
        if record != stored {
            self.store_record(&item, record)?;
        }
        self.settler.note(item.object.clone(), item.id, stat.kind);
        Ok(())
    }

    /// Lets the host's own attributes follow a change, as far as it holds them, and leaves in `record`
    /// what it does not.
    fn follow(&self, handle: &Handle, stat: &Stat, change: &Change, record: &mut Record) -> Result<()> {
        if let Some(mode) = change.mode.filter(|_| stat.kind != Kind::Symlink) {
            let mode = host_mode(mode, stat.kind);
            handle.set_mode(mode).map_err(failed("set mode"))?;
            record.mode = record.mode.or(change.mode).filter(|logical| *logical != mode);
        }
        if change.atime.is_some() || change.mtime.is_some() {
            handle.set_times(change.atime, change.mtime).map_err(failed("set times"))?;
        }
        let shown = handle.stat().map_err(failed("stat"))?.stat.attrs;
        record.atime = rounded(change.atime, shown.atime, record.atime);
        record.mtime = rounded(change.mtime, shown.mtime, record.mtime);
        Ok(())
    }

    fn fill(&self, handle: &Handle, new: &New<'_>) -> Result<Record> {
        let stat = handle.stat().map_err(failed("stage"))?.stat;
        let mut record = Record {
            kind: (stat.kind != new.kind).then_some(new.kind),
            rdev: matches!(new.kind, Kind::Char | Kind::Block).then_some(new.rdev),
            xattrs: new.xattrs.to_vec(),
            opaque: (new.marks.opaque == Opaque::Yes).then_some(true),
            redirect: new.marks.redirect.clone(),
            mode: (stat.kind == Kind::Symlink && stat.attrs.mode != new.attrs.mode).then_some(new.attrs.mode),
            uid: (stat.attrs.uid != new.attrs.uid).then_some(new.attrs.uid),
            gid: (stat.attrs.gid != new.attrs.gid).then_some(new.attrs.gid),
            ..Record::default()
        };
        let times = (Some(new.attrs.atime), Some(new.attrs.mtime));
        let change = Change { mode: Some(new.attrs.mode), atime: times.0, mtime: times.1, ..Change::default() };
        self.follow(handle, &stat, &change, &mut record)?;
        Ok(record)
    }
}

/// Returns what remains to be recorded of a time that was set, now that the host shows `shown`.
fn rounded(set: Option<Time>, shown: Time, recorded: Option<Exact>) -> Option<Exact> {
    match set {
        Some(time) => (time != shown).then_some(Exact { time, shown }),
        None => recorded.filter(|exact| exact.shown == shown),
    }
}

/// Returns the bits for the host's object: never special ones, and always those that we need to edit it.
fn host_mode(mode: u32, kind: Kind) -> u32 {
    mode & 0o777 | if kind == Kind::Dir { 0o700 } else { 0o600 }
}

/// Removes a file of ours if it is there.
pub(super) fn remove_if_there(dir: &Handle, name: &[u8]) -> io::Result<()> {
    match dir.unlink(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Layer for Portable {
    fn caps(&self) -> &Caps {
        self.tree.caps()
    }

    fn root(&self) -> Node {
        self.tree.root()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.tree.lookup(dir, name)
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        self.tree.list(dir, after, max, stats)
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        self.tree.stat(node)
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.tree.marks(node)
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        self.tree.xattrs(node)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        self.tree.target(link)
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        self.tree.open(file)
    }
}

impl WritableLayer for Portable {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        self.settler.check()?;
        let temp = Temp::new(self.stage.clone(), self.stage.name(), new.copied_up);
        let handle = self.make(&temp.name, new).map_err(failed("stage"))?;
        let record = self.fill(&handle, new)?;
        let id = handle.stat().map_err(failed("stage"))?.stat.ino;
        let item = Arc::new(Item::new(Object::staged(handle, temp), id, Standing::Nowhere(record)));
        self.tree.items.add(&item);
        Ok(item.node(new.kind))
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        self.settler.check()?;
        if file.kind != Kind::File {
            return Err(blob::no_content().in_layer(&self.caps().name));
        }
        let blob = HostBlobMut::open(item::of(file)?.object.clone(), self.settler.clone());
        Ok(Arc::new(blob.map_err(failed("open"))?))
    }

    fn sync(&self, node: &Node) -> Result<()> {
        self.settler.sync(&item::of(node)?.object, node.kind)
    }

    fn commit(&self, steps: &[Step<'_>], _now: Time) -> Result<()> {
        self.settler.check()?;
        let apply = |step: &Step<'_>| self.stage.apply(step, |step| self.apply(step));
        steps.iter().try_for_each(|step| apply(step).map_err(|e| e.in_layer(&self.caps().name)))
    }

    fn settle(&self) -> Result<()> {
        self.settler.settle(self.stage.dir())
    }
}
