//! What the kernel holds open, by the numbers that it was given for it.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use ovl_core::{Error, ErrorKind, Result};

/// Open files, or open directories.
pub(super) struct Handles<T>(RwLock<Open<T>>);

struct Open<T> {
    next: u64,
    held: HashMap<u64, Arc<T>>,
}

impl<T> Handles<T> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(Open { next: 1, held: HashMap::new() }))
    }

    /// Returns the number of what is held from now on.
    pub(super) fn add(&self, held: T) -> u64 {
        let mut open = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let number = open.next;
        open.next += 1;
        open.held.insert(number, Arc::new(held));
        number
    }

    /// Returns what is held by a number. Refuses one that was not given (`InvalidInput`).
    pub(super) fn get(&self, number: u64) -> Result<Arc<T>> {
        let open = self.0.read().unwrap_or_else(PoisonError::into_inner);
        open.held.get(&number).cloned().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "use handle"))
    }

    pub(super) fn remove(&self, number: u64) -> Option<Arc<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).held.remove(&number)
    }
}
