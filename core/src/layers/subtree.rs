//! One directory of another layer, shown as a layer of its own.
//!
//! What lies above it or beside it cannot be reached: names only go down, and no layer follows a symbolic link.

use std::sync::Arc;

use crate::{Blob, Caps, Entry, Error, ErrorKind, Facts, Kind, Layer, Marks, Name, Node, Result, Stat, VPath, Xattr};

/// A directory of a layer, as a layer.
#[derive(Debug)]
pub struct Subtree {
    inner: Arc<dyn Layer>,
    root: Node,
}

impl Subtree {
    /// Returns the directory of `inner` at `path` as a layer.
    ///
    /// Refuses a path where `inner` holds nothing (`NotFound`), and one that is no directory (`NotADirectory`).
    pub fn new(inner: Arc<dyn Layer>, path: &VPath) -> Result<Arc<Self>> {
        let refused = |kind| Error::new(kind, "take as root").at(path).in_layer(&inner.caps().name);
        let mut root = inner.root();
        for name in path.names() {
            let found = inner.lookup(&root, name).map_err(|error| error.or_at(path))?;
            root = found.filter(|node| node.kind != Kind::Whiteout).ok_or_else(|| refused(ErrorKind::NotFound))?;
            if root.kind != Kind::Dir {
                return Err(refused(ErrorKind::NotADirectory));
            }
        }
        Ok(Arc::new(Self { inner, root }))
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for Subtree {
    fn caps(&self) -> &Caps {
        self.inner.caps()
    }

    fn root(&self) -> Node {
        self.root.clone()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.inner.lookup(dir, name)
    }

    fn enter(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.inner.enter(dir, name)
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        self.inner.list(dir, after, max, stats)
    }

    fn stat_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Stat>> {
        self.inner.stat_at(dir, name)
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        self.inner.stat(node)
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.inner.marks(node)
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        self.inner.xattrs(node)
    }

    fn facts(&self, node: &Node) -> Result<Facts> {
        self.inner.facts(node)
    }

    fn facts_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Facts>> {
        self.inner.facts_at(dir, name)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        self.inner.target(link)
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        self.inner.open(file)
    }
}
