//! Changes, each by one system call on a descriptor and a name.

use std::{fs::File, io};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, Timespec, UTIME_OMIT, openat, renameat_with},
    io::Errno,
};

use super::Handle;
use crate::{Kind, Time};

/// Returns the owner and group of what this process makes.
pub(in super::super) fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

impl Handle {
    /// Makes an empty file `name`, for its owner alone (trust T10), and holds it open.
    pub(in super::super) fn make_file(&self, name: &[u8]) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self::made(openat(self.dir()?, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Makes a directory `name`, for its owner alone.
    pub(in super::super) fn make_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(self.dir()?, name, Mode::RWXU)?)
    }

    /// Makes a symlink; its target is stored, never resolved.
    pub(in super::super) fn make_symlink(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, self.dir()?, name)?)
    }

    /// Gives what stands at `name` the further name `to_name` in `to`, where nothing may stand.
    pub(in super::super) fn link(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(self.dir()?, name, to.dir()?, to_name, AtFlags::empty())?)
    }

    /// Renames, replacing what may be replaced.
    pub(in super::super) fn rename(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(self.dir()?, name, to.dir()?, to_name)?)
    }

    /// Renames to a name where nothing stands.
    pub(in super::super) fn rename_new(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(renameat_with(self.dir()?, name, to.dir()?, to_name, RenameFlags::NOREPLACE)?)
    }

    /// Exchanges what stands at two names.
    pub(in super::super) fn exchange(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(renameat_with(self.dir()?, name, to.dir()?, to_name, RenameFlags::EXCHANGE)?)
    }

    /// Removes a name of anything but a directory.
    pub(in super::super) fn unlink(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.dir()?, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(in super::super) fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self.dir()?, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes a regular file or a directory durable, with its attributes and names.
    pub(in super::super) fn sync(&self, kind: Kind) -> io::Result<()> {
        match kind {
            Kind::File => self.read()?.sync_all(),
            _ => Ok(rustix::fs::fsync(self.reading()?)?),
        }
    }
}

pub(super) fn timespec(time: Option<Time>) -> Timespec {
    match time {
        Some(time) => Timespec { tv_sec: time.secs, tv_nsec: i64::from(time.nanos) },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    }
}

/// Returns the next range at or after `offset` that is not a hole.
pub(in super::super) fn next_data(file: &File, offset: u64) -> io::Result<Option<std::ops::Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    let start = match seek(file, SeekFrom::Data(offset)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(start..seek(file, SeekFrom::Hole(start))?))
}

/// Reads at a place; behind the greatest place of the host is nothing.
pub(in super::super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    if i64::try_from(offset).is_err() {
        return Ok(0);
    }
    loop {
        match std::os::unix::fs::FileExt::read_at(file, buf, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes all of `data` at a place.
pub(in super::super) fn write_at(file: &File, data: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, data, offset)
}

/// Returns what the host says about an open file.
pub(in super::super) fn stat_file(file: &File) -> io::Result<super::Raw> {
    Ok(super::raw(&rustix::fs::fstat(file)?))
}
