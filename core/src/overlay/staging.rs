//! Staging: an archive's objects made beneath one nameless directory, which nobody sees and which a crash leaves to
//! the next start to remove.
//!
//! Only names lead to what is staged, so that no descriptor is held for each object.

use crate::{
    Attrs, BlobMut, Change, Device, Error, ErrorKind, Kind, Leave, Marks, Name, New, Node, PATH_MAX, Result, Step,
    Time, VPath, WritableLayer, Xattr, overlay::Overlay,
};

/// After so many changes they are made durable, since a layer may hold a descriptor for each until then.
const UNSETTLED: usize = 128;

/// An object ready to be an upper's.
pub(crate) struct Item {
    pub(crate) path: VPath,
    /// What it is, whiteouts included.
    pub(crate) kind: Kind,
    pub(crate) attrs: Attrs,
    pub(crate) rdev: Device,
    pub(crate) target: Vec<u8>,
    pub(crate) xattrs: Vec<Xattr>,
    pub(crate) marks: Marks,
    /// The object of which this is another name; then only the path counts.
    pub(crate) link: Option<VPath>,
    pub(crate) content: Option<std::sync::Arc<dyn crate::Blob>>,
}

/// The nameless directory and what is beneath it.
pub(super) struct Staging<'a> {
    overlay: &'a Overlay,
    pub(super) upper: &'a dyn WritableLayer,
    pub(super) root: Node,
    /// The directory in it from which paths are told.
    pub(super) top: Node,
    now: Time,
    unsettled: usize,
}

impl<'a> Staging<'a> {
    pub(super) fn new(overlay: &'a Overlay, now: Time) -> Result<Self> {
        let upper = overlay.upper("import")?;
        let root = upper.stage(&directory(Attrs { mode: 0o700, ..Attrs::default() }))?;
        Ok(Self { overlay, upper, top: root.clone(), root, now, unsettled: 0 })
    }

    /// Makes an object at a name that is free or may be replaced. Returns it, unless it is a whiteout or another name
    /// of an object, and its content bytes.
    ///
    /// Refuses another name of what is not staged, and a link without a valid target (`Corrupt`).
    pub(super) fn make(&mut self, item: &Item, dir: &Node, name: Name<'_>) -> Result<(Option<Node>, u64)> {
        if item.kind == Kind::Whiteout {
            self.commit(&[Step::Remove { dir, name, leave: Leave::Whiteout }])?;
            return Ok((None, 0));
        }
        if let Some(first) = &item.link {
            let node = self.linked(first)?;
            self.commit(&[Step::Link { node: &node, dir, name }])?;
            return Ok((None, 0));
        }
        if item.kind == Kind::Symlink && (item.target.contains(&0) || !(1..PATH_MAX).contains(&item.target.len())) {
            return Err(corrupt("it has no valid target"));
        }
        let (node, bytes) = self.stage(item)?;
        self.commit(&[Step::Place { node: &node, dir, name, quiet: true }])?;
        Ok((Some(node), bytes))
    }

    /// Makes a directory.
    pub(super) fn make_dir(&mut self, attrs: Attrs, dir: &Node, name: Name<'_>) -> Result<Node> {
        let node = self.upper.stage(&directory(Attrs { mode: attrs.mode | 0o700, ..attrs }))?;
        self.commit(&[Step::Place { node: &node, dir, name, quiet: true }])?;
        Ok(node)
    }

    /// Gives a directory its mode and times, now that it is whole.
    pub(super) fn finish_dir(&mut self, node: &Node, attrs: &Attrs) -> Result<()> {
        let (mode, atime, mtime) = (Some(attrs.mode), Some(attrs.atime), Some(attrs.mtime));
        let change = Change { mode, atime, mtime, ..Change::default() };
        self.commit(&[Step::Set { node, change: &change }])
    }

    fn stage(&mut self, item: &Item) -> Result<(Node, u64)> {
        // A directory takes its mode when it is whole: until then we must be able to write it.
        let open = if item.kind == Kind::Dir { 0o700 } else { 0 };
        let node = self.upper.stage(&New {
            kind: item.kind,
            rdev: item.rdev,
            target: &item.target,
            xattrs: &item.xattrs,
            marks: item.marks.clone(),
            ..directory(Attrs { mode: item.attrs.mode | open, ..item.attrs })
        })?;
        let Some(from) = &item.content else { return Ok((node, 0)) };
        let content = self.upper.open_mut(&node)?;
        let bytes = content.copy_from(&**from)?;
        let (atime, mtime) = (Some(item.attrs.atime), Some(item.attrs.mtime));
        let change = Change { atime, mtime, ..Change::default() };
        self.commit(&[Step::Set { node: &node, change: &change }])?;
        BlobMut::sync(&*content)?;
        Ok((node, bytes))
    }

    fn linked(&self, path: &VPath) -> Result<Node> {
        let found = self.find(path)?.filter(|node| !matches!(node.kind, Kind::Dir | Kind::Whiteout));
        found.ok_or_else(|| corrupt(format!("{path}, of which it is another name, does not stand before it")))
    }

    /// Returns the object at a path; nothing is beneath what is no directory.
    pub(super) fn find(&self, path: &VPath) -> Result<Option<Node>> {
        let mut found = Some(self.top.clone());
        for name in path.names() {
            let Some(dir) = found.filter(|node| node.kind == Kind::Dir) else { return Ok(None) };
            found = self.upper.lookup(&dir, name)?;
        }
        Ok(found)
    }

    pub(super) fn commit(&mut self, steps: &[Step<'_>]) -> Result<()> {
        self.unsettled += 1;
        self.overlay.commit(steps, self.now)?;
        if self.unsettled >= UNSETTLED { self.settle() } else { Ok(()) }
    }

    /// Returns when all of it is durable: then what is moved from here arrives whole.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.unsettled = 0;
        self.upper.settle()
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What a layer has noted to make durable it holds on to, and with it what was given up here. Whether that
        // succeeds matters to nobody: the next change asks the layer again.
        if self.unsettled > 0 {
            let _given_up = self.upper.settle();
        }
    }
}

fn directory(attrs: Attrs) -> New<'static> {
    let (rdev, marks) = Default::default();
    New { kind: Kind::Dir, attrs, rdev, target: b"", xattrs: &[], marks, copied_up: false, faithful: false }
}

pub(super) fn corrupt(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "import").because(why.into())
}
