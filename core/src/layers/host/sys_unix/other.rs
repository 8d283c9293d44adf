//! Other Unixes, macOS first: directories and files are held open, the rest by directory, name and number.
//!
//! What is not a directory or a readable file is found again by its name, and only if it still is the same
//! object: a symlink or fifo that was renamed is `Stale`, never another's.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Timestamps, openat, statat},
    io::Errno,
};

use super::{Raw, change::timespec, declared, raw};
use crate::{Kind, Time};

/// An object of the host.
#[derive(Debug)]
pub(in super::super) struct Handle {
    held: Held,
    /// Whether the descriptor reads and writes, because the object was made here.
    full: bool,
}

#[derive(Debug)]
enum Held {
    /// The object itself.
    Itself(OwnedFd),
    /// Its directory, its name there, and its device and inode.
    Named(OwnedFd, Vec<u8>, (u64, u64)),
}

const LOOK: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

impl Handle {
    /// Holds what a descriptor that reads and writes has made.
    pub(super) fn made(fd: OwnedFd) -> Self {
        Self { held: Held::Itself(fd), full: true }
    }

    fn found(fd: OwnedFd) -> Self {
        Self { held: Held::Itself(fd), full: false }
    }

    /// Returns the descriptor of a directory.
    pub(super) fn dir(&self) -> io::Result<&OwnedFd> {
        match &self.held {
            Held::Itself(fd) => Ok(fd),
            Held::Named(..) => Err(Errno::NOTDIR.into()),
        }
    }

    /// Holds the directory at `path`, the one path that ever reaches the host.
    pub(in super::super) fn root(path: &Path) -> io::Result<Self> {
        let flags = LOOK.difference(OFlags::NOFOLLOW) | OFlags::DIRECTORY;
        Ok(Self::found(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Looks up one name, following nothing and opening nothing but directories and regular files.
    pub(in super::super) fn child(&self, name: &[u8]) -> io::Result<Self> {
        let dir = self.dir()?;
        let seen = raw(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?);
        if matches!(seen.stat.kind, Kind::Dir | Kind::File) {
            match openat(dir, name, LOOK, Mode::empty()) {
                Ok(fd) => return Ok(Self::found(fd)),
                Err(Errno::ACCESS) if seen.stat.kind == Kind::File => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self { held: Held::Named(dir.try_clone()?, name.to_vec(), seen.id()), full: false })
    }

    /// Looks up a directory by one name, following nothing.
    pub(in super::super) fn child_dir(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self::found(openat(self.dir()?, name, LOOK | OFlags::DIRECTORY, Mode::empty())?))
    }

    /// Returns what the host says about the object.
    pub(in super::super) fn stat(&self) -> io::Result<Raw> {
        match &self.held {
            Held::Itself(fd) => Ok(raw(&rustix::fs::fstat(fd)?)),
            Held::Named(dir, name, id) => same(raw(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?), *id),
        }
    }

    /// Returns what the host says about `name`, following nothing.
    pub(in super::super) fn child_stat(&self, name: &[u8]) -> io::Result<Raw> {
        Ok(raw(&statat(self.dir()?, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    /// Returns the target of a symlink.
    pub(in super::super) fn read_link(&self) -> io::Result<Vec<u8>> {
        match &self.held {
            Held::Itself(_) => Err(Errno::INVAL.into()),
            Held::Named(dir, name, _) => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
                self.stat().map(|_| target.into_bytes())
            }
        }
    }

    /// Opens a directory for reading its names and for making them durable.
    pub(super) fn reading(&self) -> io::Result<OwnedFd> {
        Ok(openat(self.dir()?, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Calls `each` with every name of the directory and, where the host declares it, its kind.
    pub(in super::super) fn scan(&self, each: &mut dyn FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        for entry in rustix::fs::Dir::new(self.reading()?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                each(name, declared(entry.file_type()));
            }
        }
        Ok(())
    }

    /// Opens a regular file's content for reading.
    pub(in super::super) fn read(&self) -> io::Result<File> {
        match &self.held {
            Held::Itself(fd) => Ok(fd.try_clone()?.into()),
            Held::Named(..) => self.reopen(OFlags::RDONLY),
        }
    }

    /// Opens a regular file's content for reading and writing.
    pub(in super::super) fn write(&self) -> io::Result<File> {
        match &self.held {
            Held::Itself(fd) if self.full => Ok(fd.try_clone()?.into()),
            Held::Itself(_) => self.by_path(OFlags::RDWR),
            Held::Named(..) => self.reopen(OFlags::RDWR),
        }
    }

    /// Opens the named object, if it still is the same.
    fn reopen(&self, flags: OFlags) -> io::Result<File> {
        let Held::Named(dir, name, id) = &self.held else { return Err(Errno::INVAL.into()) };
        let fd = openat(dir, name, LOOK | flags, Mode::empty())?;
        same(raw(&rustix::fs::fstat(&fd)?), *id)?;
        Ok(fd.into())
    }

    /// Opens the held object once more: its descriptor's own path, and only if that still leads to it.
    fn by_path(&self, flags: OFlags) -> io::Result<File> {
        let Held::Itself(held) = &self.held else { return Err(Errno::INVAL.into()) };
        let fd = rustix::fs::open(rustix::fs::getpath(held)?, LOOK | flags, Mode::empty())?;
        same(raw(&rustix::fs::fstat(&fd)?), self.stat()?.id())?;
        Ok(fd.into())
    }

    /// Sets the permission bits.
    pub(in super::super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mode = Mode::from_bits_retain(mode as rustix::fs::RawMode);
        match &self.held {
            Held::Itself(fd) => Ok(rustix::fs::fchmod(fd, mode)?),
            Held::Named(..) => Ok(rustix::fs::fchmod(self.reopen(OFlags::RDONLY)?, mode)?),
        }
    }

    /// Sets the times that are given.
    pub(in super::super) fn set_times(&self, atime: Option<Time>, mtime: Option<Time>) -> io::Result<()> {
        let times = Timestamps { last_access: timespec(atime), last_modification: timespec(mtime) };
        match &self.held {
            Held::Itself(fd) => Ok(rustix::fs::futimens(fd, &times)?),
            Held::Named(dir, name, _) => {
                self.stat()?;
                Ok(rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
            }
        }
    }
}

/// Refuses what is not the object that was found before.
fn same(raw: Raw, id: (u64, u64)) -> io::Result<Raw> {
    if raw.id() == id { Ok(raw) } else { Err(Errno::STALE.into()) }
}

/// Opens a regular file by the path that an operator named; refuses what is no regular file.
pub(in super::super) fn open_file(path: &Path) -> io::Result<File> {
    let fd = rustix::fs::open(path, LOOK.difference(OFlags::NOFOLLOW), Mode::empty())?;
    match raw(&rustix::fs::fstat(fd.as_fd())?).stat.kind {
        Kind::File => Ok(fd.into()),
        Kind::Dir => Err(Errno::ISDIR.into()),
        _ => Err(Errno::OPNOTSUPP.into()),
    }
}

/// Returns whether two directories lie on one device: only then can a rename go between them.
pub(in super::super) fn same_mount(a: &Handle, b: &Handle) -> io::Result<bool> {
    Ok(a.stat()?.dev == b.stat()?.dev)
}
