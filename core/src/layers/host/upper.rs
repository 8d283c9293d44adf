//! A host directory as an upper: opening it, in the right form and by one process at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Durability, failed, fingerprint,
    form::{self, Chosen, Form},
    inode::Rights,
    kernel::Kernel,
    native::Native,
    portable::{Portable, Tree},
    settle::Settler,
    sys::{self, Handle},
    work::{self, Work},
};
use crate::{
    Blob, BlobMut, Caps, Entry, Facts, Layer, Marks, Name, NameRules, New, Node, Result, Stat, Step, Time,
    WritableLayer, Xattr,
};

/// How an upper is opened.
#[derive(Clone, Debug, Default)]
pub struct UpperOptions {
    /// What to call it in messages; the last part of its path when empty.
    pub name: String,
    /// The work directory; `UPPER.ovl-work` beside the upper when `None`.
    pub work: Option<PathBuf>,
    /// The form to insist on; the recorded or the best one when `None`.
    pub form: Option<Form>,
    /// How long a change waits for the disk.
    pub durability: Durability,
    /// Whether archives and clients decide about owners, special bits, devices and privileged attributes on the host.
    pub privileged_metadata: bool,
}

/// A host directory that takes changes.
#[derive(Debug)]
pub struct HostUpper {
    tree: Box<dyn WritableLayer>,
    chosen: Chosen,
    _work: Work,
}

impl HostUpper {
    /// Returns the form in which changes are written.
    pub fn form(&self) -> Form {
        self.chosen.form
    }

    /// Returns why it is this form.
    pub fn form_reason(&self) -> &str {
        &self.chosen.reason
    }
}

/// Opens the directory at `path` as an upper, making it when its parent exists.
///
/// Refuses a missing parent (`NotFound`), a directory that may not be written (`PermissionDenied`), one
/// that another process or a kernel mount holds (`Busy`), and one in another form (`WrongForm`).
pub fn upper(path: &Path, options: UpperOptions) -> Result<Arc<HostUpper>> {
    let name = if options.name.is_empty() { super::name_of(path) } else { options.name.clone() };
    let root = open_root(path).map_err(|e| failed("open upper")(e).because(path.display().to_string()))?;
    refuse_mounted(&root, path)?;
    let place = options.work.clone().map_or_else(|| work::beside(path), Ok)?;
    let work = Work::open(&place, &root)?;
    let chosen = form::choose(&root, &work.stage, options.form)?;
    form::record(&root, chosen.form, &work.stage)?;
    let caps = caps(name, &root, chosen.form, work.stage.is_case_blind().map_err(failed("open upper"))?)?;
    let (stage, settler) = (work.stage.clone(), Arc::new(Settler::new(options.durability)));
    let tree: Box<dyn WritableLayer> = match chosen.form.namespace() {
        None => Box::new(Portable { tree: Tree::new(root, caps)?, stage, settler }),
        Some(namespace) => {
            let bound = sys::bound_by_modes(stage.dir()).map_err(failed("open upper"))?;
            let rights = Rights::new(options.privileged_metadata, bound);
            Box::new(Kernel { native: Native::upper(root, caps, namespace)?, stage, rights, settler })
        }
    };
    Ok(Arc::new(HostUpper { tree, chosen, _work: work }))
}

fn open_root(path: &Path) -> std::io::Result<Handle> {
    sys::make_dir_at(path)?;
    let root = Handle::root(path)?;
    root.check_writable()?;
    Ok(root)
}

#[cfg(target_os = "linux")]
fn refuse_mounted(root: &Handle, path: &Path) -> Result<()> {
    let path = path.canonicalize().map_err(failed("open upper"))?;
    match super::mountinfo::mounted_at(&sys::mount_table().map_err(failed("read mounts"))?, root, &path) {
        None => Ok(()),
        Some(point) => {
            let why = format!("the kernel has it mounted at {}; unmount that first", point.display());
            Err(crate::Error::new(crate::ErrorKind::Busy, "open upper").because(why))
        }
    }
}

/// Nothing but Linux mounts overlays.
#[cfg(not(target_os = "linux"))]
fn refuse_mounted(_root: &Handle, _path: &Path) -> Result<()> {
    Ok(())
}

fn caps(name: String, root: &Handle, form: Form, case_blind: bool) -> Result<Caps> {
    Ok(Caps {
        name,
        kind: "dir",
        fingerprint: fingerprint(root)?,
        names: NameRules::Bytes,
        case_blind,
        redirects: form != Form::KernelUser,
        faithful: true,
        stamps: true,
        omitted: Vec::new(),
    })
}

#[deny(clippy::missing_trait_methods)]
impl Layer for HostUpper {
    fn caps(&self) -> &Caps {
        self.tree.caps()
    }

    fn root(&self) -> Node {
        self.tree.root()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.tree.lookup(dir, name)
    }

    fn enter(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.tree.enter(dir, name)
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        self.tree.list(dir, after, max, stats)
    }

    fn stat_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Stat>> {
        self.tree.stat_at(dir, name)
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

    fn facts(&self, node: &Node) -> Result<Facts> {
        self.tree.facts(node)
    }

    fn facts_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Facts>> {
        self.tree.facts_at(dir, name)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        self.tree.target(link)
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        self.tree.open(file)
    }
}

impl WritableLayer for HostUpper {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        self.tree.stage(new)
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        self.tree.open_mut(file)
    }

    fn sync(&self, node: &Node) -> Result<()> {
        self.tree.sync(node)
    }

    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        self.tree.commit(steps, now)
    }

    fn settle(&self) -> Result<()> {
        self.tree.settle()
    }
}
