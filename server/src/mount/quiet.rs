//! Directories by way of which files are read without a trace (semantics D03).
//!
//! A kernel that reads a file by itself for FUSE goes by the mount through which the file was opened, not by how it was
//! opened. So a lower that nothing can change is opened through a mount of its own that notes no times of access, as the
//! kernel's overlay opens its layers. Nobody sees that mount: it belongs to no tree and goes with the last descriptor.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, mount_bind_recursive, mount_change, mount_remount},
    thread::UnshareFlags,
};

/// Opens a directory in such a way. What else is mounted in it is there, too, as it is.
///
/// # Errors
/// A process that may not mount (`PermissionDenied`), and what else the kernel refuses.
pub(crate) fn opened(dir: &Path) -> io::Result<OwnedFd> {
    let dir = dir.canonicalize()?;
    // A mount namespace of its own, which ends with the thread.
    let opened = thread::Builder::new().name("quiet-mount".into()).spawn(move || by_own_mount(&dir))?;
    opened.join().unwrap_or_else(|_| Err(io::Error::other("the thread that mounts has failed")))
}

fn by_own_mount(dir: &PathBuf) -> io::Result<OwnedFd> {
    part()?;
    // What is mounted elsewhere goes on showing here, and nothing from here shows there.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
    mount_bind_recursive(dir, dir)?;
    let quiet = MountFlags::BIND | MountFlags::NOATIME | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount(dir, quiet, "")?;
    Ok(open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn part() -> Result<(), Errno> {
    #[expect(deprecated, reason = "what is unsafe is to part with the table of descriptors, which this does not")]
    rustix::thread::unshare(UnshareFlags::NEWNS)
}
