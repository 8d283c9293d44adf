//! Files that the kernel reads by itself (`FUSE_PASSTHROUGH`): no request, no copy through this process.
//!
//! It may be given a file that stays where it is: one of the upper, or any when there is none. All who have such a file
//! open must have it open that way. Who writes it asks us all the same, so that a change is told and takes turns with
//! others; only a mapping is the kernel's own affair. A lower's file of a writable mount may come up: whoever has it open must
//! see what is written then (semantics D01, D07), as `tail -f` does, and the kernel has no way to exchange the file that
//! an open one reads. It takes CAP_SYS_ADMIN, and where that is missing everything goes through us.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::{Arc, atomic::Ordering},
};

use fuser::BackingId;
use ovl_core::{layers::host, overlay::Object};
use rustix::fs::{StatVfsMountFlags, fstatvfs};

use super::{
    files::{Content, How},
    tree::Tree,
};

/// Gives the kernel a file to use itself.
pub(super) type Back<'a> = &'a dyn Fn(BorrowedFd<'_>) -> io::Result<BackingId>;

/// How the kernel is to use a file that it has been given open.
pub(super) enum Way {
    /// It asks us, and may keep what it was told before.
    Asks { keep: bool },
    /// It reads by itself; it asks us to write.
    Passes { backing: Arc<BackingId>, asks: bool },
}

impl Tree {
    /// Counts one more who has a file open, and returns how the kernel is to use it: as the others do.
    pub(super) fn way(&self, ino: u64, how: How, object: &Object, content: &Content, back: Option<Back<'_>>) -> Way {
        let mut table = self.table();
        let first = table.open(ino);
        table.hold(ino, object.clone());
        if let Some(back) = back.filter(|_| first && !how.writes)
            && let Some(backing) = self.pass(object, content, back)
        {
            table.back(ino, backing);
        }
        match table.backing(ino) {
            Some(backing) => {
                if how.writes {
                    table.set_stale(ino, true);
                }
                Way::Passes { backing, asks: how.writes }
            }
            None => Way::Asks { keep: !table.set_stale(ino, false) },
        }
    }

    fn pass(&self, object: &Object, content: &Content, back: Back<'_>) -> Option<Arc<BackingId>> {
        if !self.passes.load(Ordering::Acquire) || !self.overlay.stays(object) {
            return None;
        }
        let blob = content.blob();
        let file = host::descriptor(&*blob)?;
        if !self.overlay.has_upper() && !reads_quietly(file) {
            return None;
        }
        // One refusal is all: a process that may not will not be able to later.
        let backing = back(file).inspect_err(|_| self.passes.store(false, Ordering::Release));
        backing.ok().map(Arc::new)
    }
}

/// Returns whether reading a lower's file by the kernel's own way leaves its time of access alone (semantics D03): by the
/// mount that it was opened through, which `mount::quiet` makes.
fn reads_quietly(file: BorrowedFd<'_>) -> bool {
    let quiet = StatVfsMountFlags::NOATIME | StatVfsMountFlags::RDONLY;
    fstatvfs(file).is_ok_and(|room| room.f_flag.intersects(quiet))
}
