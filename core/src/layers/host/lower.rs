//! A host directory as a lower: it can be read, and by its type nothing else.

use std::{path::Path, sync::Arc};

use super::{
    failed, fingerprint,
    form::{self, Form},
    marks::Namespace,
    native::Native,
    portable::Tree,
    sys::Handle,
};
use crate::{Blob, Caps, Entry, Layer, Marks, Name, NameRules, Node, Result, Stat, Xattr};

/// How a host directory is read.
#[derive(Clone, Debug, Default)]
pub struct LowerOptions {
    /// What to call it in messages; the last part of its path when empty.
    pub name: String,
    /// Which marks count; chosen by the form recorded on its root, else by privileges, when `None`.
    pub namespace: Option<Namespace>,
    /// Whether what is mounted inside it is refused (trust T7).
    pub one_device: bool,
}

/// A host directory that is only read.
#[derive(Debug)]
pub struct HostLower {
    tree: Box<dyn Layer>,
}

/// Opens the directory at `path` for reading.
///
/// Fails with `NotFound`, or `NotADirectory` for anything else; a symlink at the end of `path` is followed.
pub fn lower(path: &Path, options: LowerOptions) -> Result<Arc<HostLower>> {
    let root = Handle::root(path).map_err(|e| failed("open lower")(e).because(path.display().to_string()))?;
    let name = if options.name.is_empty() { super::name_of(path) } else { options.name };
    let recorded = form::recorded(&root)?;
    let caps = caps(name, &root)?;
    let tree: Box<dyn Layer> = match (options.namespace, recorded) {
        (None, Some(Form::Portable)) => Box::new(Tree::new(root, caps)?),
        (wanted, recorded) => {
            let namespace = wanted.or(recorded.and_then(Form::namespace)).unwrap_or_else(usual);
            Box::new(Native::lower(root, caps, namespace, options.one_device)?)
        }
    };
    Ok(Arc::new(HostLower { tree }))
}

/// Returns the marks that a mount by this process would heed.
fn usual() -> Namespace {
    if super::sys::own_ids().0 == 0 { Namespace::Trusted } else { Namespace::User }
}

fn caps(name: String, root: &Handle) -> Result<Caps> {
    Ok(Caps {
        name,
        kind: "dir",
        fingerprint: fingerprint(root)?,
        names: NameRules::Bytes,
        case_blind: false,
        redirects: false,
        faithful: true,
        omitted: Vec::new(),
    })
}

impl Layer for HostLower {
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
