//! What the cache holds, and the end of it: nothing is removed that is used.

use ovl_core::Time;
use rustix::{
    fs::{AtFlags, Mode, OFlags, RawDir, openat, unlinkat},
    io::Errno,
};

use super::{
    place::Cache,
    slot::{About, Slot},
    used::Tables,
};
use crate::cli::exit::Failure;

/// A tree of the cache.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) key: String,
    /// What is known of it; `None` while it is not whole.
    pub(crate) about: Option<About>,
    /// When it was used last.
    pub(crate) used: Option<Time>,
    /// Whether a process or a mount uses it now.
    pub(crate) in_use: bool,
}

impl Cache {
    /// Returns what is kept, in the order of the names.
    pub(crate) fn kept(&self) -> Result<Vec<Kept>, Failure> {
        let tables = Tables::read();
        let mut kept = Vec::new();
        for key in self.keys(&self.trees).map_err(|errno| self.failure(errno))? {
            let looked = self.look(&key).map_err(|errno| self.failure(errno))?;
            kept.extend(looked.map(|(slot, is_free)| Kept::of(&slot, is_free, &tables)));
        }
        Ok(kept)
    }

    /// Removes what is not in use and `is_doomed`, and what stopped processes have left. Returns what was removed.
    pub(crate) fn evict(&self, is_doomed: &dyn Fn(&Kept) -> bool) -> Result<Vec<Kept>, Failure> {
        self.sweep();
        let mut removed = Vec::new();
        for key in self.keys(&self.trees).map_err(|errno| self.failure(errno))? {
            let Some((slot, true)) = self.look(&key).map_err(|errno| self.failure(errno))? else { continue };
            // Behind the lock: whoever held it before may have mounted the tree.
            let kept = Kept::of(&slot, true, &Tables::read());
            if !kept.in_use && is_doomed(&kept) {
                self.remove(&slot).map_err(|error| self.failure(error))?;
                removed.push(kept);
            }
        }
        self.forget().map_err(|errno| self.failure(errno))?;
        Ok(removed)
    }

    /// Removes what stopped processes have left. What cannot be removed now is tried at the next start.
    pub(super) fn sweep(&self) {
        for key in self.keys(&self.trees).unwrap_or_default() {
            if let Ok(Some((slot, true))) = self.look(&key)
                && slot.is_left()
            {
                let _next_time = if slot.about().is_some() { slot.remove_part() } else { self.remove(&slot) };
            }
        }
    }

    /// Forgets the digests: they are computed anew.
    fn forget(&self) -> rustix::io::Result<()> {
        self.keys(&self.digests)?.iter().try_for_each(|name| match unlinkat(&self.digests, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            removed => removed,
        })
    }

    /// Returns the names in one of the cache's directories, sorted.
    fn keys(&self, dir: impl std::os::fd::AsFd) -> rustix::io::Result<Vec<String>> {
        let dir = openat(dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let (mut buf, mut keys) = (Vec::with_capacity(32 * 1024), Vec::new());
        let mut entries = RawDir::new(dir, buf.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let name = entry?.file_name().to_string_lossy().into_owned();
            keys.extend((!name.starts_with('.')).then_some(name));
        }
        keys.sort();
        Ok(keys)
    }
}

impl Kept {
    fn of(slot: &Slot, is_free: bool, tables: &Tables) -> Self {
        let in_use = !is_free || tables.show(&slot.key);
        Self { key: slot.key.clone(), about: slot.about(), used: slot.used(), in_use }
    }
}
