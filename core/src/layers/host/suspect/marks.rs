//! The marks and names of one object that are not as they should be.

use super::{Defect, Fault};
use crate::{
    Kind, Name, Node, Result,
    layers::host::{
        failed,
        form::Form,
        marks::{self, Keys, Namespace},
        object,
        record::Record,
        slot::Slot,
        sys::Handle,
    },
};

/// How the attributes of fuse-overlayfs begin.
const FUSE_OVERLAYFS: [&[u8]; 2] = [b"user.fuseoverlayfs.", b"user.containers."];
/// What the kernel puts in front of a file handle, in its second byte.
const HANDLE: u8 = 0xfb;

/// The attributes of one object, as far as they are anyone's marks.
struct Marked<'a> {
    handle: &'a Handle,
    keys: &'static Keys,
    form: Form,
    kind: Kind,
    is_root: bool,
    faults: Vec<Fault>,
}

/// Judges the attributes of an object in a kernel form. Returns the faults, and whether there is any mark at all.
pub(super) fn judge(node: &Node, form: Form, namespace: Namespace, is_root: bool) -> Result<(Vec<Fault>, bool)> {
    let handle = &object::of(node)?.handle;
    let mut marked = Marked { handle, keys: namespace.keys(), form, kind: node.kind, is_root, faults: Vec::new() };
    let mut has_marks = false;
    for name in handle.xattr_names().map_err(failed("list attributes"))? {
        has_marks |= marked.judge(&name)?;
    }
    Ok((marked.faults, has_marks))
}

impl Marked<'_> {
    /// Judges one attribute. Returns whether it is a mark.
    fn judge(&mut self, name: &[u8]) -> Result<bool> {
        if let Some(mark) = name.strip_prefix(self.keys.prefix.as_bytes()) {
            if !mark.starts_with(b"overlay.") {
                let value = self.handle.xattr_bytes(name).map_err(failed("read mark"))?.unwrap_or_default();
                self.own(mark, &value);
            }
            return Ok(true);
        }
        let other = self.other();
        if let Some(mark) = name.strip_prefix(other.prefix.as_bytes()).filter(|mark| !mark.starts_with(b"overlay.")) {
            // What a lower had of them has come along with a copy-up; those that hide or lead elsewhere were meant to count.
            if matches!(mark, b"opaque" | b"redirect" | b"metacopy" | b"whiteout") {
                self.fault(Defect::OtherMarks, name);
            }
            return Ok(true);
        }
        if FUSE_OVERLAYFS.iter().any(|prefix| name.starts_with(prefix)) {
            match name.rsplit(|byte| *byte == b'.').next() {
                Some(b"opaque" | b"redirect") => self.fault(Defect::ForeignMark, name),
                Some(b"origin") => {}
                _ => self.fault(Defect::OddMark, name),
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn other(&self) -> &'static Keys {
        match self.form {
            Form::KernelUser => Namespace::Trusted.keys(),
            _ => Namespace::User.keys(),
        }
    }

    fn fault(&mut self, defect: Defect, detail: &[u8]) {
        self.faults.push(Fault { defect, detail: crate::printable(detail).into_owned() });
    }

    /// Judges a mark of the form's own namespace by its value.
    fn own(&mut self, mark: &[u8], value: &[u8]) {
        let defect = match mark {
            b"opaque" if self.kind != Kind::Dir => Some(Defect::OddMark),
            b"opaque" if self.is_root => Some(Defect::OpaqueRoot),
            b"opaque" => (value != b"y").then_some(Defect::BadOpaque),
            b"redirect" if marks::redirect(value.to_vec()).is_err() => Some(Defect::BadRedirect),
            b"metacopy" if marks::metacopy(value).is_err() => Some(Defect::BadMetacopy),
            b"redirect" | b"metacopy" => (self.form == Form::KernelUser).then_some(Defect::ForbiddenMark),
            b"whiteout" => self.is_empty_file().then_some(Defect::MarkedWhiteout),
            b"ovl_meta" => Record::decode(value).is_err().then_some(Defect::BadRecord),
            _ if mark.starts_with(b"ovl_link.") => Slot::decode(value).is_err().then_some(Defect::BadRecord),
            _ => (!is_usual(mark, value)).then_some(Defect::OddMark),
        };
        if let Some(defect) = defect {
            let told = [mark, b"=", value].concat();
            self.fault(defect, &told);
        }
    }

    fn is_empty_file(&self) -> bool {
        // A file with a whiteout mark is found as a whiteout.
        self.handle.stat().is_ok_and(|raw| raw.stat.kind == Kind::File && raw.stat.size == 0)
    }
}

/// Returns whether the kernel, or ovl, writes this value of a mark that changes nothing of what shows.
fn is_usual(mark: &[u8], value: &[u8]) -> bool {
    match mark {
        b"origin" | b"upper" => value.is_empty() || is_handle(value),
        b"impure" => value == b"y",
        b"uuid" => value.len() == 16,
        b"nlink" => {
            matches!(value, [b'U' | b'L', b'+' | b'-', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
        }
        b"protattr" => value.iter().all(|letter| b"aidsA".contains(letter)),
        b"ovl_form" => true,
        _ => false,
    }
}

/// Returns whether this is a file handle as the kernel keeps it: version, magic, length, flags, type, file system, handle.
fn is_handle(value: &[u8]) -> bool {
    matches!(value, [0, HANDLE, len, _, _, ..] if usize::from(*len) == value.len() && value.len() > 21)
}

/// Returns what a name may mean to others: a whiteout or an opaque directory of AUFS, OCI and fuse-overlayfs, or, in a
/// kernel form, of our portable one.
pub(super) fn foreign(name: Name<'_>, form: Form) -> bool {
    let name = name.as_bytes();
    name.starts_with(b".wh.") || (form != Form::Portable && name.starts_with(b".ovl."))
}
