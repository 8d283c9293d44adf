//! What killed runs have left: their directories, in each a file that its process keeps locked as long as it lives.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::{fs::OFlags, process::geteuid};

use crate::ovl::notes::Notes;

/// How the name of such a directory begins.
pub(super) const PREFIX: &str = "ovl-run-";
const LOCK: &str = "lock";

/// Marks a directory as this process's, until what is returned is dropped. It is seen marked and locked, or not at all.
pub(super) fn hold(dir: &Path) -> io::Result<File> {
    let fresh = dir.join("lock.new");
    let file = File::create_new(&fresh)?;
    file.lock()?;
    fs::rename(fresh, dir.join(LOCK))?;
    Ok(file)
}

/// Takes the mark away: what is in the directory is kept.
pub(super) fn release(dir: &Path) -> io::Result<()> {
    fs::remove_file(dir.join(LOCK))
}

/// Removes the marked directories of this user in `place` whose process is gone.
pub(super) fn clear(place: &Path, notes: Notes) {
    // What cannot be read or removed now is there for the next.
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let dir = entry.path();
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        // The lock is held meanwhile, so that two do not clear one.
        let Ok(_lock) = abandoned(&dir) else { continue };
        if fs::remove_dir_all(&dir).is_ok() {
            notes.say(&format!("removed {}, which a killed run has left", dir.display()));
        }
    }
}

/// Returns the lock of a directory that is ours beyond doubt, and nobody's any more.
fn abandoned(dir: &Path) -> io::Result<File> {
    let user = geteuid().as_raw();
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    let is_ours = |meta: &fs::Metadata| meta.is_dir() && meta.uid() == user && meta.mode() & 0o002 == 0;
    dir.symlink_metadata().and_then(|meta| is_ours(&meta).then_some(()).ok_or_else(refused))?;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let lock = OpenOptions::new().read(true).custom_flags(flags).open(dir.join(LOCK))?;
    let meta = lock.metadata()?;
    if !meta.is_file() || meta.uid() != user {
        return Err(refused());
    }
    lock.try_lock()?;
    Ok(lock)
}
