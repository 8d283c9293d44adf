//! Records of objects that cannot carry one: `user.*` attributes are only for files and directories (X08).
//!
//! In the kernel-user form the record of a symlink or device is kept on its directory, in
//! `user.overlay.ovl_link.HASH` with 16 hexadecimal digits of the name's BLAKE3 hash, as a [`Slot`]: bound to
//! the inode, so that a crash never gives one object the attributes of another. The kernel hides it.
//! A directory's attributes are limited (4 KiB in all on ext4): a symlink too many is `NoSpace`.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    failed,
    kernel::Kernel,
    native::Native,
    object::Object,
    record::Record,
    slot::Slot,
    sys::{Handle, Raw},
};
use crate::{Kind, Name, NameBuf, Result};

/// A record, and the directory and name under which it is stored.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) at: Option<(Arc<Object>, NameBuf)>,
    pub(super) record: Record,
}

/// Returns what is kept beside an object.
pub(super) fn lock(beside: &Mutex<Beside>) -> MutexGuard<'_, Beside> {
    beside.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(prefix: &str, name: &[u8]) -> String {
    let hash = blake3::hash(name);
    format!("{prefix}{}", &hash.to_hex()[..16])
}

impl Native {
    /// Returns whether objects of this kind cannot carry their own record here.
    pub(super) fn is_beside(&self, kind: Kind) -> bool {
        self.keys().links.is_some() && !matches!(kind, Kind::File | Kind::Dir | Kind::Whiteout)
    }

    /// Returns the records kept on a directory for a name.
    pub(super) fn slot(&self, dir: &Handle, name: &[u8]) -> Result<Slot> {
        let Some(prefix) = self.keys().links else { return Ok(Slot::default()) };
        let value = dir.xattr(&key(prefix, name)).map_err(failed("read record"))?;
        value.map_or_else(|| Ok(Slot::default()), |value| Slot::decode(&value))
    }

    /// Returns the record of what was found at a name, if it is kept beside it.
    pub(super) fn beside(&self, dir: &Arc<Object>, name: Name<'_>, kind: Kind, ino: u64) -> Result<Option<Beside>> {
        if !self.is_beside(kind) {
            return Ok(None);
        }
        let record = self.slot(&dir.handle, name.as_bytes())?.of(ino);
        Ok(Some(Beside { at: Some((dir.clone(), name.to_owned())), record }))
    }
}

impl Kernel {
    /// Stores the records for a name on its directory.
    pub(super) fn store_beside(&self, dir: &Handle, name: &[u8], slot: &Slot) -> Result<()> {
        let Some(prefix) = self.native.keys().links else { return Ok(()) };
        let key = key(prefix, name);
        let stored = match slot.0.iter().all(|(_, record)| record.is_empty()) {
            true => dir.remove_xattr(key.as_bytes()),
            false => dir.set_xattr(key.as_bytes(), &slot.encode()),
        };
        stored.map_err(failed("store record"))
    }

    /// Announces what will stand at a name, beside the record of the object that stands there still.
    pub(super) fn announce(&self, dir: &Handle, name: &[u8], new: &Slot) -> Result<()> {
        if self.native.keys().links.is_none() {
            return Ok(());
        }
        let old = match dir.child_stat(name) {
            Ok(raw) => Some(raw.stat.ino),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("look up")(error)),
        };
        let stale = self.native.slot(dir, name)?;
        if stale.0.is_empty() && new.0.is_empty() {
            return Ok(());
        }
        let kept = old.into_iter().map(|old| (old, stale.of(old)));
        self.store_beside(dir, name, &Slot(kept.chain(new.0.iter().cloned()).collect()))
    }

    /// Leaves at a name the record of what has come to stand there, if there is one.
    pub(super) fn tidy(&self, dir: &Handle, name: &[u8], new: &Slot) -> Result<()> {
        // Without records beside objects, both are always empty.
        match self.native.slot(dir, name)? == *new {
            true => Ok(()),
            false => self.store_beside(dir, name, new),
        }
    }

    /// Returns the record of what stands at a name as its slot, empty for what carries its own.
    pub(super) fn slot_at(&self, dir: &Handle, name: &[u8], raw: &Raw) -> Result<Slot> {
        if !self.native.is_beside(raw.stat.kind) {
            return Ok(Slot::default());
        }
        Ok(slot_of(raw.stat.ino, self.native.slot(dir, name)?.of(raw.stat.ino)))
    }
}

/// Returns the slot of one record, empty when it says nothing.
pub(super) fn slot_of(id: u64, record: Record) -> Slot {
    if record.is_empty() { Slot::default() } else { Slot(vec![(id, record)]) }
}
