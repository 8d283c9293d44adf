//! Objects held by a descriptor: finding them, looking at them, reading them.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, openat},
    io::Errno,
};

use super::{Raw, declared, raw};
use crate::Kind;

/// An object of the host, held by a descriptor: it stays the same object whatever happens to its names.
///
/// On Linux the descriptor is `O_PATH` for what was looked up: nothing is opened, so a fifo does not
/// wait and a device does nothing.
#[derive(Debug)]
pub(in super::super) struct Handle {
    fd: OwnedFd,
    /// Whether the descriptor reads and writes, because the object was made here.
    full: bool,
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const LOOK: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

impl Handle {
    /// Holds what a descriptor that reads and writes has made.
    pub(super) fn made(fd: OwnedFd) -> Self {
        Self { fd, full: true }
    }

    /// Holds the directory at `path`, the one path that ever reaches the host; a symlink at its end is
    /// followed (semantics M28).
    pub(in super::super) fn root(path: &Path) -> io::Result<Self> {
        let flags = LOOK.difference(OFlags::NOFOLLOW) | OFlags::DIRECTORY;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, full: false })
    }

    /// Looks up one name, following nothing.
    pub(in super::super) fn child(&self, name: &[u8]) -> io::Result<Self> {
        let fd = openat(&self.fd, name, LOOK, Mode::empty())?;
        Ok(Self { fd, full: false })
    }

    /// Returns what the host says about the object.
    pub(in super::super) fn stat(&self) -> io::Result<Raw> {
        Ok(raw(&rustix::fs::fstat(&self.fd)?))
    }

    /// Returns what the host says about `name`, following nothing.
    pub(in super::super) fn child_stat(&self, name: &[u8]) -> io::Result<Raw> {
        Ok(raw(&rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Returns the target of a symlink.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn read_link(&self) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, "", Vec::new())?.into_bytes())
    }

    /// Opens a directory for reading its names and for making them durable.
    pub(super) fn reading(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(quietly(flags, |flags| openat(&self.fd, ".", flags, Mode::empty()))?)
    }

    /// Calls `each` with every name of the directory and, where the host declares it, its kind.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn scan(&self, each: &mut dyn FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        let fd = self.reading()?;
        let mut buf = Vec::with_capacity(32 * 1024);
        let mut dir = rustix::fs::RawDir::new(fd, buf.spare_capacity_mut());
        while let Some(entry) = dir.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                each(name, declared(entry.file_type()));
            }
        }
        Ok(())
    }

    /// Opens a regular file's content for reading.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn read(&self) -> io::Result<File> {
        if self.full {
            return Ok(self.fd.try_clone()?.into());
        }
        Ok(quietly(OFlags::RDONLY | OFlags::CLOEXEC, |flags| self.reopen(flags))?.into())
    }

    /// Opens a regular file's content for reading and writing.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn write(&self) -> io::Result<File> {
        if self.full {
            return Ok(self.fd.try_clone()?.into());
        }
        Ok(self.reopen(OFlags::RDWR | OFlags::CLOEXEC)?.into())
    }

    /// Opens the held object itself: the descriptor pins it, so its kind and identity cannot change
    /// between the look and the opening.
    #[cfg(target_os = "linux")]
    fn reopen(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::open(self.proc_path(), flags, Mode::empty())
    }

    /// Returns the name under which system calls that take only a path reach this very object.
    #[cfg(target_os = "linux")]
    pub(super) fn proc_path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

/// Opens without changing access times (semantics D03), or as others may when that is the owner's right.
#[cfg(target_os = "linux")]
fn quietly(flags: OFlags, open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    }
}

/// Opens; access times stay where the host keeps them.
#[cfg(not(target_os = "linux"))]
fn quietly(flags: OFlags, open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    open(flags)
}

/// Opens a regular file by the path that an operator named.
///
/// Refuses what is no regular file, before opening could wait for a fifo or wake a device.
pub(in super::super) fn open_file(path: &Path) -> io::Result<File> {
    let fd = rustix::fs::open(path, LOOK.difference(OFlags::NOFOLLOW), Mode::empty())?;
    let handle = Handle { fd, full: false };
    match handle.stat()?.stat.kind {
        Kind::File => handle.read(),
        Kind::Dir => Err(Errno::ISDIR.into()),
        _ => Err(Errno::OPNOTSUPP.into()),
    }
}
