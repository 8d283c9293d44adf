//! Attributes between the engine's words and the kernel's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use ovl_core::{Device, Kind, Stat, Time};

/// The unit in which the room that a file takes is told.
const BLOCK: u64 = 512;

/// Returns what `stat` tells of inode `ino`.
pub(super) fn attr(ino: u64, stat: &Stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: stat.size,
        blocks: stat.size.div_ceil(BLOCK),
        atime: system(stat.attrs.atime),
        mtime: system(stat.attrs.mtime),
        ctime: system(stat.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(stat.kind),
        perm: (stat.attrs.mode & 0o7777) as u16,
        nlink: stat.nlink,
        uid: stat.attrs.uid,
        gid: stat.attrs.gid,
        rdev: encode(stat.rdev),
        blksize: 4096,
        flags: 0,
    }
}

/// Returns what tells the kernel that a name leads to nothing.
pub(super) fn nothing() -> FileAttr {
    attr(0, &directory())
}

/// Returns the attributes of a directory of which nothing but the kind counts.
pub(super) fn directory() -> Stat {
    let (attrs, ctime, rdev) = Default::default();
    Stat { kind: Kind::Dir, attrs, size: 0, ctime, rdev, ino: 0, nlink: 1 }
}

/// Returns the kernel's word for a kind; whiteouts never show.
pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::Block => FileType::BlockDevice,
        Kind::Char | Kind::Whiteout => FileType::CharDevice,
        Kind::File => FileType::RegularFile,
    }
}

/// Returns what `mknod` is to make, from the upper bits of its mode.
pub(super) fn kind(mode: u32) -> Option<Kind> {
    match mode & 0o170_000 {
        0o010_000 => Some(Kind::Fifo),
        0o020_000 => Some(Kind::Char),
        0o060_000 => Some(Kind::Block),
        0o100_000 | 0 => Some(Kind::File),
        0o140_000 => Some(Kind::Socket),
        _ => None,
    }
}

/// Returns a device number as 32 bits: the minor's lower byte, the major, the rest of the minor.
fn encode(device: Device) -> u32 {
    (device.minor & 0xff) | (device.major << 8) | ((device.minor & !0xff) << 12)
}

/// Reads a device number back.
pub(super) fn device(rdev: u32) -> Device {
    Device { major: (rdev >> 8) & 0xfff, minor: (rdev & 0xff) | ((rdev >> 12) & 0xfff00) }
}

fn system(time: Time) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let at = if time.secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    at.and_then(|at| at.checked_add(Duration::from_nanos(time.nanos.into()))).unwrap_or(UNIX_EPOCH)
}

/// Returns a time that a caller sets, which may be the present.
pub(super) fn time(asked: TimeOrNow, now: Time) -> Time {
    match asked {
        TimeOrNow::Now => now,
        TimeOrNow::SpecificTime(at) => engine(at),
    }
}

/// Returns a time that the kernel sent.
fn engine(at: SystemTime) -> Time {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => Time { secs: since.as_secs() as i64, nanos: since.subsec_nanos() },
        // fuser takes the nanoseconds of a time before 1970 as counted backward, though the kernel counts them
        // forward; taken back the same way, they are what was sent.
        Err(before) => Time { secs: -(before.duration().as_secs() as i64), nanos: before.duration().subsec_nanos() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_survive_the_way_to_the_kernel_and_back() {
        for (major, minor) in [(0, 0), (1, 3), (259, 70_000), (4095, 255)] {
            assert_eq!(device(encode(Device { major, minor })), Device { major, minor });
        }
    }
}
