//! A limit on the content of an upper: what would go beyond it is refused before it is written (trust T29).
//!
//! Growth is added up as it happens; what is removed is noticed by counting anew, which happens only when the limit
//! seems to be reached. A file with several names counts once for each.

use std::{
    any::Any,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Blob, BlobMut, Caps, Entry, Error, ErrorKind, Facts, Kind, Layer, Marks, Name, New, Node, Result, Stat, Step,
    Stored, Time, WritableLayer, Xattr,
};

const PAGE: usize = 4096;

/// An upper that holds at most so many bytes of content.
#[derive(Debug)]
pub struct Quota {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn WritableLayer>,
    limit: u64,
    ledger: Mutex<Ledger>,
}

/// Bytes, never fewer than there are.
#[derive(Debug)]
struct Ledger {
    used: u64,
    /// Those among them that were written through contents which are still open: they may have no name yet.
    open: u64,
}

impl Quota {
    /// Returns `inner` with a limit in bytes, after counting what it holds.
    pub fn new(inner: Arc<dyn WritableLayer>, limit: u64) -> Result<Arc<Self>> {
        let ledger = Mutex::new(Ledger { used: count(&*inner)?, open: 0 });
        Ok(Arc::new(Self { shared: Arc::new(Shared { inner, limit, ledger }) }))
    }

    fn inner(&self) -> &dyn WritableLayer {
        &*self.shared.inner
    }
}

/// Adds up the content of all files of a layer.
fn count(layer: &dyn WritableLayer) -> Result<u64> {
    let mut total = 0;
    let mut dirs = vec![layer.root()];
    while let Some(dir) = dirs.pop() {
        let mut page: Vec<Entry> = layer.list(&dir, None, PAGE, true)?;
        while let Some(last) = page.last().map(|last| last.name.clone()) {
            for entry in &page {
                total += entry.stat.as_ref().filter(|stat| stat.kind == Kind::File).map_or(0, |stat| stat.size);
                if entry.kind == Kind::Dir {
                    dirs.extend(layer.lookup(&dir, entry.name.as_name())?);
                }
            }
            page = if page.len() < PAGE { Vec::new() } else { layer.list(&dir, Some(last.as_name()), PAGE, true)? };
        }
    }
    Ok(total)
}

impl Shared {
    /// Takes `bytes` from what is left. Refuses more than that (`NoSpace`).
    fn admit(&self, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let mut ledger = self.ledger();
        if ledger.used.saturating_add(bytes) > self.limit {
            ledger.used = count(&*self.inner)? + ledger.open;
        }
        if ledger.used.saturating_add(bytes) > self.limit {
            let reason = format!("the quota is {} bytes", self.limit);
            return Err(Error::new(ErrorKind::NoSpace, "write").because(reason));
        }
        ledger.used += bytes;
        ledger.open += bytes;
        Ok(())
    }

    // The ledger is whole before the lock is given back.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for Quota {
    fn caps(&self) -> &Caps {
        self.inner().caps()
    }

    fn root(&self) -> Node {
        self.inner().root()
    }

    fn lookup(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.inner().lookup(dir, name)
    }

    fn enter(&self, dir: &Node, name: Name<'_>) -> Result<Option<Node>> {
        self.inner().enter(dir, name)
    }

    fn list(&self, dir: &Node, after: Option<Name<'_>>, max: usize, stats: bool) -> Result<Vec<Entry>> {
        self.inner().list(dir, after, max, stats)
    }

    fn stat_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Stat>> {
        self.inner().stat_at(dir, name)
    }

    fn stat(&self, node: &Node) -> Result<Stat> {
        self.inner().stat(node)
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.inner().marks(node)
    }

    fn xattrs(&self, node: &Node) -> Result<Vec<Xattr>> {
        self.inner().xattrs(node)
    }

    fn facts(&self, node: &Node) -> Result<Facts> {
        self.inner().facts(node)
    }

    fn facts_at(&self, dir: &Node, name: Name<'_>) -> Result<Option<Facts>> {
        self.inner().facts_at(dir, name)
    }

    fn target(&self, link: &Node) -> Result<Vec<u8>> {
        self.inner().target(link)
    }

    fn open(&self, file: &Node) -> Result<Arc<dyn Blob>> {
        self.inner().open(file)
    }
}

#[deny(clippy::missing_trait_methods)]
impl WritableLayer for Quota {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        self.inner().stage(new)
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        let inner = self.inner().open_mut(file)?;
        Ok(Arc::new(Metered { inner, shared: self.shared.clone(), grown: AtomicU64::new(0) }))
    }

    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        self.inner().commit(steps, now)
    }

    fn settle(&self) -> Result<()> {
        self.inner().settle()
    }
}

/// Content whose growth counts.
struct Metered {
    inner: Arc<dyn BlobMut>,
    shared: Arc<Shared>,
    grown: AtomicU64,
}

impl Metered {
    /// Makes room for the content to become so long.
    fn grow_to(&self, len: u64) -> Result<()> {
        let more = len.saturating_sub(self.inner.size()?);
        self.shared.admit(more)?;
        self.grown.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.shared.ledger().open -= self.grown.load(Ordering::Relaxed);
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
        self.grow_to(offset.saturating_add(data.len() as u64))?;
        self.inner.write_at(data, offset)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.grow_to(len)?;
        self.inner.set_len(len)
    }

    fn copy_from(&self, from: &dyn Blob) -> Result<u64> {
        self.grow_to(from.size()?)?;
        self.inner.copy_from(from)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}
