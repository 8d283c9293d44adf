//! A reserve of space that is given up so that a full disk still takes deletions (trust T29).

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use super::sys::{self, Handle};
use crate::Allocate;

const NAME: &[u8] = b"reserve";
/// One mebibyte: room for whiteouts and the directory blocks that they need.
const SIZE: u64 = 1 << 20;

/// The reserve in a work directory.
#[derive(Debug)]
pub(super) struct Reserve {
    work: Handle,
    kept: AtomicBool,
}

impl Reserve {
    /// Keeps a reserve in the directory `work`, if there is room for one now.
    pub(super) fn new(work: Handle) -> Self {
        let kept = work.child_stat(NAME).is_ok_and(|raw| raw.stat.size == SIZE);
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
        let allocated = sys::allocate(&file?.write()?, Allocate::Extend, 0..SIZE);
        allocated.inspect_err(|_| {
            // What was set aside of it must not lie about.
            let _leftover = self.work.unlink(NAME);
        })
    }
}
