//! A mount that stands as long as its server, and its end.

use std::{io, path::Path};

use ovl_core::layers::host::KernelUpper;

#[cfg(feature = "fuse")]
use super::fuse;
use super::{
    kernel,
    leave::{Leave, unmount},
    record::Held,
};
use crate::{
    cli::exit::{Failure, code},
    mount_table::{Key, Line, key_at},
};

/// A mount that stands, if one was asked for. It is unmounted when it is dropped.
#[derive(Debug)]
pub(crate) struct Live(Option<Standing>);

#[derive(Debug)]
struct Standing {
    how: How,
    key: Key,
    /// What tells the next server that this one has mounted it.
    _record: Option<Held>,
}

/// What holds a mount up.
#[derive(Debug)]
pub(super) enum How {
    /// The kernel, with what nobody else may take meanwhile.
    Kernel(kernel::Mounted),
    /// This process.
    #[cfg(feature = "fuse")]
    Fuse(fuse::Mounted),
}

impl Live {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Keeps what has just been mounted. Refuses, and unmounts, what the table of mounts does not show.
    pub(super) fn of(how: How, point: &Path, record: Option<Held>) -> Result<Self, Failure> {
        let Some(key) = key_at(point) else {
            let why = format!("{} is not in the table of mounts; is /proc mounted?", point.display());
            return Err(how.end(point).err().unwrap_or(Failure::new(code::FAILED, why)));
        };
        Ok(Self(Some(Standing { how, key, _record: record })))
    }

    /// Returns what it is told from others by.
    pub(super) fn key(&self) -> Option<Key> {
        self.0.as_ref().map(|standing| standing.key.clone())
    }

    /// Unmounts, unless somebody has done so.
    ///
    /// # Errors
    /// A mount that is still used (4): the kernel's stays, one by FUSE goes from its place, and whoever is in it can do
    /// nothing more.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.0.take().map_or(Ok(()), Standing::end)
    }

    /// Returns what unmounts at once, for a process that ends without any other end.
    pub(crate) fn at_once(&self) -> impl Fn() + Send + 'static {
        let known = self.0.as_ref().map(|standing| {
            let how = if matches!(standing.how, How::Kernel(_)) { Leave::Whole } else { Leave::Detached };
            (standing.key.clone(), how)
        });
        move || {
            if let Some((line, how)) = known.as_ref().and_then(|(key, how)| Some((Line::of(key)?, *how))) {
                // There is nobody left to tell.
                let _gone = unmount(&line.point, how);
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(Err(failure)) = self.0.take().map(Standing::end) {
            tracing::warn!("{failure}");
        }
    }
}

impl Standing {
    fn end(self) -> Result<(), Failure> {
        if let Some(line) = Line::of(&self.key) {
            return self.how.end(&line.point);
        }
        // What is mounted there now is another's. This process is about to end, and lets go of all it holds.
        std::mem::forget(self.how);
        Ok(())
    }
}

impl How {
    fn end(self, point: &Path) -> Result<(), Failure> {
        match self {
            Self::Kernel(mounted) => {
                let stays = "and stays mounted by the kernel; `fuser -vm` tells by whom, `ovl unmount` ends it";
                unmount(point, Leave::Whole).map_err(|error| failure(point, error, stays))?;
                mounted.upper.iter().for_each(KernelUpper::tidy);
                Ok(())
            }
            #[cfg(feature = "fuse")]
            Self::Fuse(mut mounted) => {
                let gone = "and goes from its place nevertheless, since its server ends";
                // Dropped, it goes whether it is used or not.
                unmount(point, Leave::Whole).map_err(|error| failure(point, error, gone))?;
                Ok(mounted.unmount()?)
            }
        }
    }
}

fn failure(point: &Path, error: io::Error, then: &str) -> Failure {
    let shown = point.display();
    match error.kind() {
        io::ErrorKind::ResourceBusy => Failure::new(code::CONFLICT, format!("{shown} is still used, {then}")),
        _ => Failure::io(&format!("cannot unmount {shown}"), error, "`ovl unmount` ends it"),
    }
}
