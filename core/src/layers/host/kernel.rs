//! Writing an upper that the kernel's overlay can mount at every moment (`trusted` or `user` marks).

use std::sync::Arc;

use super::{
    beside::{self, Beside},
    blob::{self, HostBlobMut},
    inode::{Inode, Rights},
    native::Native,
    object::{self, Object},
    record::Record,
    settle::Settler,
    stage::{Stage, Temp},
    sys::Handle,
};
use crate::{
    BlobMut, Change, Kind, Layer, New, Node, Opaque, Result, Stat, Step, Time, WritableLayer, layer::forward_layer,
};

/// An upper in one of the kernel's forms.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) native: Native,
    pub(super) stage: Arc<Stage>,
    pub(super) rights: Rights,
    pub(super) settler: Arc<Settler>,
}

impl Kernel {
    /// Makes the host's object under a temporary name, closed to everybody else.
    fn make(&self, temp: &str, kind: Kind, new: &New<'_>) -> std::io::Result<Handle> {
        let (dir, name) = (self.stage.dir(), temp.as_bytes());
        match kind {
            Kind::File => return dir.make_file(name),
            Kind::Dir => dir.make_dir(name)?,
            Kind::Symlink => dir.make_symlink(name, new.target)?,
            special => dir.make_special(name, special, new.rdev)?,
        }
        dir.child(name)
    }

    /// Stores a record, or removes it where the inode says it all.
    fn store(&self, object: &Object, id: u64, record: Record) -> Result<()> {
        let Some(beside) = &object.beside else { return self.store_on(&object.handle, &record) };
        let mut beside = beside::lock(beside);
        if let Some((dir, name)) = &beside.at {
            self.store_beside(&dir.handle, name.as_bytes(), &beside::slot_of(id, record.clone()))?;
        }
        beside.record = record;
        Ok(())
    }

    fn store_on(&self, handle: &Handle, record: &Record) -> Result<()> {
        let meta = self.native.keys().meta.as_bytes();
        let stored = match record.is_empty() {
            true => handle.remove_xattr(meta),
            false => handle.set_xattr(meta, &record.encode()),
        };
        stored.map_err(super::failed("store record"))
    }

    fn set_mark(&self, handle: &Handle, mark: &str, value: &[u8]) -> Result<()> {
        handle.set_xattr(mark.as_bytes(), value).map_err(super::failed("set mark"))
    }

    /// Sets the marks of a new object. `user.*` marks cannot be had on symlinks and devices, where an
    /// origin is left out (X08).
    fn mark(&self, handle: &Handle, new: &New<'_>, kind: Kind) -> Result<()> {
        let keys = self.native.keys();
        if new.marks.opaque == Opaque::Yes {
            self.set_mark(handle, keys.opaque, b"y")?;
        }
        if let Some(redirect) = &new.marks.redirect {
            self.set_mark(handle, keys.redirect, redirect)?;
        }
        if new.copied_up && (matches!(kind, Kind::File | Kind::Dir) || keys.prefix.starts_with("trusted")) {
            self.set_mark(handle, keys.origin, b"")?;
        }
        Ok(())
    }

    /// Marks a directory as one that holds copied-up objects (U05), unless it is marked.
    pub(super) fn mark_impure(&self, dir: &Handle) -> Result<()> {
        let impure = self.native.keys().impure;
        match dir.xattr(impure).map_err(super::failed("read mark"))? {
            Some(_) => Ok(()),
            None => self.set_mark(dir, impure, b"y"),
        }
    }

    fn inode<'a>(&self, handle: &'a Handle) -> Inode<'a> {
        Inode { handle, keys: self.native.keys(), rights: self.rights }
    }

    /// Gives a new object all that it has, and returns the record that it cannot carry itself.
    fn fill(&self, handle: &Handle, kind: Kind, new: &New<'_>) -> Result<Option<Beside>> {
        let record = self.inode(handle).fill(new, kind)?;
        let beside = self.native.is_beside(kind);
        if !beside && !record.is_empty() {
            self.store_on(handle, &record)?;
        }
        self.mark(handle, new, kind)?;
        let times = handle.set_times(Some(new.attrs.atime), Some(new.attrs.mtime));
        times.map_err(super::failed("set times"))?;
        Ok(beside.then_some(Beside { at: None, record }))
    }

    /// Applies a change of metadata: marks, attributes, record, mode, times.
    pub(super) fn set(&self, node: &Node, change: &Change) -> Result<()> {
        let object = object::shared(node)?;
        let handle = &object.handle;
        object.touch();
        if change.opaque {
            self.set_mark(handle, self.native.keys().opaque, b"y")?;
        }
        if let Some(redirect) = &change.redirect {
            self.set_mark(handle, self.native.keys().redirect, redirect)?;
        }
        let stat = handle.stat().map_err(super::failed("stat"))?.stat;
        let before = self.native.record(&object)?;
        let stored = self.intend(&object, node.id, &before, change, &stat)?;
        let mut record = before;
        self.inode(handle).change(change, &stat, &mut record)?;
        if change.atime.is_some() || change.mtime.is_some() {
            handle.set_times(change.atime, change.mtime).map_err(super::failed("set times"))?;
        }
        if record != stored {
            self.store(&object, node.id, record)?;
        }
        self.settler.note(object.clone(), node.id, node.kind);
        Ok(())
    }

    /// Writes a change of several attributes into the record first, so that readers and a crash see all of
    /// it or nothing while the inode follows. Returns the record that is stored.
    fn intend(&self, object: &Object, id: u64, before: &Record, change: &Change, stat: &Stat) -> Result<Record> {
        let owner = usize::from(change.uid.is_some() || change.gid.is_some());
        let times = usize::from(change.atime.is_some() || change.mtime.is_some());
        let single = usize::from(change.mode.is_some()) + owner + times + change.xattrs.len() < 2;
        if single || object.temp.as_ref().is_some_and(|temp| !temp.is_placed()) {
            return Ok(before.clone());
        }
        let mut intended = before.clone();
        intended.change(change, stat);
        self.store(object, id, intended.clone())?;
        Ok(intended)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for Kernel {
    forward_layer!(|this| this.native);
}

impl WritableLayer for Kernel {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        self.settler.check()?;
        let kind = self.rights.kind(new);
        let temp = Temp::new(self.stage.clone(), self.stage.name(), new.copied_up);
        let handle = self.make(&temp.name, kind, new).map_err(super::failed("stage"))?;
        let beside = self.fill(&handle, kind, new)?;
        let id = handle.stat().map_err(super::failed("stage"))?.stat.ino;
        Ok(Object::staged(handle, temp).with(beside).node(id, new.kind))
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        self.settler.check()?;
        if file.kind != Kind::File {
            return Err(blob::no_content().in_layer(&self.caps().name));
        }
        let blob = HostBlobMut::open(object::shared(file)?, self.settler.clone());
        Ok(Arc::new(blob.map_err(super::failed("open"))?))
    }

    fn sync(&self, node: &Node) -> Result<()> {
        self.settler.sync(object::of(node)?, node.kind)
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
