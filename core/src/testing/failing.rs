//! A layer that fails at the Nth call: what a full disk or a broken one looks like from above.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Blob, BlobMut, Caps, Entry, Error, ErrorKind, Facts, Layer, Marks, Name, New, Node, Result, Stat, Step, Time,
    WritableLayer, Xattr, layer::Links,
};

/// An upper that passes every call on, but one.
pub struct Failing {
    inner: Arc<dyn WritableLayer>,
    /// Counts down; the call that brings it to zero fails.
    left: AtomicU64,
    kind: ErrorKind,
}

impl Failing {
    /// Returns `inner`, which will fail with `kind` at its `nth` call from now (1 is the next).
    pub fn new(inner: Arc<dyn WritableLayer>, nth: u64, kind: ErrorKind) -> Arc<Self> {
        Arc::new(Self { inner, left: AtomicU64::new(nth), kind })
    }

    /// Returns whether the failure has happened.
    pub fn has_failed(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    fn pass(&self) -> Result<&dyn WritableLayer> {
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match before {
            Ok(1) => Err(Error::new(self.kind, "fail")),
            _ => Ok(&*self.inner),
        }
    }
}

impl fmt::Debug for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for Failing {
    fn caps(&self) -> &Caps {
        self.inner.caps()
    }

    fn root(&self) -> Node {
        self.inner.root()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.pass()?.lookup(dir, name)
    }

    fn enter(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.pass()?.enter(dir, name)
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        self.pass()?.list(dir, after, max, stats)
    }

    fn stat_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Stat>> {
        self.pass()?.stat_at(dir, name)
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        self.pass()?.stat(node)
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.pass()?.marks(node)
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        self.pass()?.xattrs(node)
    }

    fn facts(&self, node: &Node) -> Result<Facts> {
        self.pass()?.facts(node)
    }

    fn facts_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Facts>> {
        self.pass()?.facts_at(dir, name)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        self.pass()?.target(link)
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        self.pass()?.open(file)
    }

    fn links(&self) -> Option<&dyn Links> {
        self.inner.links()
    }
}

#[deny(clippy::missing_trait_methods)]
impl WritableLayer for Failing {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        self.pass()?.stage(new)
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        self.pass()?.open_mut(file)
    }

    fn sync(&self, node: &Node) -> Result<()> {
        self.pass()?.sync(node)
    }

    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        self.pass()?.commit(steps, now)
    }

    fn settle(&self) -> Result<()> {
        self.pass()?.settle()
    }
}
