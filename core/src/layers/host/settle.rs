//! Durability: what changed and is not yet on the disk, made durable for all who wait at once.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{Durability, object::Object, sys::Handle};
use crate::{Error, ErrorKind, Kind, Result};

/// Collects changed objects and makes them durable in groups (trust 3).
///
/// One caller works for all who wait: while it syncs one group, the next collects. No reader ever
/// takes this lock.
#[derive(Debug)]
pub(super) struct Settler {
    durability: Durability,
    group: Mutex<Group>,
    done: Condvar,
    /// Why nothing is accepted any more: once a sync has failed, a later one that succeeds proves nothing.
    broken: OnceLock<String>,
}

#[derive(Debug, Default)]
struct Group {
    /// The number of the group that collects.
    number: u64,
    /// The groups below this number are durable.
    durable: u64,
    working: bool,
    objects: HashMap<u64, (Arc<Object>, Kind)>,
}

impl Settler {
    pub(super) fn new(durability: Durability) -> Self {
        Self { durability, group: Mutex::default(), done: Condvar::new(), broken: OnceLock::new() }
    }

    pub(super) fn durability(&self) -> Durability {
        self.durability
    }

    /// Refuses with `ReadOnly` after a write to the disk has failed (trust 3, point 6).
    pub(super) fn check(&self) -> Result<()> {
        match self.broken.get() {
            None => Ok(()),
            Some(why) => Err(Error::new(ErrorKind::ReadOnly, "write")
                .because(format!("a write to the disk failed ({why}); reopen the upper to go on"))),
        }
    }

    /// Returns the outcome of a sync, remembering a failure for good.
    pub(super) fn outcome(&self, synced: io::Result<()>) -> Result<()> {
        synced.map_err(|error| {
            self.broken.get_or_init(|| error.to_string());
            super::failed("sync")(error)
        })
    }

    /// Makes one object durable now, unless nothing ever is.
    pub(super) fn sync(&self, object: &Object, kind: Kind) -> Result<()> {
        self.check()?;
        match (self.durability, kind) {
            (Durability::None, _) => Ok(()),
            (_, Kind::File | Kind::Dir) => self.outcome(object.handle.sync(kind)),
            // Durable with the directory that names them.
            _ => Ok(()),
        }
    }

    /// Notes a changed object for the next [`Settler::settle`].
    pub(super) fn note(&self, object: Arc<Object>, id: u64, kind: Kind) {
        if self.durability == Durability::Full {
            self.lock().objects.insert(id, (object, kind));
        }
    }

    /// Returns when everything that was noted before is durable. `whole` lies on the upper's file system.
    pub(super) fn settle(&self, whole: &Handle) -> Result<()> {
        let mut group = self.lock();
        let target = if group.objects.is_empty() { group.number } else { group.number + 1 };
        while group.durable < target {
            self.check()?;
            if group.working {
                group = self.done.wait(group).unwrap_or_else(PoisonError::into_inner);
            } else {
                group = self.work(group, whole)?;
            }
        }
        self.check()
    }

    /// Makes the collected group durable, without the lock.
    fn work<'a>(&'a self, mut group: MutexGuard<'a, Group>, whole: &Handle) -> Result<MutexGuard<'a, Group>> {
        let objects = std::mem::take(&mut group.objects);
        group.working = true;
        group.number += 1;
        let durable = group.number;
        drop(group);
        let synced = self.outcome(sync_all(objects.into_values(), whole));
        let mut group = self.lock();
        group.working = false;
        group.durable = if synced.is_ok() { durable } else { group.durable };
        self.done.notify_all();
        synced.map(|()| group)
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs each object. What cannot be opened for it (symlinks, devices) takes the whole file system along.
fn sync_all(objects: impl Iterator<Item = (Arc<Object>, Kind)>, whole: &Handle) -> io::Result<()> {
    let mut others = false;
    for (object, kind) in objects {
        match kind {
            Kind::File | Kind::Dir => object.handle.sync(kind)?,
            _ => others = true,
        }
    }
    if others { whole.sync_file_system() } else { Ok(()) }
}
