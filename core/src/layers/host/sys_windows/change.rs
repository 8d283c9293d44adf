//! Changes, each of one name in a directory that is held.

use std::{
    fs::{File, FileTimes},
    io,
    os::windows::fs::FileExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cap_fs_ext::{DirExt, SystemTimeSpec};

use super::{Handle, handle::options, text};
use crate::{Kind, Time};

impl Handle {
    /// Makes an empty file `name` and holds it open.
    pub(in super::super) fn make_file(&self, name: &[u8]) -> io::Result<Self> {
        let (dir, name) = (self.dir()?, text(name)?);
        let file = dir.open_with(name, options().read(true).write(true).create_new(true))?;
        Ok(Self::File { file, full: true, dir: dir.try_clone()?, name: name.to_owned() })
    }

    /// Makes a directory `name`.
    pub(in super::super) fn make_dir(&self, name: &[u8]) -> io::Result<()> {
        self.dir()?.create_dir(text(name)?)
    }

    /// Refuses symlinks, which only privileged processes may make.
    pub(in super::super) fn make_symlink(&self, _name: &[u8], _target: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives what stands at `name` the further name `to_name` in `to`, where nothing may stand.
    pub(in super::super) fn link(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        self.dir()?.hard_link(text(name)?, to.dir()?, text(to_name)?)
    }

    /// Renames, replacing a file.
    pub(in super::super) fn rename(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        self.dir()?.rename(text(name)?, to.dir()?, text(to_name)?)
    }

    /// Refuses the kernel forms' rename to a free name.
    pub(in super::super) fn rename_new(&self, _name: &[u8], _to: &Handle, _to_name: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Refuses an exchange of two names: Windows has none.
    pub(in super::super) fn exchange(&self, _name: &[u8], _to: &Handle, _to_name: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a name of anything but a directory.
    pub(in super::super) fn unlink(&self, name: &[u8]) -> io::Result<()> {
        self.dir()?.remove_file_or_symlink(text(name)?)
    }

    /// Removes an empty directory.
    pub(in super::super) fn remove_dir(&self, name: &[u8]) -> io::Result<()> {
        self.dir()?.remove_dir(text(name)?)
    }

    /// Leaves the permission bits to the record.
    pub(in super::super) fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    /// Sets the times that are given.
    pub(in super::super) fn set_times(&self, atime: Option<Time>, mtime: Option<Time>) -> io::Result<()> {
        match self {
            Self::Dir(dir) => {
                let spec = |time| SystemTimeSpec::Absolute(cap_std::time::SystemTime::from_std(system_time(time)));
                dir.set_times(".", atime.map(spec), mtime.map(spec))
            }
            _ => {
                let mut times = FileTimes::new();
                times = atime.map_or(times, |time| times.set_accessed(system_time(time)));
                times = mtime.map_or(times, |time| times.set_modified(system_time(time)));
                self.write()?.set_times(times)
            }
        }
    }

    /// Makes a regular file durable; a directory is, by the file system's journal.
    pub(in super::super) fn sync(&self, kind: Kind) -> io::Result<()> {
        if kind == Kind::File { self.write()?.sync_all() } else { Ok(()) }
    }

    /// Leaves it to the first change to find out whether the directory takes one.
    pub(in super::super) fn check_writable(&self) -> io::Result<()> {
        self.dir().map(drop)
    }

    /// Returns `None`: directories cannot be locked here.
    pub(in super::super) fn lock_file(&self) -> Option<io::Result<File>> {
        None
    }

    /// Opens or makes the file `name`, to lock it.
    pub(in super::super) fn open_lock(&self, name: &[u8]) -> io::Result<File> {
        let file = self.dir()?.open_with(text(name)?, options().read(true).write(true).create(true))?;
        Ok(file.into_std())
    }
}

fn system_time(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let start = if time.secs < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    start + Duration::from_nanos(time.nanos.into())
}

/// Makes the directory at `path`; one that is there already will do.
pub(in super::super) fn make_dir_at(path: &Path) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Returns whether two directories lie on one volume: only then can a rename go between them.
pub(in super::super) fn same_mount(a: &Handle, b: &Handle) -> io::Result<bool> {
    Ok(a.stat()?.dev == b.stat()?.dev)
}

/// Reads at a place.
pub(in super::super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    if i64::try_from(offset).is_err() {
        return Ok(0);
    }
    file.seek_read(buf, offset)
}

/// Writes all of `data` at a place.
pub(in super::super) fn write_at(file: &File, mut data: &[u8], mut offset: u64) -> io::Result<()> {
    while !data.is_empty() {
        let written = file.seek_write(data, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        data = &data[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Returns the rest of the file: holes are not told from data.
pub(in super::super) fn next_data(file: &File, offset: u64) -> io::Result<Option<std::ops::Range<u64>>> {
    let size = file.metadata()?.len();
    Ok((offset < size).then_some(offset..size))
}
