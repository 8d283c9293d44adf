//! Files that the kernel opens and closes without a word (`FUSE_NO_OPEN_SUPPORT`): a small one costs it two requests, to look
//! it up and to read it.
//!
//! It is so for all files of a mount or for none: where nothing changes and no file can be handed to it, as in archives
//! without an upper. What was read in part last is kept as it is, so that the next piece need not be decoded from the front.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use ovl_core::{Blob, Overlay, Result};

use super::tree::Tree;

/// The number by which the kernel asks for what it has opened so. Of what we have been asked to open none has it.
pub(super) const HANDLE: u64 = 0;

/// How many files are kept that were read in part: a decoder takes about 100 KiB.
const KEPT: usize = 128;

/// What is known of files that are open so.
#[derive(Default)]
pub(super) struct Unasked {
    allowed: AtomicBool,
    /// Contents by their number, what was read last in front.
    kept: Mutex<VecDeque<(u64, Arc<dyn Blob>)>>,
}

impl Unasked {
    /// Lets the kernel open files without asking from now on, where all that it shows is in archives and stays.
    pub(super) fn allow(&self, overlay: &Overlay) {
        let archives = overlay.layers().iter().all(|layer| layer.caps().kind == "zip");
        self.allowed.store(archives && !overlay.has_upper(), Ordering::Release);
    }

    pub(super) fn is_allowed(&self) -> bool {
        self.allowed.load(Ordering::Acquire)
    }

    /// Lets go of what the kernel has forgotten.
    pub(super) fn forget(&self, ino: u64) {
        if self.is_allowed() {
            self.kept().retain(|(known, _)| *known != ino);
        }
    }

    fn find(&self, ino: u64) -> Option<Arc<dyn Blob>> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(known, _)| *known == ino)?;
        let found = kept.remove(at)?;
        kept.push_front(found.clone());
        Some(found.1)
    }

    /// Keeps a content; where another thread has been faster, that one's.
    fn keep(&self, ino: u64, blob: Arc<dyn Blob>) -> Arc<dyn Blob> {
        if let Some(found) = self.find(ino) {
            return found;
        }
        let mut kept = self.kept();
        kept.push_front((ino, blob.clone()));
        kept.truncate(KEPT);
        blob
    }

    // It is whole between two calls, and nothing that can fail is done while it is held.
    fn kept(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<dyn Blob>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tree {
    /// Returns the content of a file of which `piece` bytes are to be read, or 0 when none are.
    pub(super) fn unasked_content(&self, ino: u64, piece: usize) -> Result<Arc<dyn Blob>> {
        if let Some(found) = self.unasked.find(ino) {
            return Ok(found);
        }
        let object = self.overlay.object(&self.path(ino)?)?;
        let blob = self.overlay.content_of(&object)?;
        // What is read at once is not asked for again.
        let whole = blob.size()? <= piece as u64;
        Ok(if whole { blob } else { self.unasked.keep(ino, blob) })
    }
}
