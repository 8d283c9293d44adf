//! An upper that may have defects: opened whatever they are, to be looked at or, held as by any writer, to be mended.
//!
//! ```text
//! defect   what may be wrong, and what each means
//! marks    the marks and the name of one object
//! work     what is left in the work directory
//! ```

mod defect;
mod marks;
mod work;

use std::{path::Path, sync::Arc};

use self::work::Leftovers;
pub use self::{
    defect::{Defect, Effect},
    work::WorkFault,
};
use super::{
    failed,
    form::{self, Form},
    kept,
    lower::{caps, usual},
    marks::Namespace,
    name_of,
    native::Native,
    portable::Tree,
    sys::Handle,
    upper::{self, HostUpper, UpperOptions},
};
use crate::{Change, Error, ErrorKind, Layer, Leave, Name, Node, Result, Step, Time, WritableLayer};

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub defect: Defect,
    /// The mark or the place that it is about, as a person reads it; empty where there is none.
    pub detail: String,
}

/// An upper with its work directory.
#[derive(Debug)]
pub struct Suspect {
    layer: Arc<dyn Layer>,
    form: Form,
    mixed: Option<String>,
    leftovers: Leftovers,
    writer: Option<Arc<HostUpper>>,
}

impl Suspect {
    /// Opens the directory at `path` to look at it: nothing is made, changed or held.
    ///
    /// Refuses a missing directory (`NotFound`), and one whose marks this user may not see (`PermissionDenied`).
    pub fn open(path: &Path, options: &UpperOptions) -> Result<Self> {
        let opened = |e| failed("open upper")(e).because(path.display().to_string());
        let root = Handle::root(path).map_err(opened)?;
        let (found, mixed) = match form::found(&root, options.form) {
            Ok(found) => (found.map(|chosen| chosen.form), None),
            Err(error) if error.kind() == ErrorKind::WrongForm => (options.form, error.cause()),
            Err(error) => return Err(error),
        };
        if found.is_none() {
            root.check_writable().map_err(opened)?;
        }
        let form = found.or(options.form).unwrap_or_else(|| of_namespace(usual()));
        let leftovers = Leftovers::look(path, options.work.as_deref(), &root)?;
        Ok(Self { layer: reader(root, form, path)?, form, mixed, leftovers, writer: None })
    }

    /// Opens it to mend it, for this process alone; what is left in its work directory goes by that.
    ///
    /// Refuses what [`super::upper`] refuses, and what is in two forms (`WrongForm`).
    pub fn hold(path: &Path, options: &UpperOptions) -> Result<Self> {
        let looked = Self::open(path, options)?;
        if let Some(why) = looked.mixed {
            return Err(Error::new(ErrorKind::WrongForm, "open upper").because(why));
        }
        let writer = upper::to_mend(path, options, looked.form)?;
        let root = Handle::root(path).map_err(failed("open upper"))?;
        let layer = match looked.form {
            Form::Portable => writer.clone() as Arc<dyn Layer>,
            _ => reader(root, looked.form, path)?,
        };
        Ok(Self { layer, writer: Some(writer), ..looked })
    }

    /// Returns the upper as a layer.
    pub fn layer(&self) -> &Arc<dyn Layer> {
        &self.layer
    }

    /// Returns the form that it is judged by.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns why it is in two forms, if it is.
    pub fn mixed(&self) -> Option<&str> {
        self.mixed.as_deref()
    }

    /// Returns what is wrong with the marks of one of its objects, and whether it has any mark.
    pub fn faults(&self, node: &Node, is_root: bool) -> Result<(Vec<Fault>, bool)> {
        match self.form.namespace() {
            Some(namespace) => marks::judge(node, self.form, namespace, is_root),
            // The portable form has no marks but names, which its layer reads.
            None => Ok((Vec::new(), true)),
        }
    }

    /// Returns whether a name is another tool's or another form's way to say that something is gone.
    pub fn is_foreign(&self, name: Name<'_>) -> bool {
        marks::foreign(name, self.form)
    }

    /// Returns what is wrong in its work directory, as it was when the upper was opened.
    pub fn work_faults(&self) -> &[WorkFault] {
        self.leftovers.faults()
    }

    /// Removes a leftover of the work directory, if the upper is held. Returns whether it is gone.
    pub fn mend_work(&self, found: &WorkFault) -> bool {
        let Some(writer) = self.writer.as_ref().filter(|_| found.can_be_mended()) else { return false };
        // Opening the upper has removed what was ours.
        found.path.names().next().map(Name::as_bytes) != Some(kept::KERNEL) || writer.tidy()
    }

    /// Removes a whiteout, if the upper is held; its directory keeps its times. Returns whether it was.
    pub fn remove_whiteout(&self, dir: &Node, name: Name<'_>) -> Result<bool> {
        let Some(writer) = &self.writer else { return Ok(false) };
        let attrs = self.layer.stat(dir)?.attrs;
        let times = Change { atime: Some(attrs.atime), mtime: Some(attrs.mtime), ..Change::default() };
        let steps = [Step::Remove { dir, name, leave: Leave::Nothing }, Step::Set { node: dir, change: &times }];
        writer.commit(&steps, Time::default())?;
        Ok(true)
    }

    /// Makes durable what was mended.
    pub fn settle(&self) -> Result<()> {
        self.writer.as_ref().map_or(Ok(()), |writer| writer.settle())
    }
}

/// Reads an upper without the records that ovl has put on it: they may be damaged.
fn reader(root: Handle, form: Form, path: &Path) -> Result<Arc<dyn Layer>> {
    let caps = caps(name_of(path), &root)?;
    Ok(match form.namespace() {
        Some(namespace) => Arc::new(Native::upper_as_found(root, caps, namespace)?),
        None => Arc::new(Tree::new(root, caps)?),
    })
}

fn of_namespace(namespace: Namespace) -> Form {
    match namespace {
        Namespace::Trusted => Form::KernelTrusted,
        Namespace::User => Form::KernelUser,
    }
}
