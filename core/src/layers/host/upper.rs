//! A host directory as an upper: opening it, in the right form and by one process at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Durability, failed, fingerprint,
    form::{self, Chosen, Form},
    inode::Rights,
    kept,
    kernel::Kernel,
    native::Native,
    portable::{Portable, Tree},
    settle::Settler,
    sys::{self, Handle},
    work::{self, Work},
};
use crate::{BlobMut, Caps, Layer, NameRules, New, Node, Result, Step, Time, WritableLayer, layer::forward_layer};

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
    work: Work,
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

    /// Removes what a mount of the kernel has left in the work directory. Returns whether nothing of it stays.
    pub(super) fn tidy(&self) -> bool {
        let Ok(kernel) = self.work.dir.child(kept::KERNEL) else { return true };
        kept::tidy(&kernel);
        kernel.child_stat(b"work").is_err()
    }
}

/// Opens the directory at `path` as an upper, making it when its parent exists.
///
/// Refuses a missing parent (`NotFound`), a directory that may not be written (`PermissionDenied`), one
/// that another process or a kernel mount holds (`Busy`), one in another form (`WrongForm`), and one that a kernel
/// mount has left in a state that only the kernel keeps (`Unsupported`).
pub fn upper(path: &Path, options: UpperOptions) -> Result<Arc<HostUpper>> {
    let (root, work) = claim(path, options.work.as_deref())?;
    kept::refuse_index(&work.dir)?;
    let chosen = form::choose(&root, &work.stage, options.form)?;
    form::record(&root, chosen.form, &work.stage)?;
    build(path, root, work, chosen, &options)
}

/// Opens the directory at `path`, an upper of this form, to mend it: nothing is recorded on it.
///
/// Refuses what [`upper`] refuses.
pub(super) fn to_mend(path: &Path, options: &UpperOptions, form: Form) -> Result<Arc<HostUpper>> {
    let (root, work) = claim(path, options.work.as_deref())?;
    kept::refuse_index(&work.dir)?;
    build(path, root, work, Chosen { form, reason: "to be mended".into() }, options)
}

fn build(path: &Path, root: Handle, work: Work, chosen: Chosen, options: &UpperOptions) -> Result<Arc<HostUpper>> {
    let name = if options.name.is_empty() { super::name_of(path) } else { options.name.clone() };
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
    Ok(Arc::new(HostUpper { tree, chosen, work }))
}

/// Opens an upper and its work directory for this process alone.
///
/// The lock comes before the look at the mounts: whoever mounts the upper holds the lock meanwhile.
pub(super) fn claim(path: &Path, work: Option<&Path>) -> Result<(Handle, Work)> {
    let root = open_root(path).map_err(|e| failed("open upper")(e).because(path.display().to_string()))?;
    let place = work.map_or_else(|| work::beside(path), |work| Ok(work.to_owned()))?;
    let work = Work::open(&place, &root)?;
    refuse_mounted(&root, path)?;
    kept::refuse_volatile(&work.dir)?;
    Ok((root, work))
}

fn open_root(path: &Path) -> std::io::Result<Handle> {
    sys::make_dir_at(path)?;
    let root = Handle::root(path)?;
    root.check_writable()?;
    Ok(root)
}

fn refuse_mounted(root: &Handle, path: &Path) -> Result<()> {
    match mounted_at(root, path)? {
        None => Ok(()),
        Some(point) => {
            let why = format!("the kernel has it mounted at {}; unmount that first", point.display());
            Err(crate::Error::new(crate::ErrorKind::Busy, "open upper").because(why))
        }
    }
}

/// Returns where the kernel has mounted an overlay with this upper.
#[cfg(target_os = "linux")]
pub(super) fn mounted_at(root: &Handle, path: &Path) -> Result<Option<PathBuf>> {
    super::mountinfo::mounted_at(root, &path.canonicalize().map_err(failed("open upper"))?)
}

/// Nothing but Linux mounts overlays.
#[cfg(not(target_os = "linux"))]
pub(super) fn mounted_at(_root: &Handle, _path: &Path) -> Result<Option<PathBuf>> {
    Ok(None)
}

fn caps(name: String, root: &Handle, form: Form, case_blind: bool) -> Result<Caps> {
    Ok(Caps {
        name,
        kind: "dir",
        fingerprint: fingerprint(root)?,
        names: NameRules::Bytes,
        fold: case_blind.then_some(|name| String::from_utf8_lossy(name).to_lowercase()),
        redirects: form != Form::KernelUser,
        stamps: true,
        acls: form != Form::Portable,
        data_only: false,
        omitted: Vec::new(),
    })
}

#[deny(clippy::missing_trait_methods)]
impl Layer for HostUpper {
    forward_layer!(|this| this.tree);
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
