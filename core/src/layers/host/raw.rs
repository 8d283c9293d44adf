//! What a host says about an object, whichever host it is.

use crate::Stat;

/// What the host says about an object, and on which device it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) stat: Stat,
    pub(super) dev: u64,
}

impl Raw {
    /// Returns what makes the object one of its kind on this host.
    pub(super) fn id(&self) -> (u64, u64) {
        (self.dev, self.stat.ino)
    }
}
