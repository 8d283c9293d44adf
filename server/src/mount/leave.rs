//! Taking a mount away: the kernel does it for root, `fusermount3` for the user who mounted.
//!
//! A mount that somebody else has made at the same place meanwhile stays: ours is known by its device.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use ovl_core::layers::host;
use rustix::{
    fs::{AtFlags, CWD, StatxFlags, statx},
    io::Errno,
    mount::UnmountFlags,
};

/// Where something was mounted, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    at: PathBuf,
    device: (u32, u32),
}

impl Place {
    /// Returns the place of what is mounted at a path that has no symbolic link in it.
    #[cfg(feature = "fuse")]
    pub(crate) fn of(at: &Path) -> io::Result<Self> {
        Ok(Self { at: at.to_owned(), device: device(at)? })
    }

    /// Returns the mount point, as it was called then.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Returns the numbers by which the table of mounts knows it.
    #[cfg(feature = "fuse")]
    pub(crate) fn device(&self) -> (u32, u32) {
        self.device
    }

    /// Unmounts; does nothing where it is not mounted any more.
    ///
    /// # Errors
    /// A mount that is used (`ResourceBusy`), and what else the kernel or `fusermount3` refuses.
    pub fn unmount(&self) -> io::Result<()> {
        self.now().map_or(Ok(()), |at| unmount(&at, Leave::Whole))
    }

    /// Takes it out of the tree at once: whoever uses it keeps it until they close what they have open.
    ///
    /// # Errors
    /// What the kernel or `fusermount3` refuses.
    pub fn detach(&self) -> io::Result<()> {
        self.now().map_or(Ok(()), |at| unmount(&at, Leave::Detached))
    }

    /// Ends a mount by FUSE at once, for who uses it with an error, though nobody answers for it any more.
    ///
    /// # Errors
    /// A system on which neither `umount` nor the kernel's directory of such mounts lets this user do it.
    #[cfg(feature = "fuse")]
    pub(crate) fn abort(&self) -> io::Result<()> {
        let Some(at) = self.now() else { return Ok(()) };
        let forced = rustix::mount::unmount(&at, UnmountFlags::NOFOLLOW | UnmountFlags::FORCE | UnmountFlags::DETACH);
        if forced.is_err() {
            std::fs::write(format!("/sys/fs/fuse/connections/{}/abort", self.device.1), "1")?;
            // It answers with errors from now on, taken away or not.
            let _detached = self.detach();
        }
        Ok(())
    }

    /// Lets the kernel read so many bytes ahead, where this process may decide that.
    #[cfg(feature = "fuse")]
    pub(crate) fn read_ahead(&self, bytes: u32) {
        let (major, minor) = self.device;
        let _allowed =
            std::fs::write(format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"), (bytes / 1024).to_string());
    }

    /// Returns where it is by now: a directory above it may have got another name. `None` where it is covered or gone.
    fn now(&self) -> Option<PathBuf> {
        let is_there = |at: &Path| device(at).is_ok_and(|found| found == self.device);
        if is_there(&self.at) {
            return Some(self.at.clone());
        }
        let moved = host::mounts().ok()?.into_iter().find(|mount| mount.device == self.device)?;
        is_there(&moved.point).then_some(moved.point)
    }
}

/// Asks the kernel for what it knows: nobody has to answer.
fn device(at: &Path) -> io::Result<(u32, u32)> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let found = statx(CWD, at, flags, StatxFlags::empty())?;
    Ok((found.stx_dev_major, found.stx_dev_minor))
}

/// How a mount goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// When nobody uses it, or not at all.
    Whole,
    /// From the tree at once, and for its users when they are done.
    Detached,
}

/// Unmounts what is topmost at a path.
///
/// # Errors
/// A mount that is used (`ResourceBusy`), and what else the kernel or `fusermount3` refuses.
pub(crate) fn unmount(at: &Path, how: Leave) -> io::Result<()> {
    let detach = if how == Leave::Detached { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    match rustix::mount::unmount(at, UnmountFlags::NOFOLLOW | detach) {
        Err(Errno::PERM) => by_fusermount(at, how),
        done => Ok(done?),
    }
}

fn by_fusermount(at: &Path, how: Leave) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command.arg("-u").args((how == Leave::Detached).then_some("-z")).arg("--").arg(at).env("LC_ALL", "C");
    let done = command.output().map_err(|error| io::Error::new(error.kind(), format!("fusermount3: {error}")))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    match done.status.success() {
        true => Ok(()),
        false if said.contains("resource busy") => Err(Errno::BUSY.into()),
        false => Err(io::Error::new(io::ErrorKind::PermissionDenied, said)),
    }
}
