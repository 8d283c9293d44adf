//! A mounted stack: the engine's tree by the kernel's numbers.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use fuser::{FileAttr, Request};
use ovl_core::{
    Error, ErrorKind, Name, Overlay, Result, Stat, VPath,
    overlay::{Ctx, Event, Object, Shown, Watch, When},
};
use rustix::fd::OwnedFd;

use super::{
    attr::attr,
    dirs::Dir,
    files::File,
    handles::Handles,
    notices::{Notice, Notices},
    table::{Sight, Table},
    unasked::Unasked,
};
use crate::time;

thread_local! {
    /// The tree for whose kernel this thread works, 0 for none: of a change made by it that kernel knows already.
    static WORKS_FOR: Cell<u64> = const { Cell::new(0) };
}

/// Returns the number of the tree for whose kernel this thread works, 0 for none.
pub(super) fn works_for() -> u64 {
    WORKS_FOR.get()
}

/// A stack as one mount shows it.
pub(super) struct Tree {
    pub(super) overlay: Arc<Overlay>,
    table: Mutex<Table>,
    /// Held for reading while a path is used, for writing while a directory gets another one.
    moving: RwLock<()>,
    pub(super) files: Handles<File>,
    pub(super) dirs: Handles<Dir>,
    pub(super) notices: Notices,
    /// Counts what is written in place, which the engine does not.
    pub(super) pieces: AtomicU64,
    /// Counts changes by others than the kernel, each before the table follows it.
    by_others: AtomicU64,
    /// A directory of the file system whose room is told.
    pub(super) room: Option<OwnedFd>,
    /// Whether POSIX ACLs count: what holds them must keep them in step with modes.
    pub(super) acls: bool,
    /// Whether the kernel may read and write files of a layer by itself.
    pub(super) passes: AtomicBool,
    pub(super) unasked: Unasked,
    pub(super) id: u64,
}

impl Tree {
    pub(super) fn new(overlay: Arc<Overlay>, room: Option<OwnedFd>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let acls = !overlay.has_upper() || overlay.layers()[0].caps().acls;
        Arc::new(Self {
            overlay,
            table: Mutex::new(Table::new()),
            moving: RwLock::default(),
            files: Handles::new(),
            dirs: Handles::new(),
            notices: Notices::default(),
            pieces: AtomicU64::new(0),
            by_others: AtomicU64::new(0),
            room,
            acls,
            passes: AtomicBool::new(false),
            unasked: Unasked::default(),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Notes that this thread works for the kernel, as long as it lives.
    pub(super) fn serve(&self) {
        WORKS_FOR.set(self.id);
    }

    fn is_served(&self) -> bool {
        WORKS_FOR.get() == self.id
    }

    // The table is whole before the lock is given back, and nobody asks the engine anything while holding it.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps paths what they are as far as the kernel is concerned.
    pub(super) fn still(&self) -> RwLockReadGuard<'_, ()> {
        self.moving.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody else use a path.
    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.moving.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the path of an inode. Refuses one that has none (`NotFound`).
    pub(super) fn path(&self, ino: u64) -> Result<VPath> {
        self.table().path(ino).ok_or_else(|| Error::new(ErrorKind::NotFound, "look up"))
    }

    /// Returns the path of a name in a directory.
    pub(super) fn at(&self, dir: u64, name: Name<'_>) -> Result<VPath> {
        Ok(self.path(dir)?.join(name))
    }

    /// Returns the object that an inode without a name is.
    pub(super) fn nameless(&self, ino: u64) -> Result<Object> {
        self.table().held(ino).ok_or_else(|| Error::new(ErrorKind::LayerChanged, "look up"))
    }

    /// Keeps what an inode is, if someone may still use it when its name goes.
    pub(super) fn keep(&self, dir: u64, name: Name<'_>) -> Result<()> {
        let ino = {
            let table = self.table();
            table.child(dir, name).filter(|ino| table.is_open(*ino) || table.is_dir(*ino))
        };
        let Some(ino) = ino else { return Ok(()) };
        let object = self.overlay.object(&self.at(dir, name)?)?;
        self.table().hold(ino, object);
        Ok(())
    }

    /// Tells the kernel of what shows at a name: returns its attributes, or `None` when there was a change since the
    /// generation in which it was seen.
    pub(super) fn known(&self, dir: u64, name: Name<'_>, stat: &Stat, layer: usize, seen: u64) -> Option<FileAttr> {
        let sight = self.sight(stat, layer);
        self.identify_links(stat, sight);
        let mut table = self.table();
        // A change counts before the table follows it: one that does not count yet will be followed.
        (self.overlay.generation() == seen).then(|| attr(table.learn(dir, name, sight), stat))
    }

    /// Tells the kernel of what it has had made at a name. It must look anew if others changed something since `before`, but
    /// not for its own changes: it lets none come between.
    pub(super) fn made(&self, dir: u64, name: Name<'_>, stat: &Stat, layer: usize, before: u64) -> FileAttr {
        let sight = self.sight(stat, layer);
        self.identify_links(stat, sight);
        let ino = self.table().learn(dir, name, sight);
        self.look_anew(dir, name, before);
        attr(ino, stat)
    }

    /// Lets the kernel look a name up again, if others changed something since `before`.
    pub(super) fn look_anew(&self, dir: u64, name: Name<'_>, before: u64) {
        if self.by_others() != before {
            self.notices.push(vec![Notice::Name(dir, name.to_owned())]);
        }
    }

    /// Returns how many changes others than the kernel have made.
    pub(super) fn by_others(&self) -> u64 {
        self.by_others.load(Ordering::Acquire)
    }

    /// Finds out which inodes other names of this file belong to, where a change has made us forget.
    fn identify_links(&self, stat: &Stat, sight: Sight) {
        if !sight.upper || stat.nlink < 2 {
            return;
        }
        let unidentified = self.table().unidentified(stat.ino);
        for (ino, path) in unidentified {
            let seen = self.overlay.generation();
            if let Ok(Some((stat, layer))) = self.overlay.stat(&path) {
                let mut table = self.table();
                if self.overlay.generation() == seen {
                    table.identify(ino, self.sight(&stat, layer));
                }
            }
        }
    }

    pub(super) fn sight(&self, stat: &Stat, layer: usize) -> Sight {
        let upper = layer == 0 && self.overlay.has_upper();
        Sight { kind: stat.kind, layer, number: stat.ino, upper, links: stat.nlink > 1 }
    }

    pub(super) fn sight_of(&self, line: &Shown) -> Option<Sight> {
        line.stat.as_ref().map(|stat| self.sight(stat, line.layer))
    }

    /// Returns a value that changes with everything that is changed.
    pub(super) fn stamp(&self) -> (u64, u64) {
        (self.overlay.generation(), self.pieces.load(Ordering::Acquire))
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("overlay", &self.overlay).finish_non_exhaustive()
    }
}

impl Watch for Tree {
    fn changed(&self, event: &Event) {
        let own = self.is_served();
        if !own {
            self.by_others.fetch_add(1, Ordering::AcqRel);
        }
        let notices = self.table().follow(event, own);
        self.notices.push(notices);
    }

    /// Who works for a kernel waits for none: another one's may wait for a lock that a request holds which waits for us.
    fn catch_up(&self) {
        if WORKS_FOR.get() == 0 {
            self.notices.wait();
        }
    }
}

/// Returns who asks. The kernel has checked what they may do.
pub(super) fn ctx(asker: &Request) -> Ctx {
    let (uid, gid) = (asker.uid(), asker.gid());
    Ctx { uid, gid, umask: 0, now: time::now(), when: When::Always, faithful: true }
}
