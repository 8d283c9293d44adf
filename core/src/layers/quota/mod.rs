//! A limit on what an upper holds: what would go beyond it is refused before it is written (trust T29).
//!
//! Whiteouts, and the directories that come up to hold them, are never refused, so that removing always works. What
//! replaces something needs its room beside it until it stands there.

mod ledger;

use std::{
    any::Any,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Allocate, Blob, BlobMut, Error, ErrorKind, Kind, Layer, New, Node, Result, Step, Stored, Time, WritableLayer,
    layer::forward_layer,
};
use ledger::Ledger;

pub use ledger::Usage;

/// An upper that holds at most so much.
#[derive(Debug)]
pub struct Quota {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn WritableLayer>,
    limit: Usage,
    ledger: Mutex<Ledger>,
}

impl Quota {
    /// Returns `inner` with a limit, after counting what it holds.
    pub fn new(inner: Arc<dyn WritableLayer>, limit: Usage) -> Result<Arc<Self>> {
        let ledger = Mutex::new(Ledger::of(&inner)?);
        Ok(Arc::new(Self { shared: Arc::new(Shared { inner, limit, ledger }) }))
    }

    /// Returns the limit.
    pub fn limit(&self) -> Usage {
        self.shared.limit
    }

    /// Returns what the upper holds, what is still on its way included.
    pub fn usage(&self) -> Result<Usage> {
        self.shared.ledger().usage(&self.shared.inner)
    }

    fn inner(&self) -> &dyn WritableLayer {
        &*self.shared.inner
    }

    /// Returns what a step does to the number of names.
    fn toll(&self, step: &Step<'_>) -> Result<Toll> {
        let (dir, name, made) = match *step {
            Step::Place { dir, name, .. } | Step::Link { dir, name, .. } => (dir, name, 1),
            Step::Move { to_dir, to_name, .. } => (to_dir, to_name, 0),
            Step::Remove { dir, name, .. } => (dir, name, 0),
            Step::Exchange { .. } | Step::Set { .. } => return Ok(Toll::default()),
        };
        let there = self.inner().lookup(dir, name)?.is_some_and(|node| node.kind != Kind::Whiteout);
        let (made, gone) = if there { (0, 1 - made) } else { (made, 0) };
        let always = matches!(step, Step::Place { node, .. } if self.shared.ledger().is_copied_dir(node));
        let (asked, owed) = if always { (0, made) } else { (made, 0) };
        Ok(Toll { asked, owed, gone, stale: there })
    }

    fn toll_of(&self, steps: &[Step<'_>]) -> Result<Toll> {
        steps.iter().try_fold(Toll::default(), |sum, step| Ok(sum.and(self.toll(step)?)))
    }
}

/// What steps do to the number of names.
#[derive(Clone, Copy, Default)]
struct Toll {
    /// Names that are made if there is room.
    asked: u64,
    /// Names that are made in any case.
    owed: u64,
    gone: u64,
    /// Whether content may go.
    stale: bool,
}

impl Toll {
    fn and(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            owed: self.owed + other.owed,
            gone: self.gone + other.gone,
            stale: self.stale || other.stale,
        }
    }
}

impl Shared {
    /// Runs a call for which `more` is taken from what is left, and `owed` in any case. Refuses more than there is
    /// (`NoSpace`).
    fn with<T>(&self, more: Usage, owed: Usage, call: impl FnOnce() -> Result<T>) -> Result<T> {
        {
            let mut ledger = self.ledger();
            if !ledger.admit(&self.inner, more, self.limit)? {
                return Err(self.full(more));
            }
            ledger.owe(owed);
        }
        let outcome = call();
        let mut ledger = self.ledger();
        ledger.done(more);
        ledger.done(owed);
        if outcome.is_err() {
            ledger.release(0);
        }
        outcome
    }

    fn full(&self, more: Usage) -> Error {
        let reason = match more.bytes {
            0 => format!("the quota is {} entries", self.limit.entries),
            _ => format!("the quota is {} bytes", self.limit.bytes),
        };
        Error::new(ErrorKind::NoSpace, "write").because(reason)
    }

    // The ledger is whole before the lock is given back.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for Quota {
    forward_layer!(|this| this.inner());
}

#[deny(clippy::missing_trait_methods)]
impl WritableLayer for Quota {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        let node = self.inner().stage(new)?;
        self.shared.ledger().stage(&node, new);
        Ok(node)
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        let inner = self.inner().open_mut(file)?;
        Ok(Arc::new(Metered { inner, shared: self.shared.clone() }))
    }

    fn sync(&self, node: &Node) -> Result<()> {
        self.inner().sync(node)
    }

    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        let toll = self.toll_of(steps)?;
        let names = |entries| Usage { entries, bytes: 0 };
        self.shared.with(names(toll.asked), names(toll.owed), || self.inner().commit(steps, now))?;
        let mut ledger = self.shared.ledger();
        for step in steps {
            if let Step::Place { node, .. } = step {
                ledger.place(node);
            }
        }
        if toll.stale {
            ledger.release(toll.gone);
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.inner().settle()
    }
}

/// Content whose growth counts.
struct Metered {
    inner: Arc<dyn BlobMut>,
    shared: Arc<Shared>,
}

impl Metered {
    /// Runs a call by which the content becomes so long, if there is room for that.
    fn grow<T>(&self, len: u64, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let bytes = len.saturating_sub(self.inner.size()?);
        self.shared.with(Usage { bytes, entries: 0 }, Usage::default(), call)
    }

    /// The same for a call that may also make it shorter.
    fn resize<T>(&self, len: u64, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let shrinks = len < self.inner.size()?;
        let outcome = self.grow(len, call)?;
        if shrinks {
            self.shared.ledger().release(0);
        }
        Ok(outcome)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Blob for Metered {
    fn size(&self) -> Result<u64> {
        self.inner.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.inner.next_data(offset)
    }

    fn stored(&self) -> Option<Stored> {
        self.inner.stored()
    }

    fn stamp(&self) -> Result<u128> {
        self.inner.stamp()
    }

    fn as_any(&self) -> &dyn Any {
        self.inner.as_any()
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobMut for Metered {
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.grow(offset.saturating_add(data.len() as u64), || self.inner.write_at(data, offset))
    }

    /// Room beyond the length is not counted, so none is set aside.
    fn allocate(&self, how: Allocate, range: Range<u64>) -> Result<()> {
        match how {
            Allocate::Keep | Allocate::ZeroKeep if range.end > self.inner.size()? => {
                Err(Error::new(ErrorKind::Unsupported, "allocate"))
            }
            Allocate::Keep | Allocate::ZeroKeep | Allocate::Punch => self.inner.allocate(how, range),
            Allocate::Extend | Allocate::Zero => self.grow(range.end, || self.inner.allocate(how, range.clone())),
        }
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.resize(len, || self.inner.set_len(len))
    }

    fn copy_from(&self, from: &dyn Blob) -> Result<u64> {
        self.resize(from.size()?, || self.inner.copy_from(from))
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}
