//! Handing an upper to the kernel, which mounts it (Linux).

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use super::{
    failed,
    form::{self, Chosen, Form},
    kept::{self, KERNEL},
    sys::Handle,
    upper::{UpperOptions, claim},
    work::{Work, subdirectory},
};
use crate::{Error, ErrorKind, Result};

/// An upper that the kernel can mount, and that nobody else opens before this is dropped.
///
/// It says nothing about a mount: keep it until the mount is in the table that others read.
#[derive(Debug)]
pub struct KernelUpper {
    chosen: Chosen,
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
    Ok(KernelUpper { chosen, upper, kernel, _work: work })
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

    /// Removes what an ended mount leaves in the work directory. The mark of a volatile mount stays.
    pub fn tidy(&self) {
        kept::tidy(&self.kernel);
    }

    /// Returns the directory that the kernel may work in.
    pub fn work(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}
