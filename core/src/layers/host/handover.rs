//! Handing an upper to the kernel, which mounts it (Linux).

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    failed,
    form::{self, Chosen, Form},
    kept::{self, KERNEL},
    lower::caps,
    name_of,
    native::Native,
    object,
    sys::Handle,
    upper::{UpperOptions, claim},
    work::{Work, subdirectory},
};
use crate::{Error, ErrorKind, Kind, Layer, Result, VPath, descent::Descent};

/// An upper that the kernel can mount, and that nobody else opens before this is dropped.
///
/// It says nothing about a mount: keep it until the mount is in the table that others read.
#[derive(Debug)]
pub struct KernelUpper {
    chosen: Chosen,
    path: PathBuf,
    upper: Handle,
    kernel: Handle,
    _work: Work,
}

/// Opens the directory at `path` for the kernel, making it when its parent exists.
///
/// Refuses what [`super::upper`] refuses, a portable upper (`WrongForm`), and without `index` one that has an index.
pub fn upper_for_kernel(path: &Path, options: &UpperOptions, index: bool) -> Result<KernelUpper> {
    let (upper, work) = claim(path, options.work.as_deref())?;
    if !index {
        kept::refuse_index(&work.dir)?;
    }
    let chosen = form::choose(&upper, &work.stage, options.form)?;
    if chosen.form == Form::Portable {
        let why = format!("it is portable ({}), which the kernel cannot read", chosen.reason);
        return Err(Error::new(ErrorKind::WrongForm, "mount upper").because(why));
    }
    form::record(&upper, chosen.form, &work.stage)?;
    let kernel = subdirectory(&work.dir, KERNEL).map_err(failed("open work directory"))?;
    Ok(KernelUpper { chosen, path: path.to_owned(), upper, kernel, _work: work })
}

impl KernelUpper {
    /// Returns the form, which says in which namespace the kernel keeps its marks.
    pub fn form(&self) -> Form {
        self.chosen.form
    }

    /// Returns why it is this form.
    pub fn form_reason(&self) -> &str {
        &self.chosen.reason
    }

    /// Returns the upper's root.
    pub fn upper(&self) -> BorrowedFd<'_> {
        self.upper.as_fd()
    }

    /// Returns a file of which the attributes alone came up: without `metacopy` the kernel does not even show them
    /// (semantics Y03). Looks at every object, up to the first such file.
    pub fn metadata_alone(&self) -> Result<Option<VPath>> {
        // A user's mount has no such option.
        let (Form::KernelTrusted, Some(namespace)) = (self.form(), self.form().namespace()) else { return Ok(None) };
        let root = Handle::root(&self.path).map_err(failed("open upper"))?;
        let caps = caps(name_of(&self.path), &root)?;
        let layer: Arc<dyn Layer> = Arc::new(Native::upper_as_found(root, caps, namespace)?);
        let mut objects = Descent::new(layer.clone(), layer.root(), VPath::root(), false);
        while let Some(found) = objects.advance()? {
            if found.entry.kind == Kind::File {
                let (dir, name) = (object::of(&found.dir)?, found.entry.name.as_bytes());
                let mark = dir.handle.child_xattr(name, namespace.keys().metacopy).map_err(failed("read marks"))?;
                if mark.is_some() {
                    return Ok(Some(found.path));
                }
            }
        }
        Ok(None)
    }

    /// Removes what an ended mount leaves in the work directory. The mark of a volatile mount stays.
    pub fn tidy(&self) {
        kept::tidy(&self.kernel);
    }

    /// Returns the directory that the kernel may work in.
    pub fn work(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}
