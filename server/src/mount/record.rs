//! What a mount tells of itself that the table of mounts has no room for: one by FUSE its process and its layers, one of a
//! server by the kernel the server, so that the next one knows what a killed one has left.
//!
//! A small file, named by the numbers of the mount's device. Its process keeps it locked as long as it lives, so that a
//! mount whose process was killed is known without asking it. The file is told from others of its name by its owner.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::mount_table::unique;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat},
    process::geteuid,
};
use serde::{Deserialize, Serialize};

/// A longer file is none of ours.
const LENGTH_MAX: u64 = 8 * 1024 * 1024;
/// How long the end of a process is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

/// What is told. A path that is no UTF-8 is told as readable as it can be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) pid: u32,
    /// Topmost first.
    pub(crate) lowers: Vec<String>,
    pub(crate) upper: Option<String>,
    pub(crate) work: Option<String>,
    /// The number that no other mount gets until the system starts anew, and that start.
    #[serde(default)]
    pub(crate) mount: Option<(u64, String)>,
}

impl Told {
    /// Returns what this process tells of its layers.
    pub(crate) fn new<'a>(
        lowers: impl IntoIterator<Item = &'a Path>,
        upper: Option<&Path>,
        work: Option<&Path>,
    ) -> Self {
        let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.into()).to_string_lossy().into_owned();
        let lowers = lowers.into_iter().map(whole).collect();
        Self { pid: process::id(), lowers, upper: upper.map(whole), work: work.map(whole), mount: None }
    }
}

/// Returns what [`Told::mount`] is for the mount on top at a path; `None` where the kernel has no such numbers (before 6.8).
pub(crate) fn identity(point: &Path) -> Option<(u64, String)> {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some((unique(point)?, start.trim().to_owned()))
}

/// A record that this process holds; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    place: File,
    name: String,
    _locked: File,
}

impl Held {
    /// Writes the record of a mount. `None` where this user has no place for it: then less can be told of the mount.
    pub(crate) fn write(device: (u32, u32), told: &Told) -> Option<Self> {
        places(geteuid().as_raw()).iter().find_map(|place| Self::at(place, device, told).ok())
    }

    fn at(place: &Path, device: (u32, u32), told: &Told) -> io::Result<Self> {
        match DirBuilder::new().mode(0o755).create(place) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let (place, name, fresh) = (open(place, geteuid().as_raw())?, name(device), format!("{}.new", process::id()));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(&place, &fresh, flags, Mode::from_raw_mode(0o644))?);
        // It is seen whole and locked, or not at all.
        let written = file
            .lock()
            .and_then(|()| file.write_all(&serde_json::to_vec(told)?))
            .and_then(|()| Ok(renameat(&place, &fresh, &place, &name)?));
        if let Err(error) = written {
            unlinkat(&place, &fresh, AtFlags::empty())?;
            return Err(error);
        }
        Ok(Self { place, name, _locked: file })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Where it stays, nobody holds it.
        let _gone = unlinkat(&self.place, &self.name, AtFlags::empty());
    }
}

/// A record as others see it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) told: Told,
    place: File,
    name: String,
    file: File,
}

impl Record {
    /// Returns the record of the mount with this device, by the user who mounted it.
    pub(crate) fn of(device: (u32, u32), user: u32) -> Option<Self> {
        places(user).iter().find_map(|place| Self::at(place, device, user).ok())
    }

    fn at(place: &Path, device: (u32, u32), user: u32) -> io::Result<Self> {
        let (place, name) = (open(place, user)?, name(device));
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&place, &name, flags, Mode::empty())?);
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != user {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = Vec::new();
        (&file).take(LENGTH_MAX).read_to_end(&mut text)?;
        Ok(Self { told: serde_json::from_slice(&text)?, place, name, file })
    }

    /// Returns whether its process lives.
    pub(crate) fn is_held(&self) -> bool {
        let locked = self.file.try_lock_shared();
        if locked.is_ok() {
            // Where it fails, the lock goes with the descriptor.
            let _given_back = self.file.unlock();
        }
        matches!(locked, Err(TryLockError::WouldBlock))
    }

    /// Waits until its process has let go of the layers, and returns whether it has.
    pub(crate) fn ends(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while self.is_held() && Instant::now() < until {
            sleep(TICK);
        }
        !self.is_held()
    }

    /// Removes what a killed process has left.
    pub(crate) fn remove(&self) {
        // Another user's stays; it says nothing of a mount that is gone.
        let _gone = unlinkat(&self.place, &self.name, AtFlags::empty());
    }
}

/// Opens a place for records if it is a directory of this user: in /tmp, anybody may have put something there before.
fn open(place: &Path, user: u32) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = File::from(openat(CWD, place, flags, Mode::empty())?);
    if dir.metadata()?.uid() == user { Ok(dir) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn name((major, minor): (u32, u32)) -> String {
    format!("{major}-{minor}.json")
}

/// Returns where a user's records lie, the best place first.
fn places(user: u32) -> Vec<PathBuf> {
    match user {
        0 => vec!["/run/ovl".into()],
        user => vec![format!("/run/user/{user}/ovl").into(), format!("/tmp/ovl-{user}").into()],
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    const DEVICE: (u32, u32) = (0, 4096);
    const NOBODY: u32 = 65534;

    fn names(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_place_that_somebody_else_has_prepared_gets_no_record_and_loses_none() {
        let dir = tempfile::tempdir().unwrap();
        let (own, link) = (dir.path().join("own"), dir.path().join("link"));
        symlink(&own, &link).unwrap();
        let user = geteuid().as_raw();
        let held = Held::at(&own, DEVICE, &Told::default()).unwrap();
        assert!(Record::at(&own, DEVICE, user).unwrap().is_held());
        // What the link leads to belongs to this user, but who has made the link may be anybody.
        assert!(Held::at(&link, (0, 1), &Told::default()).is_err() && Record::at(&link, DEVICE, user).is_err());
        assert_eq!(names(&own), 1);
        if user == 0 {
            chown(&own, Some(NOBODY), None).unwrap();
            assert!(Held::at(&own, (0, 1), &Told::default()).is_err() && Record::at(&own, DEVICE, user).is_err());
            assert_eq!(names(&own), 1);
            chown(&own, Some(user), None).unwrap();
        }
        // It goes from where it was written, whatever has the name by now.
        let moved = dir.path().join("moved");
        fs::rename(&own, &moved).unwrap();
        fs::create_dir(&own).unwrap();
        fs::write(own.join(name(DEVICE)), "").unwrap();
        drop(held);
        assert_eq!((names(&own), names(&moved)), (1, 0));
    }
}
