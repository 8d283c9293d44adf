//! A reserve of space that is given up so that a full disk still takes deletions (trust T29).

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use super::sys::{self, Handle};
use crate::Allocate;

const NAME: &[u8] = b"reserve";
/// Room for whiteouts and the directory blocks that they need; less where a reserve would take more than half of what is
/// left.
const SIZES: [u64; 3] = [1 << 20, 1 << 18, 1 << 16];

/// The reserve in a work directory.
#[derive(Debug)]
pub(super) struct Reserve {
    work: Handle,
    kept: AtomicBool,
}

impl Reserve {
    /// Keeps a reserve in the directory `work`, if there is room for one now.
    pub(super) fn new(work: Handle) -> Self {
        let kept = work.child_stat(NAME).is_ok_and(|raw| SIZES.contains(&raw.stat.size));
        let reserve = Self { work, kept: AtomicBool::new(kept) };
        reserve.keep();
        reserve
    }

    /// Sets space aside again, if it was given up and there is room.
    pub(super) fn keep(&self) {
        if !self.kept.load(Ordering::Acquire) && self.allocate().is_ok() {
            self.kept.store(true, Ordering::Release);
        }
    }

    /// Gives the reserve up. Returns whether there was one.
    pub(super) fn give_up(&self) -> bool {
        self.kept.swap(false, Ordering::AcqRel) && self.work.unlink(NAME).is_ok()
    }

    fn allocate(&self) -> io::Result<()> {
        let file = match self.work.make_file(NAME) {
            // Left by a crash before it was whole.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.work.child(NAME),
            made => made,
        };
        let file = file?.write()?;
        let set_aside = |size| {
            sys::allocate(&file, Allocate::Extend, 0..2 * size)?;
            file.set_len(size)
        };
        let [first, rest @ ..] = SIZES;
        rest.into_iter().fold(set_aside(first), |done, size| done.or_else(|_| set_aside(size))).inspect_err(|_| {
            // What was set aside of it must not lie about.
            let _leftover = self.work.unlink(NAME);
        })
    }
}
