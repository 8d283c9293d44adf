//! The overlay: several layers shown as one tree, changes kept in the topmost.
//!
//! Readers share one lock and hold it only while they look up names; a change is staged without any lock,
//! then planned under `writers` and committed under the tree's lock in a few short calls. No content moves
//! under either, with two exceptions: a file with several names in the upper is written in place, since all its
//! names must see the change (semantics H03), and so is a file that someone holds open (`in_place`).
//!
//! Every lookup starts at the root, unless a front has asked to remember directories on the way (`dirs`).

mod content;
mod copy;
mod copy_up;
mod ctx;
mod data;
mod dirs;
mod discard;
mod graft;
mod in_place;
mod inherit;
mod list;
mod object;
mod redirect;
mod remove;
mod rename;
mod resolve;
mod set;
mod staging;
mod told;
mod unpack;
mod walk;
mod why;
mod write;
mod xray;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Blob, Error, ErrorKind, Kind, Layer, Name, Result, Stat, VPath, WritableLayer};

pub use content::{At, PutOptions, Upload};
pub use ctx::{Ctx, Deed, Done, Event, Info, Tag, When};
pub(crate) use graft::Graft;
pub use graft::OnConflict;
pub use in_place::{Begin, Steady, Writer};
pub use list::{Detail, Shown};
pub use object::Object;
pub use remove::Removal;
pub use rename::RenameHow;
pub use resolve::Follow;
pub(crate) use resolve::{Hit, Look, Place, Spot, Stack};
pub use set::XattrHow;
pub(crate) use staging::Item;
pub(crate) use unpack::Unpack;
pub use walk::{Walk, WalkOptions};
pub use why::{Fate, Reason, Verdict, Why};

/// The most layers of one overlay (semantics M07).
pub const LAYERS_MAX: usize = 501;

/// What the overlay chooses where several behaviours are right.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Whether lower and merged directories can be renamed, where the upper can hold redirects (semantics N06, N08).
    pub redirect_dir: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { redirect_dir: true }
    }
}

type Observer = Box<dyn Fn(&Event) + Send + Sync>;

/// What keeps itself in step with an overlay for a part of its life.
pub trait Watch: Send + Sync {
    /// Hears of a change, in order, before it is acknowledged. It must be quick and ask nothing of the overlay.
    fn changed(&self, event: &Event);

    /// Waits, after a change and without any lock, until what has been heard has taken effect; then the change is
    /// acknowledged.
    fn catch_up(&self);
}

/// Several layers shown as one tree.
pub struct Overlay {
    pub(crate) stack: Stack,
    redirect_dir: bool,
    /// Held for reading while names are looked up, for writing while a change is committed.
    tree: RwLock<()>,
    /// Held for writing while a change is planned and committed: one writer at a time, none of them moving content.
    /// Held for reading while a file is written in place.
    writers: RwLock<()>,
    generation: AtomicU64,
    dirs: dirs::Dirs,
    observer: Option<Observer>,
    watches: Mutex<Vec<Weak<dyn Watch>>>,
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay").field("stack", &self.stack).finish_non_exhaustive()
    }
}

impl Overlay {
    /// Returns the overlay of `upper` over `lowers`, the first of them topmost (semantics M01). Without an
    /// upper it is read-only (M02). `observer` hears of every change, in order, before the change is
    /// acknowledged; it must be quick.
    ///
    /// Refuses a stack without layers and one of more than 500 lowers (`InvalidInput`, M07).
    pub fn new(
        upper: Option<Arc<dyn WritableLayer>>,
        lowers: Vec<Arc<dyn Layer>>,
        policy: Policy,
        observer: Option<Observer>,
    ) -> Result<Arc<Self>> {
        let redirect_dir = policy.redirect_dir && upper.as_ref().is_some_and(|upper| upper.caps().redirects);
        let top = upper.clone().map(|upper| upper as Arc<dyn Layer>);
        let stack = Stack { upper, ..Stack::new(top, lowers)? };
        Ok(Arc::new(Self { redirect_dir, observer, ..Self::of(stack) }))
    }

    /// Returns the overlay of an `upper` that is only looked at over `lowers`: it shows what [`Overlay::new`] shows, and
    /// every change is refused (`ReadOnly`).
    ///
    /// Refuses a stack of more than 500 lowers (`InvalidInput`, M07).
    pub fn to_read(upper: Arc<dyn Layer>, lowers: Vec<Arc<dyn Layer>>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self::of(Stack::new(Some(upper), lowers)?)))
    }

    fn of(stack: Stack) -> Self {
        Self {
            stack,
            redirect_dir: false,
            tree: RwLock::new(()),
            writers: RwLock::new(()),
            generation: AtomicU64::new(0),
            dirs: dirs::Dirs::default(),
            observer: None,
            watches: Mutex::default(),
        }
    }

    /// Returns the layers, topmost first: the upper, if there is one, then the lowers.
    pub fn layers(&self) -> &[Arc<dyn Layer>] {
        &self.stack.layers
    }

    /// Returns whether the first layer is an upper.
    pub fn has_upper(&self) -> bool {
        self.stack.has_upper
    }

    /// Returns whether lower and merged directories can be renamed.
    pub fn redirects(&self) -> bool {
        self.redirect_dir
    }

    /// Returns the number of changes since the overlay was opened.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns what shows at a path.
    pub fn entry(&self, path: &VPath, follow: Follow) -> Result<Info> {
        let spot = self.resolve(path, follow, "read")?;
        self.info(&spot)
    }

    /// Returns up to `max` lines of a directory after `after`, sorted by name; fewer mean the end.
    pub fn list(&self, path: &VPath, after: Option<Name<'_>>, max: usize, detail: Detail) -> Result<Vec<Shown>> {
        let spot = self.directory(path, "list")?;
        let _reading = self.reading();
        let place = if detail.hidden { self.stack.wide(&spot.path)? } else { spot.place };
        self.stack.list(&place, after, max, detail).map_err(|e| e.or_at(path))
    }

    /// Returns the lines of everything beneath a directory.
    pub fn walk(self: &Arc<Self>, path: &VPath, options: WalkOptions) -> Result<Walk> {
        let spot = self.directory(path, "list")?;
        Ok(Walk::new(self.clone(), spot.place, spot.path, options))
    }

    /// Opens the content of a regular file; the reader keeps what it opened whatever happens to the name.
    ///
    /// Refuses directories (`IsADirectory`), other kinds and members that cannot be read (`UnsupportedEntry`).
    pub fn open(&self, path: &VPath, follow: Follow) -> Result<(Info, Arc<dyn Blob>)> {
        let spot = self.resolve(path, follow, "open")?;
        let info = self.info(&spot)?;
        let blob = self.stack.content(&spot.place).map_err(|e| e.or_at(&spot.path))?;
        Ok((info, blob))
    }

    /// Returns the target of a symbolic link, `InvalidInput` for other kinds.
    pub fn target(&self, path: &VPath) -> Result<Vec<u8>> {
        let spot = self.resolve(path, Follow::No, "read link")?;
        let hit = spot.found("read link")?;
        if hit.node.kind != Kind::Symlink {
            return Err(Error::new(ErrorKind::InvalidInput, "read link").at(path).because("not a symbolic link"));
        }
        self.stack.layers[hit.layer].target(&hit.node).map_err(|e| e.or_at(path))
    }

    /// Returns what every layer holds at a path, which one shows and what hides the rest.
    pub fn why(&self, path: &VPath) -> Result<Why> {
        let _reading = self.reading();
        self.stack.why(path)
    }

    fn directory(&self, path: &VPath, op: &'static str) -> Result<Spot> {
        let spot = self.resolve(path, Follow::Yes, op)?;
        match spot.found(op)?.node.kind {
            Kind::Dir => Ok(spot),
            _ => Err(Error::new(ErrorKind::NotADirectory, op).at(path)),
        }
    }

    pub(crate) fn resolve(&self, path: &VPath, follow: Follow, op: &'static str) -> Result<Spot> {
        let _reading = self.reading();
        let start = self.dirs.nearest(path).map_or_else(|| self.stack.start(), Ok)?;
        let spot = self.stack.resolve(start, path, follow, op)?;
        self.dirs.keep(path, &spot);
        Ok(spot)
    }

    pub(crate) fn info(&self, spot: &Spot) -> Result<Info> {
        let hit = spot.found("read")?;
        let stat = self.stack.layers[hit.layer].stat(&hit.node).map_err(|e| e.or_at(&spot.path))?;
        Ok(self.info_with(spot, hit, stat))
    }

    /// Returns the attributes that show at a spot with this topmost hit.
    fn stat_shown(&self, spot: &Spot, top: &Hit) -> Result<Stat> {
        let stat = self.stack.layers[top.layer].stat(&top.node).map_err(|e| e.or_at(&spot.path))?;
        Ok(spot.place.shown(stat))
    }

    /// Returns what shows at a spot whose topmost hit has these attributes.
    pub(crate) fn info_with(&self, spot: &Spot, top: &Hit, stat: Stat) -> Info {
        let tag = Tag::of(&*self.stack.layers[top.layer], &stat);
        let stat = spot.place.shown(stat);
        let layers = spot.place.visible().map(|hit| hit.layer).collect();
        Info { path: spot.path.clone(), stat, layers, tag }
    }

    /// Returns the tag that `info` would give for a line of a listing made with attributes.
    pub fn tag(&self, shown: &Shown) -> Option<Tag> {
        shown.stat.as_ref().map(|stat| Tag::of(&*self.stack.layers[shown.layer], stat))
    }

    // Both locks guard no data: they order calls into the layers, which keep their own state whole.
    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writing(&self) -> RwLockWriteGuard<'_, ()> {
        self.writers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `watch` hear of every change from now on, as long as it lives.
    pub fn watch(&self, watch: &Arc<dyn Watch>) {
        let _no_change = self.writing();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| watch.strong_count() > 0);
        watches.push(Arc::downgrade(watch));
    }

    fn watches(&self) -> Vec<Arc<dyn Watch>> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn tell(&self, deed: Deed, path: &VPath) {
        let event = Event { generation: self.generation(), deed, path: path.clone() };
        self.watches().iter().for_each(|watch| watch.changed(&event));
        if let Some(observer) = &self.observer {
            observer(&event);
        }
    }

    /// Counts one more change and tells what it did; the caller holds the writers' lock.
    fn count(&self, deeds: &[(Deed, VPath)]) -> u64 {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        deeds.iter().for_each(|(deed, path)| self.tell(deed.clone(), path));
        generation
    }

    fn let_catch_up(&self) {
        self.watches().iter().for_each(|watch| watch.catch_up());
    }
}
