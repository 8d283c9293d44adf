//! One archive's directory in the cache: locked by whoever makes its tree, shared by whoever is about to mount it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use ovl_core::{Time, layers::host};
use rustix::{
    fs::{
        AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, flock, fstat, fsync, futimens, mkdirat,
        openat, renameat, statat, unlinkat,
    },
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::place::{Cache, subdirectory};
use crate::cli::exit::Failure;

const PART: &str = "part";
const TREE: &str = "tree";
const ABOUT: &str = "about";
const LOOK: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What is known of a tree.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct About {
    /// Where the archive was when it was unpacked.
    pub(crate) archive: String,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// Fifos, sockets and devices that were not made.
    pub(crate) special: u64,
    /// Entries that cannot be shown safely, which the archive has nonetheless.
    pub(crate) left_out: u64,
}

/// The right to use a tree: nobody removes it meanwhile.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) about: About,
    /// Whether it was unpacked for this.
    pub(crate) is_new: bool,
    pub(crate) path: PathBuf,
    pub(crate) tree: OwnedFd,
    _slot: Slot,
}

/// A locked directory of the cache.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: String,
    dir: File,
}

impl Cache {
    /// Returns the tree of this name, made by `write` where it is missing: by one process, for which others wait.
    pub(super) fn lease(&self, key: &str, write: &dyn Fn(&Slot) -> Result<About, Failure>) -> Result<Lease, Failure> {
        let failed = |errno: Errno| self.failure(errno);
        let mut is_new = false;
        loop {
            let slot = self.slot(key, FlockOperation::LockShared).map_err(failed)?;
            if let Some(about) = slot.about() {
                slot.touch();
                let tree = openat(&slot.dir, TREE, LOOK, Mode::empty()).map_err(failed)?;
                return Ok(Lease { about, is_new, path: self.trees_path().join(key).join(TREE), tree, _slot: slot });
            }
            drop(slot);
            // A lock cannot be changed without letting go of it, so that it is looked at again.
            let slot = self.slot(key, FlockOperation::LockExclusive).map_err(failed)?;
            if slot.about().is_none() {
                self.make(&slot, write)?;
                is_new = true;
            }
        }
    }

    fn make(&self, slot: &Slot, write: &dyn Fn(&Slot) -> Result<About, Failure>) -> Result<(), Failure> {
        let failed = |error: io::Error| self.failure(error);
        slot.empty().map_err(failed)?;
        let made = write(slot).and_then(|about| {
            slot.finish(&about).map_err(failed)?;
            fsync(&self.trees).map_err(|errno| self.failure(errno))
        });
        if made.is_err() {
            // What failed is told; what is left is swept at the next start.
            let _leftover = self.remove(slot);
        }
        made
    }

    /// Returns the locked directory of this name, made where it is missing.
    fn slot(&self, key: &str, lock: FlockOperation) -> rustix::io::Result<Slot> {
        loop {
            let dir = subdirectory(&self.trees, key)?;
            lock_fully(&dir, lock)?;
            if self.is_still(key, &dir)? {
                return Ok(Slot { key: key.to_owned(), dir: dir.into() });
            }
        }
    }

    /// Returns the directory of this name, if it is there, and whether it could be locked: nobody makes or uses it.
    pub(super) fn look(&self, key: &str) -> rustix::io::Result<Option<(Slot, bool)>> {
        let dir = match openat(&self.trees, key, LOOK.difference(OFlags::PATH), Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            dir => dir?,
        };
        let is_free = match lock_fully(&dir, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::AGAIN) => false,
            locked => locked.map(|()| true)?,
        };
        Ok(self.is_still(key, &dir)?.then(|| (Slot { key: key.to_owned(), dir: dir.into() }, is_free)))
    }

    /// Returns whether a directory still has its name: whoever held the lock before may have removed it.
    fn is_still(&self, key: &str, dir: &OwnedFd) -> rustix::io::Result<bool> {
        match statat(&self.trees, key, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(false),
            there => there.and_then(|there| {
                let held = fstat(dir)?;
                Ok((there.st_dev, there.st_ino) == (held.st_dev, held.st_ino))
            }),
        }
    }

    /// Removes a locked directory with its tree.
    pub(super) fn remove(&self, slot: &Slot) -> io::Result<()> {
        slot.empty()?;
        Ok(unlinkat(&self.trees, &slot.key, AtFlags::REMOVEDIR)?)
    }
}

/// Waits for a lock; a signal that has a handler ends no wait.
fn lock_fully(dir: &OwnedFd, lock: FlockOperation) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| flock(dir, lock))
}

impl Slot {
    /// Makes the directory for the tree.
    pub(super) fn begin(&self) -> Result<OwnedFd, Failure> {
        let made = mkdirat(&self.dir, PART, Mode::RWXU)
            .and_then(|()| openat(&self.dir, PART, LOOK.difference(OFlags::PATH), Mode::empty()));
        made.map_err(|errno| Failure::io("cannot make a directory in the cache", errno.into(), "see `ovl cache list`"))
    }

    /// Gives the tree, which is whole and on the disk, its name.
    fn finish(&self, about: &About) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.dir, ABOUT, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(&serde_json::to_vec(about)?)?;
        file.sync_all()?;
        fsync(&self.dir)?;
        renameat(&self.dir, PART, &self.dir, TREE)?;
        Ok(fsync(&self.dir)?)
    }

    /// Returns what is known of the tree; `None` unless it is whole.
    pub(super) fn about(&self) -> Option<About> {
        statat(&self.dir, TREE, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut text = Vec::new();
        File::from(openat(&self.dir, ABOUT, flags, Mode::empty()).ok()?).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes that the tree is used now; a cache that is only read does not know.
    fn touch(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _read_only = futimens(&self.dir, &Timestamps { last_access: now, last_modification: now });
    }

    /// Returns whether something is left of a process that was stopped: something unfinished, or nothing at all.
    pub(super) fn is_left(&self) -> bool {
        let there = |name| statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        there(PART) || !there(TREE)
    }

    /// Returns when it was used last.
    pub(super) fn used(&self) -> Option<Time> {
        let stat = fstat(&self.dir).ok()?;
        Some(Time { secs: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).ok()? })
    }

    /// Removes all of it. The tree loses its name first, so that no half of it is ever taken for the whole.
    fn empty(&self) -> io::Result<()> {
        self.remove_part()?;
        match renameat(&self.dir, TREE, &self.dir, PART) {
            Ok(()) => self.remove_part()?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        match unlinkat(&self.dir, ABOUT, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => Ok(removed?),
        }
    }

    pub(super) fn remove_part(&self) -> io::Result<()> {
        match host::remove_plain(self.dir.as_fd(), PART) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}
