//! One directory of another layer, shown as a layer of its own.
//!
//! What lies above it or beside it cannot be reached: names only go down, and no layer follows a symbolic link.

use std::sync::Arc;

use crate::{Error, ErrorKind, Kind, Layer, Node, Result, VPath, layer::forward_layer};

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
    forward_layer!(|this| this.inner; caps lookup enter list stat_at stat marks xattrs facts facts_at target open links);

    fn root(&self) -> Node {
        self.root.clone()
    }
}
