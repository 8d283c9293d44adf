//! The directory for one run: the mount point, and the upper where none was named.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use ovl_core::layers::host;
use tempfile::TempDir;

use super::stale;
use crate::{
    cli::{
        exit::{Failure, code},
        flags::StackArgs,
        spec::{LayerSpec, Medium},
        stack,
    },
    ovl::notes::Notes,
};

/// A directory that goes away with this, unless it is kept.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: TempDir,
    is_upper: bool,
    _held: File,
}

impl Scratch {
    /// Removes what killed runs have left, makes the directory, and names an upper in it where `stack` has none: on the first file system that can hold one.
    pub(super) fn new(stack: &mut StackArgs, notes: Notes) -> Result<Self, Failure> {
        if stack.upper.is_some() {
            stale::clear(&env::temp_dir(), notes);
            return Self::at(&env::temp_dir(), false);
        }
        let mut why = String::new();
        for place in [env::temp_dir(), "/var/tmp".into(), "/dev/shm".into()] {
            stale::clear(&place, notes);
            match Self::at(&place, true).and_then(|scratch| scratch.named(stack)) {
                Ok(scratch) => return Ok(scratch),
                Err(failure) => why = failure.message,
            }
        }
        let message =
            format!("no place for changes that are thrown away ({why}); name one with --upper, or set TMPDIR");
        Err(Failure::new(code::FAILED, message))
    }

    fn at(place: &Path, is_upper: bool) -> Result<Self, Failure> {
        let failed = |error| {
            let what = format!("cannot make a directory in {}", place.display());
            Failure::io(&what, error, "set TMPDIR to a place that this user may write")
        };
        let dir = tempfile::Builder::new().prefix(stale::PREFIX).tempdir_in(place).map_err(failed)?;
        fs::create_dir(dir.path().join("merged")).map_err(failed)?;
        let held = stale::hold(dir.path()).map_err(failed)?;
        Ok(Self { dir, is_upper, _held: held })
    }

    /// Names the upper in `stack`, if the kernel can use it.
    fn named(self, stack: &mut StackArgs) -> Result<Self, Failure> {
        let path = self.dir.path().join("upper");
        let spec = LayerSpec { medium: Some(Medium::Dir), path, ..LayerSpec::memory() };
        let usable = host::upper_for_kernel(&spec.path, &stack::upper_options(&spec, stack), false);
        usable.map_err(|error| stack::upper_failure(&spec.path, &error))?;
        stack.upper = Some(spec);
        Ok(self)
    }

    /// Returns where the tree is mounted.
    pub(super) fn merged(&self) -> PathBuf {
        self.dir.path().join("merged")
    }

    /// Returns whether the upper is here, too.
    pub(super) fn is_upper(&self) -> bool {
        self.is_upper
    }

    /// Keeps the upper that is here, and tells where.
    pub(super) fn keep(&mut self, notes: Notes) {
        if self.is_upper {
            self.dir.disable_cleanup(true);
            // Where the mark stays, the next run would take it for one that was killed.
            if let Err(error) = stale::release(self.dir.path()) {
                notes.say(&format!("the next run may remove the changes: {error}"));
            }
            notes.say(&format!("the changes lie in {}", self.dir.path().join("upper").display()));
        }
    }
}
