//! Telling the kernel what to look up anew.
//!
//! A thread of its own does it: the kernel takes locks for it that a request may hold which waits for us. For attributes
//! it takes none of those: they are told at once. The same thread sees to it that no directory is remembered for longer
//! than [`REMEMBERED`].

use std::{
    collections::{HashSet, VecDeque},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fuser::{INodeNo, Notifier};
use ovl_core::NameBuf;

/// How long the engine may go by what it found on the way to a name, whoever changes layers beneath us meanwhile.
const REMEMBERED: Duration = Duration::from_secs(1);

/// One thing that the kernel must not remember.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Notice {
    /// What a name in a directory leads to.
    Name(u64, NameBuf),
    /// The attributes of an inode.
    Attributes(u64),
    /// The attributes and the content of an inode.
    Content(u64),
}

impl Notice {
    /// Tells the kernel. It may have forgotten it already, or be gone: then there is nothing to tell.
    fn tell(&self, kernel: &Notifier) {
        let _told = match self {
            Self::Name(dir, name) => kernel.inval_entry(INodeNo(*dir), OsStr::from_bytes(name.as_bytes())),
            Self::Attributes(ino) => kernel.inval_inode(INodeNo(*ino), -1, 0),
            Self::Content(ino) => kernel.inval_inode(INodeNo(*ino), 0, 0),
        };
    }
}

/// Notices on their way.
#[derive(Default)]
pub(super) struct Notices {
    queue: Mutex<Queue>,
    /// There is something to tell.
    pushed: Condvar,
    /// Something has been told.
    told: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Notice>,
    /// The same: what is told once need not be told twice, so that the queue does not grow with the changes.
    known: HashSet<Notice>,
    pushed: u64,
    sent: u64,
    /// How many wait until what they pushed has been told: with nobody waiting, nobody is woken.
    waits: usize,
    /// Who is told, from when the thread has begun until it is over.
    kernel: Option<Notifier>,
    closed: bool,
}

impl Notices {
    pub(super) fn push(&self, notices: Vec<Notice>) {
        // Of most changes the kernel knows, for it asked for them: that must not wake anybody.
        if notices.is_empty() {
            return;
        }
        let mut queue = self.queue();
        let before = queue.pushed;
        for notice in notices {
            if let (Notice::Attributes(_), Some(kernel)) = (&notice, &queue.kernel) {
                notice.tell(kernel);
            } else if queue.known.insert(notice.clone()) {
                queue.pushed += 1;
                queue.waiting.push_back(notice);
            }
        }
        if queue.pushed > before {
            self.pushed.notify_one();
        }
    }

    /// Returns when the kernel knows all that has been pushed, or is gone.
    pub(super) fn wait(&self) {
        let mut queue = self.queue();
        let pushed = queue.pushed;
        queue.waits += 1;
        while queue.sent < pushed && !queue.closed {
            queue = self.told.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.waits -= 1;
    }

    /// Lets go of who waits: nobody is to be told any more.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        (queue.closed, queue.kernel) = (true, None);
        drop(queue);
        self.pushed.notify_one();
        self.told.notify_all();
    }

    /// Tells the kernel what is pushed, until [`Notices::close`], and calls `forget` at least so often as directories
    /// may be remembered.
    pub(super) fn send_all(&self, kernel: &Notifier, forget: impl Fn()) {
        self.queue().kernel = Some(kernel.clone());
        let mut forgotten = Instant::now();
        while let Some(notice) = self.next() {
            if forgotten.elapsed() >= REMEMBERED {
                forget();
                forgotten = Instant::now();
            }
            let Some(notice) = notice else { continue };
            notice.tell(kernel);
            self.sent();
        }
    }

    fn sent(&self) {
        let mut queue = self.queue();
        queue.sent += 1;
        if queue.waits > 0 {
            self.told.notify_all();
        }
    }

    /// Returns what to tell next, or that there is nothing to tell for a while; `None` when it is over.
    fn next(&self) -> Option<Option<Notice>> {
        let mut queue = self.queue();
        if queue.waiting.is_empty() && !queue.closed {
            queue = self.pushed.wait_timeout(queue, REMEMBERED).unwrap_or_else(PoisonError::into_inner).0;
        }
        if queue.closed {
            return None;
        }
        let notice = queue.waiting.pop_front();
        if let Some(notice) = &notice {
            queue.known.remove(notice);
        }
        Some(notice)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
