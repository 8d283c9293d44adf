//! The stage: where objects are made before they get a name in the upper, and where replaced ones end.
//!
//! It lies on the upper's file system, so that one rename places an object. Whatever is found there at
//! the next start is a leftover and is removed (trust 3, point 5).

use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{reserve::Reserve, sys::Handle};
use crate::{Device, ErrorKind, Kind, Result, Step};

/// The directory of objects without a name in the upper.
#[derive(Debug)]
pub(super) struct Stage {
    dir: Handle,
    next: AtomicU64,
    pub(super) reserve: Reserve,
    /// The whiteout that all others are hard links of (semantics W02), once there is one.
    whiteout: Mutex<Option<String>>,
}

/// The name of a staged object, removed with the object when it is dropped before it is placed.
#[derive(Debug)]
pub(super) struct Temp {
    stage: Arc<Stage>,
    pub(super) name: String,
    pub(super) copied_up: bool,
    placed: AtomicBool,
}

impl Temp {
    pub(super) fn new(stage: Arc<Stage>, name: String, copied_up: bool) -> Self {
        Self { stage, name, copied_up, placed: AtomicBool::new(false) }
    }

    /// Notes that the object has a name in the upper.
    pub(super) fn place(&self) {
        self.placed.store(true, Ordering::Release);
    }

    /// Returns whether the object has a name in the upper.
    pub(super) fn is_placed(&self) -> bool {
        self.placed.load(Ordering::Acquire)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.is_placed() {
            self.stage.discard(&self.name);
        }
    }
}

impl Stage {
    /// Takes over the directory `dir` and removes what a crash left there.
    pub(super) fn new(dir: Handle, reserve: Reserve) -> io::Result<Self> {
        remove_beneath(&dir)?;
        Ok(Self { dir, next: AtomicU64::new(0), reserve, whiteout: Mutex::new(None) })
    }

    /// Returns the directory.
    pub(super) fn dir(&self) -> &Handle {
        &self.dir
    }

    /// Returns a name that is not in use (semantics Z06).
    pub(super) fn name(&self) -> String {
        format!("#{:x}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes a staged object with everything beneath it. What cannot be removed now is a leftover for
    /// the next start; nothing of it shows.
    pub(super) fn discard(&self, name: &str) {
        let _leftover = remove_all(&self.dir, name.as_bytes());
    }

    /// Applies a step; a removal that finds the disk full gets the reserve and a second try.
    pub(super) fn apply(&self, step: &Step<'_>, apply: impl Fn(&Step<'_>) -> Result<()>) -> Result<()> {
        if !matches!(step, Step::Remove { .. }) {
            return apply(step);
        }
        self.reserve.keep();
        match apply(step) {
            Err(error) if error.kind() == ErrorKind::NoSpace && self.reserve.give_up() => apply(step),
            applied => applied,
        }
    }

    /// Returns whether names that differ in case alone are one on this file system (trust T3).
    pub(super) fn is_case_blind(&self) -> io::Result<bool> {
        drop(self.dir.make_file(b"#case")?);
        let other = self.dir.child_stat(b"#CASE");
        self.dir.unlink(b"#case")?;
        match other {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a whiteout at `name` in `dir`, where nothing stands: a further link of one inode.
    pub(super) fn whiteout(&self, dir: &Handle, name: &[u8]) -> io::Result<()> {
        let mut shared = self.whiteout.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = &*shared {
            match self.dir.link(first.as_bytes(), dir, name) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
                // Full of links: a new one is made.
                Err(_) => self.discard(first),
            }
        }
        let fresh = self.name();
        self.dir.make_special(fresh.as_bytes(), Kind::Whiteout, Device::default())?;
        let linked = self.dir.link(fresh.as_bytes(), dir, name);
        *shared = Some(fresh);
        linked
    }

    /// Makes a whiteout on the stage and returns its name.
    pub(super) fn spare_whiteout(&self) -> io::Result<String> {
        let name = self.name();
        self.whiteout(&self.dir, name.as_bytes())?;
        Ok(name)
    }
}

/// Returns the content of the regular file `name`, or `None` when there is none. At most 16 MiB are read:
/// what is read whole here is ours, and small.
pub(super) fn read_file(dir: &Handle, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let handle = match dir.child(name) {
        Ok(handle) => handle,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match handle.stat()?.stat.kind {
        Kind::File => read_content(&handle).map(Some),
        _ => Ok(None),
    }
}

/// Returns the whole content of a small regular file.
pub(super) fn read_content(file: &Handle) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.read()?.take(16 << 20).read_to_end(&mut content)?;
    Ok(content)
}

/// Removes what stands at `name` with everything beneath it, following nothing.
pub(super) fn remove_all(dir: &Handle, name: &[u8]) -> io::Result<()> {
    match dir.unlink(name) {
        Err(error) if is_dir(&error) && dir.child_stat(name)?.stat.kind == Kind::Dir => {
            let beneath = dir.child(name)?;
            // A directory that its owner may not write must not stay for that.
            beneath.set_mode(0o700)?;
            remove_beneath(&beneath)?;
            dir.remove_dir(name)
        }
        removed => removed,
    }
}

/// Returns whether unlinking may have failed because a directory stands there: systems differ in how they say it.
pub(super) fn is_dir(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::PermissionDenied)
}

fn remove_beneath(dir: &Handle) -> io::Result<()> {
    let mut names: Vec<Box<[u8]>> = Vec::new();
    dir.scan(&mut |name, _| names.push(name.into()))?;
    names.iter().try_for_each(|name| remove_all(dir, name))
}
