//! The work directory beside an upper: its lock, and the stage on the upper's file system.
//!
//! `stage` and `lock` are ours; `kernel` is what the kernel gets as its work directory, which it empties at every mount.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    failed,
    reserve::Reserve,
    stage::Stage,
    sys::{self, Handle},
};
use crate::{Error, ErrorKind, Result};

/// An upper's work directory, held by this process alone.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) dir: Handle,
    pub(super) stage: Arc<Stage>,
    _locks: Vec<Lock>,
}

/// A lock, let go when it is dropped, though a process that is being started may still hold the file.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where it fails, the system lets go when the last descriptor closes.
        let _closing = self.0.unlock();
    }
}

/// Returns where the work directory of the upper at `path` lies unless another place is named.
pub(super) fn beside(path: &Path) -> Result<PathBuf> {
    let mut whole = path.canonicalize().map_err(failed("open upper"))?.into_os_string();
    whole.push(".ovl-work");
    Ok(whole.into())
}

impl Work {
    /// Opens or makes the work directory at `path`, takes the lock and removes leftovers.
    ///
    /// Refuses a place on another file system (`InvalidInput`), one inside or above the upper
    /// (`InvalidInput`, semantics M05, M06), and an upper that another process holds (`Busy`).
    pub(super) fn open(path: &Path, upper: &Handle) -> Result<Self> {
        sys::make_dir_at(path).map_err(|error| refuse(sys::error_kind(&error), path, error.to_string()))?;
        let dir = Handle::root(path).map_err(|error| refuse(sys::error_kind(&error), path, error.to_string()))?;
        if super::same_or_within(&dir, upper)? || super::same_or_within(upper, &dir)? {
            return Err(refuse(ErrorKind::InvalidInput, path, "it must lie beside the upper, not in it or above it"));
        }
        if !sys::same_mount(&dir, upper).map_err(failed("open work directory"))? {
            return Err(refuse(ErrorKind::InvalidInput, path, "it is not on the upper's file system"));
        }
        let mut locks = vec![lock(dir.open_lock(b"lock"))?];
        if let Some(own) = upper.lock_file() {
            locks.push(lock(own)?);
        }
        let reserve = dir.child(b".").map(Reserve::new);
        let stage = reserve.and_then(|reserve| Stage::new(subdirectory(&dir, b"stage")?, reserve));
        let stage = Arc::new(stage.map_err(failed("open work directory"))?);
        Ok(Self { dir, stage, _locks: locks })
    }
}

/// Opens or makes a directory in the work directory.
pub(super) fn subdirectory(dir: &Handle, name: &[u8]) -> std::io::Result<Handle> {
    match dir.make_dir(name) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => dir.child(name),
    }
}

/// Returns whether another process, or a mount of the kernel, uses the upper at `path`.
pub(super) fn in_use(work: &Handle, upper: &Handle, path: &Path) -> Result<bool> {
    if super::upper::mounted_at(upper, path)?.is_some() {
        return Ok(true);
    }
    let file = match work.child(b"lock") {
        Ok(file) => file.read().map_err(failed("look at the lock"))?,
        // Without the file nobody of ours can hold it.
        Err(_) => return Ok(false),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(failed("look at the lock")(error)),
    }
}

fn lock(file: std::io::Result<File>) -> Result<Lock> {
    let file = file.map_err(failed("lock upper"))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Busy, "open upper")
            .because("another process uses this upper; stop it, or choose another upper")),
        Err(TryLockError::Error(error)) => Err(failed("lock upper")(error)),
    }
}

fn refuse(kind: ErrorKind, path: &Path, why: impl std::fmt::Display) -> Error {
    let why = format!("work directory {}: {why}; name another with --work", path.display());
    Error::new(kind, "open work directory").because(why)
}
