//! A model of the machine that stops: an upper in memory with a volatile and a durable image.
//!
//! What was synced or settled before the stop is there afterwards. Of the steps since, any may be lost, but not
//! one whose successor on the same object survives; content that was not synced is torn.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Allocate, Attrs, Blob, BlobMut, Change, Device, Error, ErrorKind, Kind, Layer, Leave, Marks, NameBuf, New, Node,
    Result, Step, Stored, Time, WritableLayer, Xattr, layer::forward_layer, layers::memory::Memory,
    testing::drawing::read_all,
};

/// What a file shows whose content was never synced.
pub const TORN: &[u8] = b"TORN";

/// An upper on a machine that stops at the Nth call that would change something.
pub struct Crashing {
    live: Arc<Memory>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    left: u64,
    events: Vec<Event>,
    /// How many events are durable.
    settled: usize,
}

/// What happened, by the numbers of the objects.
#[derive(Clone)]
enum Event {
    Stage(u64, Staged),
    Sync(u64, Vec<u8>),
    Place(u64, u64, NameBuf),
    Link(u64, u64, NameBuf),
    Move(u64, NameBuf, u64, NameBuf, Leave),
    Exchange(u64, NameBuf, u64, NameBuf),
    Remove(u64, NameBuf, Leave),
    Set(u64, Change),
}

#[derive(Clone)]
struct Staged {
    kind: Kind,
    attrs: Attrs,
    rdev: Device,
    target: Vec<u8>,
    xattrs: Vec<Xattr>,
    marks: Marks,
}

impl Event {
    fn of(step: &Step<'_>) -> Self {
        match *step {
            Step::Place { node, dir, name, .. } => Self::Place(node.id, dir.id, name.to_owned()),
            Step::Link { node, dir, name } => Self::Link(node.id, dir.id, name.to_owned()),
            Step::Move { dir, name, to_dir, to_name, leave } => {
                Self::Move(dir.id, name.to_owned(), to_dir.id, to_name.to_owned(), leave)
            }
            Step::Exchange { dir, name, to_dir, to_name } => {
                Self::Exchange(dir.id, name.to_owned(), to_dir.id, to_name.to_owned())
            }
            Step::Remove { dir, name, leave } => Self::Remove(dir.id, name.to_owned(), leave),
            Step::Set { node, change } => Self::Set(node.id, change.clone()),
        }
    }

    /// Returns the objects whose later changes depend on this one.
    fn objects(&self) -> Vec<u64> {
        match *self {
            Self::Stage(..) | Self::Sync(..) => Vec::new(),
            Self::Place(node, dir, _) | Self::Link(node, dir, _) => vec![node, dir],
            Self::Move(dir, _, to, _, _) | Self::Exchange(dir, _, to, _) => vec![dir, to],
            Self::Remove(object, ..) | Self::Set(object, _) => vec![object],
        }
    }

    fn is_step(&self) -> bool {
        !matches!(self, Self::Stage(..) | Self::Sync(..))
    }
}

impl Crashing {
    /// Returns an upper that holds what `live` holds, on a machine that stops at its `nth` changing call.
    pub fn new(live: Arc<Memory>, nth: u64) -> Arc<Self> {
        Arc::new(Self { live, log: Arc::new(Mutex::new(Log { left: nth, ..Log::default() })) })
    }

    /// Returns whether the machine has stopped.
    pub fn has_stopped(&self) -> bool {
        lock(&self.log).left == 0
    }

    /// Applies to `image`, which holds what the upper held at first, everything that may have survived: the
    /// `choice`th of the possible losses. Returns `None` when there are no more.
    pub fn after_the_stop(&self, image: Arc<Memory>, choice: u64) -> Option<Arc<Memory>> {
        let log = lock(&self.log);
        let pending: Vec<usize> = (log.settled..log.events.len()).filter(|i| log.events[*i].is_step()).collect();
        if choice >= 1 << pending.len().min(10) {
            return None;
        }
        let lost = |i: usize| pending.iter().position(|p| *p == i).is_some_and(|bit| choice >> bit & 1 == 1);
        let mut gone: Vec<u64> = Vec::new();
        let mut nodes = BTreeMap::from([(image.root().id, image.root())]);
        collect(&*image, &image.root(), &mut nodes);
        for (i, event) in log.events.iter().enumerate() {
            let objects = event.objects();
            if lost(i) || objects.iter().any(|object| gone.contains(object)) {
                gone.extend(objects);
            } else {
                replay(&image, &mut nodes, event).ok();
            }
        }
        Some(image)
    }
}

/// Numbers the objects of an image. The same drawing gives the same numbers.
fn collect(layer: &dyn Layer, dir: &Node, nodes: &mut BTreeMap<u64, Node>) {
    for entry in layer.list(dir, None, usize::MAX, false).into_iter().flatten() {
        if let Ok(Some(node)) = layer.lookup(dir, entry.name.as_name()) {
            nodes.insert(node.id, node.clone());
            if node.kind == Kind::Dir {
                collect(layer, &node, nodes);
            }
        }
    }
}

fn replay(image: &Memory, nodes: &mut BTreeMap<u64, Node>, event: &Event) -> Result<()> {
    let missing = || Error::new(ErrorKind::NotFound, "replay");
    let node = |id: &u64| nodes.get(id).ok_or_else(missing);
    let step = |step: Step<'_>| image.commit(&[step], Time::default());
    match event {
        Event::Stage(id, staged) => {
            let Staged { kind, attrs, rdev, target, xattrs, marks } = staged.clone();
            let (target, xattrs) = (&target[..], &xattrs[..]);
            let new = New { kind, attrs, rdev, target, xattrs, marks, copied_up: false, faithful: true };
            let staged = image.stage(&new)?;
            if kind == Kind::File {
                image.open_mut(&staged)?.write_at(TORN, 0)?;
            }
            nodes.insert(*id, staged);
            Ok(())
        }
        Event::Sync(id, bytes) => image.open_mut(node(id)?)?.copy_from(bytes).map(drop),
        Event::Place(id, dir, name) => {
            step(Step::Place { node: node(id)?, dir: node(dir)?, name: name.as_name(), quiet: true })
        }
        Event::Link(id, dir, name) => step(Step::Link { node: node(id)?, dir: node(dir)?, name: name.as_name() }),
        Event::Move(dir, name, to, to_name, leave) => step(Step::Move {
            dir: node(dir)?,
            name: name.as_name(),
            to_dir: node(to)?,
            to_name: to_name.as_name(),
            leave: *leave,
        }),
        Event::Exchange(dir, name, to, to_name) => step(Step::Exchange {
            dir: node(dir)?,
            name: name.as_name(),
            to_dir: node(to)?,
            to_name: to_name.as_name(),
        }),
        Event::Remove(dir, name, leave) => step(Step::Remove { dir: node(dir)?, name: name.as_name(), leave: *leave }),
        Event::Set(id, change) => step(Step::Set { node: node(id)?, change }),
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a changing call, and fails it when the machine has stopped.
fn pass(log: &Mutex<Log>) -> Result<MutexGuard<'_, Log>> {
    let mut log = lock(log);
    log.left = log.left.saturating_sub(1);
    match log.left {
        0 => Err(Error::new(ErrorKind::Io, "run").because("the machine has stopped")),
        _ => Ok(log),
    }
}

impl fmt::Debug for Crashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.live.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Layer for Crashing {
    forward_layer!(|this| this.live);
}

#[deny(clippy::missing_trait_methods)]
impl WritableLayer for Crashing {
    fn stage(&self, new: &New<'_>) -> Result<Node> {
        let mut log = pass(&self.log)?;
        let node = self.live.stage(new)?;
        let New { kind, attrs, rdev, ref marks, .. } = *new;
        let (target, xattrs, marks) = (new.target.to_vec(), new.xattrs.to_vec(), marks.clone());
        log.events.push(Event::Stage(node.id, Staged { kind, attrs, rdev, target, xattrs, marks }));
        Ok(node)
    }

    fn open_mut(&self, file: &Node) -> Result<Arc<dyn BlobMut>> {
        let live = self.live.open_mut(file)?;
        Ok(Arc::new(Content { live, id: file.id, log: self.log.clone() }))
    }

    fn sync(&self, node: &Node) -> Result<()> {
        self.open_mut(node)?.sync()
    }

    fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        for step in steps {
            let mut log = pass(&self.log)?;
            self.live.commit(&[*step], now)?;
            log.events.push(Event::of(step));
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        let mut log = pass(&self.log)?;
        log.settled = log.events.len();
        Ok(())
    }
}

/// A file's content; only a sync reaches the durable image.
struct Content {
    live: Arc<dyn BlobMut>,
    id: u64,
    log: Arc<Mutex<Log>>,
}

#[deny(clippy::missing_trait_methods)]
impl Blob for Content {
    fn size(&self) -> Result<u64> {
        self.live.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.live.read_at(buf, offset)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        self.live.next_data(offset)
    }

    fn stored(&self) -> Option<Stored> {
        self.live.stored()
    }

    fn stamp(&self) -> Result<u128> {
        self.live.stamp()
    }

    fn as_any(&self) -> &dyn Any {
        self.live.as_any()
    }
}

#[deny(clippy::missing_trait_methods)]
impl BlobMut for Content {
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        pass(&self.log).map(drop)?;
        self.live.write_at(data, offset)
    }

    fn allocate(&self, how: Allocate, range: Range<u64>) -> Result<()> {
        pass(&self.log).map(drop)?;
        self.live.allocate(how, range)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        pass(&self.log).map(drop)?;
        self.live.set_len(len)
    }

    fn copy_from(&self, from: &dyn Blob) -> Result<u64> {
        pass(&self.log).map(drop)?;
        self.live.copy_from(from)
    }

    fn sync(&self) -> Result<()> {
        let mut log = pass(&self.log)?;
        log.events.push(Event::Sync(self.id, read_all(&*self.live)?));
        Ok(())
    }
}
