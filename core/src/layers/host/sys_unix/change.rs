//! Changes, each by one system call on a descriptor and a name.

use std::{fs::File, io};

#[cfg(target_os = "linux")]
use rustix::fs::{FileType, RenameFlags, makedev, mknodat, renameat_with};
use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, openat},
    io::Errno,
};

use super::Handle;
use crate::{Device, Kind, Time};

/// Returns the owner and group of what this process makes.
pub(in super::super) fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

impl Handle {
    /// Makes an empty file `name`, for its owner alone (trust T10), and holds it open.
    pub(in super::super) fn make_file(&self, name: &[u8]) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self::made(openat(self, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Makes a directory `name`, for its owner alone.
    pub(in super::super) fn make_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(self, name, Mode::RWXU)?)
    }

    /// Makes a symlink; its target is stored, never resolved.
    pub(in super::super) fn make_symlink(&self, name: &[u8], target: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, self, name)?)
    }

    /// Makes a fifo, socket or device, or the 0/0 device that is a whiteout, without permissions.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn make_special(&self, name: &[u8], kind: Kind, rdev: Device) -> io::Result<()> {
        let file_type = match kind {
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::Block => FileType::BlockDevice,
            Kind::Char | Kind::Whiteout => FileType::CharacterDevice,
            Kind::File | Kind::Dir | Kind::Symlink => return Err(Errno::INVAL.into()),
        };
        Ok(mknodat(self, name, file_type, Mode::empty(), makedev(rdev.major, rdev.minor))?)
    }

    /// Gives this object the further name `name` in `dir`, where nothing may stand.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn link_into(&self, dir: &Handle, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(rustix::fs::CWD, self.proc_path(), dir, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Gives what stands at `name` the further name `to_name` in `to`, where nothing may stand.
    pub(in super::super) fn link(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(self, name, to, to_name, AtFlags::empty())?)
    }

    /// Renames, replacing what may be replaced.
    pub(in super::super) fn rename(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, name, to, to_name)?)
    }

    /// Renames to a name where nothing stands.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn rename_new(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(renameat_with(self, name, to, to_name, RenameFlags::NOREPLACE)?)
    }

    /// Exchanges what stands at two names.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn exchange(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(renameat_with(self, name, to, to_name, RenameFlags::EXCHANGE)?)
    }

    /// Renames and leaves a 0/0 device at the old name, in one step.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn rename_whiteout(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(renameat_with(self, name, to, to_name, RenameFlags::WHITEOUT)?)
    }

    /// Removes a name of anything but a directory.
    pub(in super::super) fn unlink(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::empty())?)
    }

    /// Removes an empty directory.
    pub(in super::super) fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Sets the permission bits; a symlink has none.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::chmod(self.proc_path(), Mode::from_raw_mode(mode))?)
    }

    /// Sets owner and group.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(self, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }

    /// Sets the times that are given.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn set_times(&self, atime: Option<Time>, mtime: Option<Time>) -> io::Result<()> {
        let times = Timestamps { last_access: timespec(atime), last_modification: timespec(mtime) };
        Ok(rustix::fs::utimensat(rustix::fs::CWD, self.proc_path(), &times, AtFlags::empty())?)
    }

    /// Makes a regular file or a directory durable, with its attributes and names.
    pub(in super::super) fn sync(&self, kind: Kind) -> io::Result<()> {
        match kind {
            Kind::File => self.read()?.sync_all(),
            _ => Ok(rustix::fs::fsync(self.reading()?)?),
        }
    }

    /// Makes everything on this directory's file system durable.
    #[cfg(target_os = "linux")]
    pub(in super::super) fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.reading()?)?)
    }
}

fn timespec(time: Option<Time>) -> Timespec {
    match time {
        Some(time) => Timespec { tv_sec: time.secs, tv_nsec: i64::from(time.nanos) },
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    }
}

/// Copies `len` bytes of content at most inside the kernel, from and to `offset`; 0 bytes mean the end.
#[cfg(target_os = "linux")]
pub(in super::super) fn copy_range(from: &File, to: &File, offset: u64, len: u64) -> io::Result<u64> {
    let (mut read, mut write) = (offset, offset);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    Ok(rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), len)? as u64)
}

/// Makes `to` share all content of `from`, where the file system can.
#[cfg(target_os = "linux")]
pub(in super::super) fn clone_content(from: &File, to: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
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
