//! Linux: objects held by a descriptor that opens nothing, and the calls that only Linux has.

use std::{
    fs::File,
    io,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{
        AtFlags, FallocateFlags, FileType, Gid, Mode, OFlags, RenameFlags, Timestamps, Uid, makedev, mknodat, openat,
        renameat_with,
    },
    io::Errno,
};

use super::{Raw, change::timespec, declared, raw};
use crate::{Allocate, Device, Kind, Time};

/// An object of the host, held by a descriptor: it stays the same object whatever happens to its names.
///
/// On Linux the descriptor is `O_PATH` for what was looked up: nothing is opened, so a fifo does not
/// wait and a device does nothing.
#[derive(Debug)]
pub(in super::super) struct Handle {
    fd: OwnedFd,
    access: Access,
}

/// What a descriptor is good for.
#[derive(Debug)]
enum Access {
    /// Nothing but to name the object: `O_PATH`.
    Path,
    /// A directory's names can be read, once: the descriptor has one position. Whether they were.
    Names(AtomicBool),
    /// It reads and writes, because the object was made here.
    Full,
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NAMES: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Handle {
    /// Returns the descriptor, of a directory for what is done in it.
    pub(super) fn dir(&self) -> io::Result<&OwnedFd> {
        Ok(&self.fd)
    }

    /// Holds what a descriptor that reads and writes has made.
    pub(super) fn made(fd: OwnedFd) -> Self {
        Self { fd, access: Access::Full }
    }

    /// Holds the directory at `path`, the one path that ever reaches the host; a symlink at its end is
    /// followed (semantics M28).
    pub(in super::super) fn root(path: &Path) -> io::Result<Self> {
        let flags = LOOK.difference(OFlags::NOFOLLOW) | OFlags::DIRECTORY;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, access: Access::Path })
    }

    /// Holds the directory that a descriptor holds.
    pub(in super::super) fn at(dir: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { fd: openat(dir, ".", LOOK | OFlags::DIRECTORY, Mode::empty())?, access: Access::Path })
    }

    /// Looks up one name, following nothing.
    pub(in super::super) fn child(&self, name: &[u8]) -> io::Result<Self> {
        let fd = openat(&self.fd, name, LOOK, Mode::empty())?;
        Ok(Self { fd, access: Access::Path })
    }

    /// Looks up a directory by one name, following nothing, and opens it to read its names.
    pub(in super::super) fn child_dir(&self, name: &[u8]) -> io::Result<Self> {
        let fd = quietly(NAMES | OFlags::NOFOLLOW, |flags| openat(&self.fd, name, flags, Mode::empty()))?;
        Ok(Self { fd, access: Access::Names(AtomicBool::new(false)) })
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
    pub(in super::super) fn read_link(&self) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, "", Vec::new())?.into_bytes())
    }

    /// Opens a directory for reading its names and for making them durable.
    pub(super) fn reading(&self) -> io::Result<OwnedFd> {
        Ok(quietly(NAMES, |flags| openat(&self.fd, ".", flags, Mode::empty()))?)
    }

    /// Calls `each` with every name of the directory and, where the host declares it, its kind.
    pub(in super::super) fn scan(&self, each: &mut dyn FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
        match &self.access {
            Access::Names(read) if !read.swap(true, Ordering::AcqRel) => scan(&self.fd, each),
            _ => scan(self.reading()?, each),
        }
    }

    /// Returns the descriptor, if it is good for calls that take no other than an opened one.
    pub(super) fn opened(&self) -> Option<BorrowedFd<'_>> {
        (!matches!(self.access, Access::Path)).then_some(self.fd.as_fd())
    }

    fn is_full(&self) -> bool {
        matches!(self.access, Access::Full)
    }

    /// Opens a regular file's content for reading.
    pub(in super::super) fn read(&self) -> io::Result<File> {
        if self.is_full() {
            return Ok(self.fd.try_clone()?.into());
        }
        Ok(quietly(OFlags::RDONLY | OFlags::CLOEXEC, |flags| self.reopen(flags))?.into())
    }

    /// Opens a regular file's content for reading and writing.
    pub(in super::super) fn write(&self) -> io::Result<File> {
        if self.is_full() {
            return Ok(self.fd.try_clone()?.into());
        }
        Ok(self.reopen(OFlags::RDWR | OFlags::CLOEXEC)?.into())
    }

    /// Opens the held object itself: the descriptor pins it, so its kind and identity cannot change
    /// between the look and the opening.
    fn reopen(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::open(self.proc_path(), flags, Mode::empty())
    }

    /// Returns the name under which system calls that take only a path reach this very object.
    pub(super) fn proc_path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    /// Makes a fifo, socket or device, or the 0/0 device that is a whiteout, without permissions.
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
    pub(in super::super) fn link_into(&self, dir: &Handle, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(rustix::fs::CWD, self.proc_path(), dir, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Renames and leaves a 0/0 device at the old name, in one step.
    pub(in super::super) fn rename_whiteout(&self, name: &[u8], to: &Handle, to_name: &[u8]) -> io::Result<()> {
        Ok(renameat_with(self, name, to, to_name, RenameFlags::WHITEOUT)?)
    }

    /// Sets the permission bits; a symlink has none.
    pub(in super::super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match self.opened() {
            Some(fd) => Ok(rustix::fs::fchmod(fd, mode)?),
            None => Ok(rustix::fs::chmod(self.proc_path(), mode)?),
        }
    }

    /// Sets owner and group.
    pub(in super::super) fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(self, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }

    /// Sets the times that are given.
    pub(in super::super) fn set_times(&self, atime: Option<Time>, mtime: Option<Time>) -> io::Result<()> {
        let times = Timestamps { last_access: timespec(atime), last_modification: timespec(mtime) };
        if let Some(fd) = self.opened() {
            return Ok(rustix::fs::futimens(fd, &times)?);
        }
        match rustix::fs::utimensat(&self.fd, "", &times, AtFlags::EMPTY_PATH) {
            // Linux before 5.8.
            Err(Errno::INVAL) => {
                Ok(rustix::fs::utimensat(rustix::fs::CWD, self.proc_path(), &times, AtFlags::empty())?)
            }
            set => Ok(set?),
        }
    }

    /// Returns how many bytes the file system of this directory has left; one that does not count has enough.
    pub(in super::super) fn free(&self) -> io::Result<u64> {
        let host = rustix::fs::fstatvfs(&self.fd)?;
        Ok(if host.f_blocks == 0 { u64::MAX } else { host.f_bavail.saturating_mul(host.f_frsize) })
    }

    /// Makes everything on this directory's file system durable.
    pub(in super::super) fn sync_file_system(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.reading()?)?)
    }
}

fn scan(fd: impl AsFd, each: &mut dyn FnMut(&[u8], Option<Kind>)) -> io::Result<()> {
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

/// Opens without changing access times (semantics D03), or as others may when that is the owner's right.
fn quietly(flags: OFlags, open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    }
}

/// Copies `len` bytes of content at most inside the kernel, from and to `offset`; 0 bytes mean the end.
pub(in super::super) fn copy_range(from: &File, to: &File, offset: u64, len: u64) -> io::Result<u64> {
    let (mut read, mut write) = (offset, offset);
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    Ok(rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), len)? as u64)
}

/// Makes `to` share all content of `from`, where the file system can.
pub(in super::super) fn clone_content(from: &File, to: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(to, from)?)
}

/// Returns whether two directories are reached by the same mount: only then can a rename go between them.
pub(in super::super) fn same_mount(a: &Handle, b: &Handle) -> io::Result<bool> {
    use rustix::fs::{StatxFlags, statx};
    let mount = |handle: &Handle| {
        let stat = statx(handle, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
        Ok::<_, Errno>((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_mnt_id))
    };
    Ok(mount(a)? == mount(b)?)
}

/// Sets space aside for a file, or gives it back.
pub(in super::super) fn allocate(file: &File, how: Allocate, range: Range<u64>) -> io::Result<()> {
    let flags = match how {
        Allocate::Extend => FallocateFlags::empty(),
        Allocate::Keep => FallocateFlags::KEEP_SIZE,
        Allocate::Punch => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        Allocate::Zero => FallocateFlags::ZERO_RANGE,
        Allocate::ZeroKeep => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
    };
    Ok(rustix::fs::fallocate(file, flags, range.start, range.end - range.start)?)
}

/// Returns the kernel's table of mounts.
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

/// Opens a regular file by the path that an operator named.
///
/// Refuses what is no regular file, before opening could wait for a fifo or wake a device.
pub(in super::super) fn open_file(path: &Path) -> io::Result<File> {
    let fd = rustix::fs::open(path, LOOK.difference(OFlags::NOFOLLOW), Mode::empty())?;
    let handle = Handle { fd, access: Access::Path };
    match handle.stat()?.stat.kind {
        Kind::File => handle.read(),
        Kind::Dir => Err(Errno::ISDIR.into()),
        _ => Err(Errno::OPNOTSUPP.into()),
    }
}
