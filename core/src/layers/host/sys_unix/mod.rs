//! System calls on Unix, each from a descriptor and with one name at most.
//!
//! Containment (trust T6) needs no path resolution here: a name never holds `/` and is never `..`, so
//! a lookup of one name with `O_NOFOLLOW` cannot leave the directory that its descriptor holds,
//! whoever swaps directories for symlinks meanwhile. That is why `openat2` is not needed, and why
//! kernels without it get the same guarantee.

mod change;
#[cfg(target_os = "linux")]
mod handles;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
mod place;
#[cfg(target_os = "linux")]
mod xattr;

use std::io;

use rustix::{
    fs::{FileType, Stat as RawStat},
    io::Errno,
};

#[cfg(not(target_os = "linux"))]
pub(super) use self::other::*;
pub(super) use self::{change::*, place::*};
#[cfg(target_os = "linux")]
pub(super) use self::{handles::*, linux::*};
pub(super) use super::raw::Raw;
#[cfg(not(target_os = "linux"))]
pub(super) use super::sys_foreign::*;
use crate::{Attrs, Device, ErrorKind, Kind, Stat, Time};

/// Whether any process may make symlinks.
pub(super) const HAS_SYMLINKS: bool = true;

/// Returns whether the host can hold a name as it is: on Unix every one.
pub(super) fn holds_name(_name: &[u8]) -> bool {
    true
}

/// Returns what a caller can act on for an error of the system.
pub(super) fn error_kind(error: &io::Error) -> ErrorKind {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else {
        return crate::Error::from(io::Error::from(error.kind())).kind();
    };
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE | Errno::MLINK => ErrorKind::NoSpace,
        Errno::PERM | Errno::ACCESS => ErrorKind::PermissionDenied,
        Errno::LOOP => ErrorKind::Loop,
        Errno::STALE => ErrorKind::LayerChanged,
        Errno::OPNOTSUPP => ErrorKind::Unsupported,
        Errno::TOOBIG | Errno::FBIG => ErrorKind::TooLarge,
        Errno::NOTEMPTY => ErrorKind::NotEmpty,
        Errno::NAMETOOLONG => ErrorKind::NameTooLong,
        _ => crate::Error::from(io::Error::from(error.kind())).kind(),
    }
}

/// Returns the kind that a directory entry declares, or `None` when only a stat can tell (character
/// devices too, for 0/0 is a whiteout).
fn declared(kind: FileType) -> Option<Kind> {
    match kind {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Dir),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::BlockDevice => Some(Kind::Block),
        _ => None,
    }
}

// The widths of these fields differ from one Unix to the next.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
fn raw(stat: &RawStat) -> Raw {
    let rdev = Device { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) };
    let kind = match declared(FileType::from_raw_mode(stat.st_mode)) {
        Some(kind) => kind,
        None if rdev == Device::default() => Kind::Whiteout,
        None => Kind::Char,
    };
    let rdev = if matches!(kind, Kind::Char | Kind::Block) { rdev } else { Device::default() };
    let attrs = Attrs {
        mode: u32::from(stat.st_mode) & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        atime: Time { secs: stat.st_atime as i64, nanos: stat.st_atime_nsec as u32 },
        mtime: Time { secs: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
    };
    let ctime = Time { secs: stat.st_ctime as i64, nanos: stat.st_ctime_nsec as u32 };
    let size = if matches!(kind, Kind::File | Kind::Symlink) { stat.st_size as u64 } else { 0 };
    let (ino, nlink, dev) = (stat.st_ino as u64, stat.st_nlink as u32, stat.st_dev as u64);
    Raw { stat: Stat { kind, attrs, size, ctime, rdev, ino, nlink }, dev }
}
