//! Where a stack can be mounted.

use std::path::{Path, PathBuf};

use ovl_core::layers::host;
#[cfg(feature = "fuse")]
use ovl_core::{Error, ErrorKind};
use rustix::{fs::stat, io::Errno};

use super::{
    kernel,
    leave::{self, Leave},
};
#[cfg(feature = "fuse")]
use crate::cli::exit::of_kind;
use crate::cli::{exit::Failure, flags::StackArgs, spec::Medium, stack, words};

/// Returns a mount point by its whole path. A mount of ours whose process is gone is taken away first: who starts a server
/// anew is often nobody who could do that.
///
/// # Errors
/// One that is missing (3), and one that is no directory (2).
pub(super) fn whole(point: &Path) -> Result<PathBuf, Failure> {
    if stat(point).err() == Some(Errno::NOTCONN) {
        clear(&words::whole(point));
    }
    kernel::mount_point(point)?;
    let what = || format!("cannot use the mount point {}", point.display());
    point.canonicalize().map_err(|error| Failure::io(&what(), error, "name another directory"))
}

fn clear(point: &Path) {
    let topmost = host::mounts().ok().and_then(|mounts| mounts.into_iter().rfind(|mount| mount.point == point));
    if topmost.is_some_and(|mount| mount.kind == "fuse.ovl") && leave::unmount(point, Leave::Detached).is_ok() {
        tracing::warn!("took away what was mounted at {}: its process is gone", point.display());
    }
}

/// Refuses a mount point that a layer holds, and one that holds a layer: the mount would hide it, or show itself.
pub(crate) fn refuse_around(args: &StackArgs, point: &Path) -> Result<(), Failure> {
    let layers = args.lower.iter().chain(&args.upper).filter(|layer| layer.medium != Some(Medium::Memory));
    layers.map(|layer| &*layer.path).chain(args.work.as_deref()).try_for_each(|layer| {
        if !stack::overlap(layer, point)? {
            return Ok(());
        }
        let (point, layer) = (point.display(), layer.display());
        Err(Failure::usage(format!("the mount point {point} and {layer} lie in one another; mount elsewhere")))
    })
}

/// Tells why a mount by FUSE did not come about: what `fusermount3` says is the reason where it was asked.
#[cfg(feature = "fuse")]
pub(crate) fn fuse_failure(point: &Path, error: &Error) -> Failure {
    let cause = error.cause().unwrap_or_else(|| error.kind().reason().to_owned());
    let advice = match error.kind() {
        _ if cause.contains("user_allow_other") => "leave out --allow-other, or let root write it there",
        ErrorKind::PermissionDenied => "name a directory of your own, or run it as root",
        ErrorKind::NotFound => "FUSE takes /dev/fuse (`modprobe fuse`), and without root fusermount3 (package fuse3)",
        _ => "see `dmesg`, or take another mount point",
    };
    let code = of_kind(error.kind());
    Failure::new(code, format!("FUSE cannot mount at {}: {cause}; {advice}", point.display()))
}
