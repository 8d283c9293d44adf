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

/// Returns whether two directories are reached by the same mount: only then can a rename go between them.
#[cfg(target_os = "linux")]
pub(in super::super) fn same_mount(a: &Handle, b: &Handle) -> io::Result<bool> {
    use rustix::fs::{StatxFlags, statx};
    let mount = |handle: &Handle| {
        let stat = statx(handle, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
        Ok::<_, Errno>((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_mnt_id))
    };
    Ok(mount(a)? == mount(b)?)
}

/// Returns the kernel's table of mounts.
#[cfg(target_os = "linux")]
pub(in super::super) fn mount_table() -> io::Result<Vec<u8>> {
    use std::io::Read;
    let fd = rustix::fs::open("/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut table = Vec::new();
    File::from(fd).read_to_end(&mut table)?;
    Ok(table)
}

/// Returns whether permission bits stop this process: it makes a file without any in `dir`, and opens it.
pub(in super::super) fn bound_by_modes(dir: &Handle) -> io::Result<bool> {
    let name = b"#bound";
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    drop(openat(dir, &name[..], flags, Mode::empty())?);
    let opened = openat(dir, &name[..], OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    dir.unlink(name)?;
    match opened {
        Ok(_) => Ok(false),
        Err(Errno::ACCESS) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether names in `dir` that differ in case alone are one (trust T3).
pub(in super::super) fn case_blind(dir: &Handle) -> io::Result<bool> {
    drop(dir.make_file(b"#case")?);
    let other = dir.child_stat(b"#CASE");
    dir.unlink(b"#case")?;
    match other {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl Handle {
    /// Fails unless this process may change names in the directory.
    pub(in super::super) fn check_writable(&self) -> io::Result<()> {
        Ok(accessat(self, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
    }

    /// Returns the directory above.
    pub(in super::super) fn parent(&self) -> io::Result<Self> {
        self.child(b"..")
    }

    /// Opens the directory itself, to lock it.
    pub(in super::super) fn lock_file(&self) -> io::Result<File> {
        Ok(self.reading()?.into())
    }

    /// Opens or makes the file `name`, to lock it.
    pub(in super::super) fn open_lock(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(self, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }
}
