//! Host directories as layers: a lower that is only read, and an upper in one of three forms.
//!
//! Every access starts from the descriptor of a root that was opened once, and goes down one name at a
//! time (`sys`): no path string reaches the host afterwards, so no symlink leads out of the tree,
//! whoever swaps it meanwhile (trust T6). Nodes pin descriptors and stay what they are when names change.
//! Linux needs `/proc` mounted.

mod beside;
mod blob;
mod form;
#[cfg(target_os = "linux")]
mod handover;
mod index;
mod inode;
mod kept;
mod kernel;
mod kernel_steps;
mod lower;
mod marks;
#[cfg(target_os = "linux")]
mod mountinfo;
mod native;
mod object;
#[cfg(target_os = "linux")]
mod plain;
mod portable;
mod raw;
mod record;
mod reserve;
mod settle;
mod slot;
mod stage;
mod suspect;
#[cfg(unix)]
#[path = "sys_unix/mod.rs"]
mod sys;
#[cfg(windows)]
#[path = "sys_windows/mod.rs"]
mod sys;
#[cfg(not(target_os = "linux"))]
mod sys_foreign;
mod upper;
mod work;

use std::{io, path::Path};

#[cfg(unix)]
pub use self::blob::descriptor;
use self::sys::Handle;
pub use self::{
    blob::file,
    form::{Form, recorded_form},
    lower::{HostLower, LowerOptions, lower, upper_to_read},
    marks::Namespace,
    suspect::{Defect, Effect, Fault, Suspect, WorkFault},
    upper::{HostUpper, UpperOptions, upper},
};
#[cfg(target_os = "linux")]
pub use self::{
    handover::{KernelUpper, upper_for_kernel},
    mountinfo::{Mount, OverlayMount, mounts, overlay_mounts},
    plain::{Plain, remove_plain, write_plain},
};
use crate::{Error, Result};

/// How long an acknowledged change has waited for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Content and every changed directory are on the disk: a power cut loses nothing acknowledged.
    #[default]
    Full,
    /// As the kernel's overlay: what is copied up is on the disk before it shows (semantics U14), the rest
    /// goes there when the host sees fit. A power cut may lose the latest changes.
    Ordered,
    /// Nothing waits, as with the kernel's `volatile`: after a power cut the upper may be damaged.
    None,
}

/// Returns whether directory `a` is `b`, or lies beneath it, on the same mount or another.
///
/// Fails where one of them cannot be opened.
pub fn is_same_or_within(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| Handle::root(path).map_err(|e| failed("open")(e).because(path.display().to_string()));
    same_or_within(&open(a)?, &open(b)?)
}

/// Goes up from `a` by `..` until it is `b` or the root of the host.
fn same_or_within(a: &Handle, b: &Handle) -> Result<bool> {
    let id = |handle: &Handle| handle.stat().map(|raw| raw.id()).map_err(failed("compare directories"));
    let wanted = id(b)?;
    let mut above: Option<Handle> = None;
    loop {
        let here = above.as_ref().unwrap_or(a);
        let at = id(here)?;
        if at == wanted {
            return Ok(true);
        }
        let parent = here.parent().map_err(failed("compare directories"))?;
        if id(&parent)? == at {
            return Ok(false);
        }
        above = Some(parent);
    }
}

/// Returns what turns an error of the host into ours.
fn failed(op: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(sys::error_kind(&error), op).because(error)
}

/// Returns the last part of a path, for messages that must not tell the rest (trust T32).
fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(|| "dir".into(), |name| name.to_string_lossy().into_owned())
}

/// Returns what tells this directory from others in validators. What is in it changes by itself; its
/// entries' own numbers and times tell that.
fn fingerprint(root: &Handle) -> Result<[u8; 16]> {
    let raw = root.stat().map_err(failed("stat"))?;
    Ok(digest(&[raw.dev, raw.stat.ino]))
}

fn digest(numbers: &[u64]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}
