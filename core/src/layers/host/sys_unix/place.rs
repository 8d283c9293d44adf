//! What opening an upper asks of the host: locks, mounts, and what this process may do.

use std::{fs::File, io, path::Path};

use rustix::{
    fs::{Access, AtFlags, Mode, OFlags, accessat, openat},
    io::Errno,
};

use super::Handle;

/// Makes the directory at `path`, open to all as the umask allows; one that is there already will do.
pub(in super::super) fn make_dir_at(path: &Path) -> io::Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // On a read-only file system what is there is found by opening it.
        Err(Errno::ROFS) if path.is_dir() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Handle {
    /// Fails unless this process may change names in the directory.
    pub(in super::super) fn check_writable(&self) -> io::Result<()> {
        Ok(accessat(self.dir()?, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
    }

    /// Returns the directory above.
    pub(in super::super) fn parent(&self) -> io::Result<Self> {
        self.child(b"..")
    }

    /// Opens the directory itself, to lock it; `None` on hosts that lock no directories.
    pub(in super::super) fn lock_file(&self) -> Option<io::Result<File>> {
        Some(self.reading().map(File::from))
    }

    /// Opens or makes the file `name`, to lock it.
    pub(in super::super) fn open_lock(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(self.dir()?, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }
}
