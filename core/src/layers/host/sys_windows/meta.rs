//! What Windows says about an object, in our words.

use std::{fs::File, io, time::UNIX_EPOCH};

use cap_fs_ext::MetadataExt;
use cap_std::{
    fs::{FileType, Metadata},
    time::SystemTime,
};

use super::Raw;
use crate::{Attrs, Device, Kind, Stat, Time};

/// Returns the kind of a file type; what is neither file nor directory counts as a symlink.
pub(super) fn kind(file_type: FileType) -> Kind {
    if file_type.is_dir() {
        Kind::Dir
    } else if file_type.is_file() {
        Kind::File
    } else {
        Kind::Symlink
    }
}

/// Reads the attributes of an open object.
pub(super) fn open_raw(meta: &Metadata) -> Raw {
    Raw { stat: Stat { ino: meta.ino(), nlink: meta.nlink() as u32, ..named(meta) }, dev: meta.dev() }
}

/// Reads the attributes of an object that is known by name alone, with a number made from it.
pub(super) fn named_raw(meta: &Metadata, dir: &Raw, name: &str) -> Raw {
    let hash = blake3::hash(name.as_bytes());
    let number = hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Raw { stat: Stat { ino: dir.stat.ino ^ number, ..named(meta) }, dev: dir.dev }
}

fn named(meta: &Metadata) -> Stat {
    let kind = kind(meta.file_type());
    let mode = match (kind, meta.permissions().readonly()) {
        (Kind::Dir, _) => 0o755,
        (Kind::Symlink, _) => 0o777,
        (_, true) => 0o444,
        (_, false) => 0o644,
    };
    let mtime = time(meta.modified());
    let attrs = Attrs { mode, uid: 0, gid: 0, atime: time(meta.accessed()), mtime };
    let size = if kind == Kind::File { meta.len() } else { 0 };
    Stat { kind, attrs, size, ctime: mtime, rdev: Device::default(), ino: 0, nlink: 1 }
}

fn time(time: io::Result<SystemTime>) -> Time {
    let Ok(time) = time.map(SystemTime::into_std) else { return Time::default() };
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Time { secs: since.as_secs() as i64, nanos: since.subsec_nanos() },
        Err(before) => {
            let before = before.duration();
            let (secs, nanos) = (before.as_secs() as i64, before.subsec_nanos());
            if nanos == 0 {
                Time { secs: -secs, nanos }
            } else {
                Time { secs: -secs - 1, nanos: 1_000_000_000 - nanos }
            }
        }
    }
}

/// Returns what the host says about an open file.
pub(in super::super) fn stat_file(file: &File) -> io::Result<Raw> {
    Ok(open_raw(&cap_std::fs::File::from_std(file.try_clone()?).metadata()?))
}
