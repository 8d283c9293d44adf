//! A tree in memory: a throw-away upper, a lower for demos and tests, the disk of a browser.
//!
//! One lock orders changes of the tree; content has a lock of its own per file, so that a reader of one
//! file never waits for a writer of another.

mod content;
mod tape;

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Attrs, Blob, BlobMut, Caps, Change, Device, Entry, Error, ErrorKind, Kind, Layer, Leave, Marks, Name, NameBuf,
    NameRules, New, Node, Opaque, Result, Stat, Step, Time, WritableLayer, Xattr, sorted::Sorted,
};
use content::Content;
use tape::Tape;

/// A layer in memory.
pub struct Memory {
    caps: Caps,
    root: Node,
    /// Held for reading by whoever looks at names, for writing by a commit.
    tree: RwLock<()>,
    next: AtomicU64,
    tape: Mutex<Tape>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("name", &self.caps.name).finish_non_exhaustive()
    }
}

struct Inode {
    id: u64,
    kind: Kind,
    rdev: Device,
    target: Box<[u8]>,
    content: Arc<Content>,
    /// The content instead, where it was handed over and lies elsewhere.
    given: Option<Arc<dyn Blob>>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    attrs: Attrs,
    nlink: u32,
    /// Counts changes of the metadata; shown as ctime, for validators.
    version: u32,
    marks: Marks,
    xattrs: Sorted<Box<[u8]>, Box<[u8]>>,
    children: BTreeMap<NameBuf, Node>,
}

impl Memory {
    /// Returns an empty tree called `name`. `nonce` keeps validators apart from those of an earlier one.
    pub fn new(name: &str, nonce: u64) -> Arc<Self> {
        Self::build(name, nonce, Tape::default())
    }

    fn build(name: &str, nonce: u64, tape: Tape) -> Arc<Self> {
        let attrs = Attrs { mode: 0o755, ..Attrs::default() };
        let root = Inode::new(1, Kind::Dir, State { attrs, nlink: 1, ..State::default() });
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&nonce.to_le_bytes());
        let caps = Caps {
            name: name.to_owned(),
            kind: "mem",
            fingerprint,
            names: NameRules::Bytes,
            fold: None,
            redirects: true,
            stamps: false,
            acls: false,
            data_only: false,
            omitted: Vec::new(),
        };
        let (root, tree, next) = (root.into_node(), RwLock::new(()), AtomicU64::new(2));
        Arc::new(Self { caps, root, tree, next, tape: Mutex::new(tape) })
    }

    /// Stages a file whose content lies elsewhere and is read there. It cannot be written.
    pub fn stage_given(&self, attrs: Attrs, content: Arc<dyn Blob>) -> Node {
        let mut inode = Inode::new(self.number(), Kind::File, State { attrs, ..State::default() });
        inode.given = Some(content);
        inode.into_node()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn whiteout(&self) -> Node {
        Inode::new(self.number(), Kind::Whiteout, State { nlink: 1, ..State::default() }).into_node()
    }

    fn apply(&self, step: &Step<'_>, now: Time, tape: &mut Tape) -> Result<()> {
        match *step {
            Step::Place { node, dir, name, quiet } => {
                put(dir, name, node.clone(), quiet, now, tape)?;
                tape.note_state(node)?;
                inode(node)?.write().nlink = 1;
            }
            Step::Link { node, dir, name } => {
                put(dir, name, node.clone(), false, now, tape)?;
                tape.note_state(node)?;
                let mut state = inode(node)?.write();
                state.nlink += 1;
                state.version += 1;
            }
            Step::Move { dir, name, to_dir, to_name, leave } => {
                let node = take(dir, name, now, tape)?;
                put(to_dir, to_name, node, false, now, tape)?;
                self.leave(dir, name, leave, now, tape)?;
            }
            Step::Exchange { dir, name, to_dir, to_name } => {
                let (one, other) = (take(dir, name, now, tape)?, take(to_dir, to_name, now, tape)?);
                put(dir, name, other, false, now, tape)?;
                put(to_dir, to_name, one, false, now, tape)?;
            }
            Step::Remove { dir, name, leave } => {
                if let Some(gone) = pull(dir, name, tape)? {
                    unlink(&gone, tape)?;
                }
                touch(dir, now, tape)?;
                self.leave(dir, name, leave, now, tape)?;
            }
            Step::Set { node, change } => {
                tape.note_state(node)?;
                inode(node)?.write().set(change);
            }
        }
        Ok(())
    }

    fn leave(&self, dir: &Node, name: Name<'_>, leave: Leave, now: Time, tape: &mut Tape) -> Result<()> {
        match leave {
            Leave::Nothing => Ok(()),
            Leave::Whiteout => put(dir, name, self.whiteout(), false, now, tape),
        }
    }

    fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inode {
    fn new(id: u64, kind: Kind, state: State) -> Self {
        let state = RwLock::new(state);
        let (rdev, target, content) = Default::default();
        Self { id, kind, rdev, target, content, given: None, state }
    }

    fn into_node(self) -> Node {
        Node { id: self.id, kind: self.kind, pin: Some(Arc::new(self)) }
    }

    // A panic elsewhere cannot leave a state half changed: each change below is one assignment or map call.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn stat(&self) -> Stat {
        let state = self.read();
        let (size, writes) = match self.kind {
            Kind::File => match &self.given {
                Some(given) => (given.size().unwrap_or_default(), 0),
                None => (self.content.len(), self.content.version()),
            },
            Kind::Symlink => (self.target.len() as u64, 0),
            _ => (0, 0),
        };
        let ctime = Time { secs: writes as i64, nanos: state.version };
        Stat {
            kind: self.kind,
            attrs: state.attrs,
            size,
            ctime,
            rdev: self.rdev,
            ino: self.id,
            nlink: state.nlink.max(1),
        }
    }
}

impl State {
    fn set(&mut self, change: &Change) {
        let attrs = &mut self.attrs;
        attrs.mode = change.mode.unwrap_or(attrs.mode);
        attrs.uid = change.uid.unwrap_or(attrs.uid);
        attrs.gid = change.gid.unwrap_or(attrs.gid);
        attrs.atime = change.atime.unwrap_or(attrs.atime);
        attrs.mtime = change.mtime.unwrap_or(attrs.mtime);
        for (name, value) in &change.xattrs {
            match value {
                Some(value) => self.xattrs.set(name.clone(), value.clone()),
                None => self.xattrs.remove(name),
            }
        }
        if change.opaque {
            self.marks.opaque = Opaque::Yes;
        }
        if let Some(redirect) = &change.redirect {
            self.marks.redirect = Some(redirect.clone());
        }
        self.version += 1;
    }
}

fn inode(node: &Node) -> Result<&Inode> {
    node.pinned().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "use node").because("it is of another layer"))
}

fn touch(dir: &Node, now: Time, tape: &mut Tape) -> Result<()> {
    tape.note_state(dir)?;
    let mut state = inode(dir)?.write();
    state.attrs.mtime = now;
    state.version += 1;
    Ok(())
}

fn put(dir: &Node, name: Name<'_>, node: Node, quiet: bool, now: Time, tape: &mut Tape) -> Result<()> {
    let gone = inode(dir)?.write().children.insert(name.to_owned(), node);
    tape.note_name(dir, name, gone.as_ref());
    if let Some(gone) = gone {
        unlink(&gone, tape)?;
    }
    if quiet { Ok(()) } else { touch(dir, now, tape) }
}

fn pull(dir: &Node, name: Name<'_>, tape: &mut Tape) -> Result<Option<Node>> {
    let found = inode(dir)?.write().children.remove(name.as_bytes());
    if found.is_some() {
        tape.note_name(dir, name, found.as_ref());
    }
    Ok(found)
}

fn take(dir: &Node, name: Name<'_>, now: Time, tape: &mut Tape) -> Result<Node> {
    let found = pull(dir, name, tape)?;
    touch(dir, now, tape)?;
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "move").at_bytes(name.as_bytes()))
}

fn unlink(node: &Node, tape: &mut Tape) -> Result<()> {
    tape.note_state(node)?;
    let mut state = inode(node)?.write();
    state.nlink = state.nlink.saturating_sub(1);
    state.version += 1;
    Ok(())
}

impl Layer for Memory {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn root(&self) -> Node {
        self.root.clone()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        let _tree = self.reading();
        Ok(inode(dir)?.read().children.get(name.as_bytes()).cloned())
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        let _tree = self.reading();
        let state = inode(dir)?.read();
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.as_bytes()));
        let entry = |(name, node): (&NameBuf, &Node)| {
            let stat = if stats && node.kind != Kind::Whiteout { Some(inode(node)?.stat()) } else { None };
            Ok(Entry { name: name.clone(), kind: node.kind, stat })
        };
        state.children.range::<[u8], _>((from, Bound::Unbounded)).take(max).map(entry).collect()
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        Ok(inode(node)?.stat())
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        Ok(inode(node)?.read().marks.clone())
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        let state = inode(node)?.read();
        Ok(state
            .xattrs
            .pairs()
            .iter()
            .map(|(name, value)| Xattr { name: name.clone(), value: value.clone() })
            .collect())
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        Ok(inode(link)?.target.to_vec())
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        let inode = inode(file)?;
        Ok(inode.given.clone().unwrap_or_else(|| inode.content.clone()))
    }
}

impl WritableLayer for Memory {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        let mut state = State { attrs: new.attrs, marks: new.marks.clone(), ..State::default() };
        new.xattrs.iter().for_each(|x| state.xattrs.set(x.name.clone(), x.value.clone()));
        let mut inode = Inode::new(self.number(), new.kind, state);
        inode.rdev = new.rdev;
        inode.target = new.target.into();
        Ok(inode.into_node())
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        match inode(file)? {
            Inode { given: Some(_), .. } => Err(Error::new(ErrorKind::Unsupported, "write").in_layer(&self.caps.name)),
            inode => {
                // What is staged has no content to come back to.
                if inode.read().nlink > 0 {
                    self.tape().note_content(file, inode);
                }
                Ok(inode.content.clone())
            }
        }
    }

    fn sync(&self, _node: &Node) -> Result<()> {
        Ok(())
    }

    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        let _tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let mut tape = self.tape();
        steps.iter().try_for_each(|step| self.apply(step, now, &mut tape))
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }
}
