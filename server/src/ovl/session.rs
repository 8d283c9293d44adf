//! What every command begins with: the stack opened, and its own words read.

use std::{ffi::OsStr, sync::Arc};

use ovl_core::{
    Overlay, VPath,
    overlay::{Ctx, When},
    report::View,
    tree::Tree,
};

use crate::{
    cli::{exit::Failure, flags::StackArgs, serve, stack},
    time,
};

/// What clients create is writable for its owner alone.
const UMASK: u32 = 0o022;

/// An opened stack.
pub(super) struct Session {
    pub(super) overlay: Arc<Overlay>,
    /// What the layers are called, topmost first: `upper`, `lower-1`, `lower-2`.
    pub(super) ids: Vec<String>,
}

impl Session {
    /// Opens the stack for what changes the upper.
    pub(super) fn open(args: &StackArgs) -> Result<Self, Failure> {
        Ok(Self::of(stack::open(args, time::nonce(), None)?.overlay))
    }

    /// Opens the stack for what only looks, beside whatever else uses it.
    pub(super) fn to_read(args: &StackArgs) -> Result<Self, Failure> {
        Ok(Self::of(stack::open_to_read(args, time::nonce())?))
    }

    fn of(overlay: Arc<Overlay>) -> Self {
        let above = usize::from(overlay.has_upper());
        let id = |index| if index < above { "upper".to_owned() } else { format!("lower-{}", index + 1 - above) };
        let ids = (0..overlay.layers().len()).map(id).collect();
        Self { overlay, ids }
    }

    pub(super) fn view(&self) -> View {
        View { tree: self.overlay.clone(), ids: self.ids.clone().into() }
    }

    /// Reads which tree is meant: `merged`, `upper`, or a layer by its name or `layer:NAME`.
    pub(super) fn tree(&self, what: &str) -> Result<Tree, Failure> {
        let name = what.strip_prefix("layer:").unwrap_or(what);
        match (what, self.ids.iter().position(|id| id == name)) {
            ("merged", _) => Ok(Tree::Merged),
            ("upper", _) => Ok(Tree::Upper),
            (_, Some(layer)) => Ok(Tree::Layer(layer)),
            _ => {
                let known = self.ids.join(", ");
                Err(Failure::usage(format!("{what:?} is neither merged, upper nor a layer; the layers are {known}")))
            }
        }
    }
}

/// Returns who changes something: the user of this process, now.
pub(super) fn ctx() -> Ctx {
    let (uid, gid) = serve::owner();
    Ctx { uid, gid, umask: UMASK, now: time::now(), when: When::Always, faithful: false }
}

/// Reads a path of the tree; a slash in front or at the end is no part of it, and `.` is the root.
pub(super) fn path(text: &OsStr) -> Result<VPath, Failure> {
    let bytes = text.as_encoded_bytes();
    let bytes = bytes.strip_prefix(b"/").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"/").unwrap_or(bytes);
    Ok(VPath::parse(if bytes == b"." { b"" } else { bytes })?)
}
