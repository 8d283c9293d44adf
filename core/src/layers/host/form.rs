//! The form in which an upper is written: recorded on its root, or chosen by trying in the stage (semantics 1).

use std::{fmt, io, path::Path};

use super::{
    failed,
    marks::Namespace,
    stage::{self, Stage},
    sys::{self, Handle},
};
use crate::{Device, Error, ErrorKind, Kind, Result};

/// How an upper keeps whiteouts, marks and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// 0/0 devices and `trusted.overlay.*`: the kernel mounts it. Needs privileges.
    KernelTrusted,
    /// 0/0 devices and `user.overlay.*`: the kernel mounts it with `userxattr`. Without redirects.
    KernelUser,
    /// Files with names of ours: works on every host, and only ovl reads it.
    Portable,
}

impl Form {
    /// Returns the namespace of the marks, for the kernel's forms.
    pub(super) fn namespace(self) -> Option<Namespace> {
        match self {
            Self::KernelTrusted => Some(Namespace::Trusted),
            Self::KernelUser => Some(Namespace::User),
            Self::Portable => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KernelTrusted => "kernel-trusted",
            Self::KernelUser => "kernel-user",
            Self::Portable => "portable",
        })
    }
}

/// The file on a portable upper's root that records its form.
pub(super) const FORM_FILE: &[u8] = b".ovl-form";
/// The recorded version of each form.
pub(super) const VERSION: &[u8] = b"1";
/// How many entries are looked at for marks when there is no record.
const LOOKED_AT: usize = 4096;

/// Returns the form that is recorded on a root. Refuses several (`WrongForm`) and an unknown version (`Unsupported`).
pub(super) fn recorded(root: &Handle) -> Result<Option<Form>> {
    let mut recorded = None;
    for form in [Form::KernelTrusted, Form::KernelUser, Form::Portable] {
        let Some(version) = version(root, form).map_err(failed("read form"))? else { continue };
        if version != VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "read form").because(format!("{form} of a newer ovl")));
        }
        if let Some(other) = recorded.replace(form) {
            return Err(mixed(other, form));
        }
    }
    Ok(recorded)
}

/// Returns the form that is recorded on the directory at `path`; `None` where ovl has not written.
///
/// Refuses what [`super::upper`] refuses of a record.
pub fn recorded_form(path: &Path) -> Result<Option<Form>> {
    recorded(&Handle::root(path).map_err(failed("read form"))?)
}

fn version(root: &Handle, form: Form) -> io::Result<Option<Vec<u8>>> {
    match form.namespace() {
        Some(namespace) => root.xattr(namespace.keys().form),
        None => stage::read_file(root, FORM_FILE),
    }
}

/// Returns the form whose marks an unrecorded tree carries (`WrongForm` for two), or `None`.
pub(super) fn marked(root: &Handle) -> Result<Option<Form>> {
    let mut seen = Vec::new();
    look_for_marks(root, &mut LOOKED_AT.clone(), &mut seen).map_err(failed("read form"))?;
    match seen[..] {
        [] => Ok(None),
        [form] => Ok(Some(form)),
        [one, other, ..] => Err(mixed(one, other)),
    }
}

fn look_for_marks(dir: &Handle, left: &mut usize, seen: &mut Vec<Form>) -> io::Result<()> {
    let mut names: Vec<(Box<[u8]>, Option<Kind>)> = Vec::new();
    dir.scan(&mut |name, kind| names.push((name.into(), kind)))?;
    note_marks(dir, seen)?;
    for (name, kind) in names {
        let Some(rest) = left.checked_sub(1) else { return Ok(()) };
        *left = rest;
        match kind {
            Some(Kind::Dir) => look_for_marks(&dir.child(&name)?, left, seen)?,
            Some(Kind::File) => note_marks(&dir.child(&name)?, seen)?,
            _ => {}
        }
    }
    Ok(())
}

/// Notes the namespaces of the marks on one object. A nested overlay's, escaped ones, count for nothing.
fn note_marks(object: &Handle, seen: &mut Vec<Form>) -> io::Result<()> {
    for name in object.xattr_names()? {
        for form in [Form::KernelTrusted, Form::KernelUser] {
            let keys = form.namespace().map(Namespace::keys);
            if keys.is_some_and(|keys| keys.unescape(&name).is_none()) && !seen.contains(&form) {
                seen.push(form);
            }
        }
    }
    Ok(())
}

fn mixed(one: Form, other: Form) -> Error {
    Error::new(ErrorKind::WrongForm, "open upper").because(format!("it carries marks of {one} and of {other}"))
}

/// A chosen form and why.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) form: Form,
    pub(super) reason: String,
}

/// Returns the form that an upper has: the recorded one, or the marked one. Refuses a form other than the one asked
/// for (`WrongForm`).
pub(super) fn found(root: &Handle, wanted: Option<Form>) -> Result<Option<Chosen>> {
    let (found, reason) = match recorded(root)? {
        Some(form) => (Some(form), "recorded on the upper"),
        None => (marked(root)?, "found by its marks"),
    };
    if let (Some(found), Some(wanted)) = (found, wanted)
        && found != wanted
    {
        let why = format!("it is {found} ({reason}), and {wanted} was asked for");
        return Err(Error::new(ErrorKind::WrongForm, "open upper").because(why));
    }
    Ok(found.map(|form| Chosen { form, reason: reason.into() }))
}

/// Chooses the form of an upper: the one found, the one asked for, or the best that works.
///
/// Refuses a form other than the one asked for (`WrongForm`), and one that does not work here
/// (`PermissionDenied`).
pub(super) fn choose(root: &Handle, stage: &Stage, wanted: Option<Form>) -> Result<Chosen> {
    let asked = wanted.map(|form| Chosen { form, reason: "asked for".into() });
    let Some(chosen) = found(root, wanted)?.or(asked) else { return Ok(best(stage)) };
    works(chosen.form, stage).map_err(|error| {
        let why = format!("{} does not work here: {error}", chosen.form);
        Error::new(ErrorKind::PermissionDenied, "open upper").because(why)
    })?;
    Ok(chosen)
}

fn best(stage: &Stage) -> Chosen {
    let trusted = match works(Form::KernelTrusted, stage) {
        Ok(()) => {
            return Chosen { form: Form::KernelTrusted, reason: "this process may set trusted attributes".into() };
        }
        Err(error) => error,
    };
    match works(Form::KernelUser, stage) {
        Ok(()) => Chosen { form: Form::KernelUser, reason: format!("trusted attributes: {trusted}") },
        Err(user) => Chosen { form: Form::Portable, reason: format!("{user}") },
    }
}

/// Tries what a form needs, leaving nothing behind.
fn works(form: Form, stage: &Stage) -> io::Result<()> {
    let Some(namespace) = form.namespace() else { return Ok(()) };
    let names = [stage.name(), stage.name()];
    let tried = try_kernel(namespace, stage.dir(), names[0].as_bytes(), names[1].as_bytes());
    names.iter().for_each(|name| stage.discard(name));
    tried
}

fn try_kernel(namespace: Namespace, dir: &Handle, file: &[u8], other: &[u8]) -> io::Result<()> {
    let because = |what: &'static str| move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
    let made = dir.make_file(file).map_err(because("no file can be made"))?;
    made.set_xattr(namespace.keys().form.as_bytes(), VERSION).map_err(because("no marks can be set"))?;
    dir.make_special(other, Kind::Whiteout, Device::default()).map_err(because("no whiteout devices can be made"))?;
    dir.exchange(file, dir, other).map_err(because("names cannot be exchanged"))?;
    dir.rename_whiteout(other, dir, file).map_err(because("no whiteout can be left by a rename"))
}

/// Records the form on the root of an upper.
pub(super) fn record(root: &Handle, form: Form, stage: &Stage) -> Result<()> {
    match form.namespace() {
        Some(namespace) => record_kernel(root, namespace),
        None => record_portable(root, stage).map_err(failed("record form")),
    }
}

fn record_portable(root: &Handle, stage: &Stage) -> io::Result<()> {
    if version(root, Form::Portable)?.is_some() {
        return Ok(());
    }
    let name = stage.name();
    let file = stage.dir().make_file(name.as_bytes())?.write()?;
    sys::write_at(&file, VERSION, 0)?;
    file.sync_all()?;
    stage.dir().rename(name.as_bytes(), root, FORM_FILE)
}

/// Records a kernel form, with a mark that keeps the kernel from adding its stamp (M19).
fn record_kernel(root: &Handle, namespace: Namespace) -> Result<()> {
    let keys = namespace.keys();
    for (mark, value) in [(keys.form, VERSION), (keys.impure, b"y")] {
        if root.xattr(mark).map_err(failed("record form"))?.is_none() {
            root.set_xattr(mark.as_bytes(), value).map_err(failed("record form"))?;
        }
    }
    Ok(())
}
