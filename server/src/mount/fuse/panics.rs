//! A worker that panics ends its mount: who waits for its answer must not wait for ever.
//!
//! fuser reads a request before it hands it to us, and panics over some: over times before the year one that `SystemTime`
//! cannot count. The other workers would go on, and that one caller could not even be killed. So whatever made a worker
//! panic, the kernel is told to let go of the mount.

use std::{
    panic, process,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
};

use super::tree::works_for;
use crate::mount::leave::Place;

/// The mounts of this process, by the number of their trees.
static MOUNTS: Mutex<Vec<(u64, Place)>> = Mutex::new(Vec::new());

fn mounts() -> MutexGuard<'static, Vec<(u64, Place)>> {
    MOUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks after the workers of a mount as long as it lives.
#[derive(Debug)]
pub(super) struct Guard(u64);

impl Guard {
    pub(super) fn new(tree: u64, place: Place) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let told = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                told(info);
                if thread::current().name().is_some_and(|name| name.starts_with("fuser-")) {
                    end();
                }
            }));
        });
        mounts().push((tree, place));
        Self(tree)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        mounts().retain(|(tree, _)| *tree != self.0);
    }
}

/// Ends the mount that this thread works for; one that has not worked yet may belong to any.
fn end() {
    let served = works_for();
    for (tree, place) in mounts().iter().filter(|(tree, _)| served == 0 || *tree == served) {
        tracing::error!("a worker of the mount at {} has failed: it ends", place.path().display());
        if let Err(error) = place.abort() {
            tracing::error!("mount {tree} cannot be ended ({error}), and so the process ends");
            process::abort();
        }
    }
}
