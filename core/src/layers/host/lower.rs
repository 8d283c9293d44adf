//! A host directory that can be read, and by its type nothing else: a lower, or an upper that is only looked at.

use std::{path::Path, sync::Arc};

use super::{
    failed, fingerprint,
    form::{self, Form},
    index::Index,
    marks::Namespace,
    native::Native,
    portable::Tree,
    sys::Handle,
    upper::UpperOptions,
    work,
};
use crate::{Caps, Layer, NameRules, Result, layer::forward_layer};

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

/// Opens the directory at `path`, an upper, to look at it: nothing in it or beside it is made, locked or changed.
///
/// Another process may use it meanwhile. What is read is then no snapshot: each object is seen as it was before a
/// change or as it is after, and one that is being changed may show some attributes from before and some from after.
///
/// Refuses a missing directory (`NotFound`), one in another form than `form` (`WrongForm`), and one whose form this
/// user can neither see nor choose (`PermissionDenied`): another's marks may be hidden from it.
pub fn upper_to_read(path: &Path, options: &UpperOptions) -> Result<Arc<HostLower>> {
    let opened = |e| failed("open upper")(e).because(path.display().to_string());
    let root = Handle::root(path).map_err(opened)?;
    let form = options.form;
    let found = form::found(&root, form)?.map(|chosen| chosen.form);
    if found.is_none() {
        root.check_writable().map_err(opened)?;
    }
    let namespace = found.or(form).map_or_else(|| Some(usual()), Form::namespace);
    let name = if options.name.is_empty() { super::name_of(path) } else { options.name.clone() };
    let caps = caps(name, &root)?;
    let tree: Box<dyn Layer> = match namespace {
        None => Box::new(Tree::new(root, caps)?),
        Some(namespace) => {
            let index = index_of(path, &root, options, namespace)?;
            Box::new(Native::upper(root, caps, namespace)?.with(index))
        }
    };
    Ok(Arc::new(HostLower { tree }))
}

/// Returns the index of hard links that a mount of the kernel has left in the work directory, or keeps there.
fn index_of(path: &Path, root: &Handle, options: &UpperOptions, namespace: Namespace) -> Result<Option<Index>> {
    let place = options.work.clone().map_or_else(|| work::beside(path), Ok)?;
    match Handle::root(&place) {
        Ok(work) => Index::find(&work, root, namespace.keys()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open work directory")(error)),
    }
}

/// Returns the marks that a mount by this process would heed.
pub(super) fn usual() -> Namespace {
    if super::sys::own_ids().0 == 0 { Namespace::Trusted } else { Namespace::User }
}

pub(super) fn caps(name: String, root: &Handle) -> Result<Caps> {
    Ok(Caps {
        name,
        kind: "dir",
        fingerprint: fingerprint(root)?,
        names: NameRules::Bytes,
        fold: None,
        redirects: false,
        stamps: true,
        acls: true,
        data_only: false,
        omitted: Vec::new(),
    })
}

#[deny(clippy::missing_trait_methods)]
impl Layer for HostLower {
    forward_layer!(|this| this.tree);
}
