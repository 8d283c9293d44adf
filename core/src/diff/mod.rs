//! Changes: the upper against the lowers, found by walking the upper alone.
//!
//! Every object of the upper is held against what the lowers show at its place: the place of a renamed
//! directory is where the lowers have it, and inside an opaque directory the lowers show nothing. So what
//! stands in an opaque directory counts as added, and the directory itself as what hides the rest.
//!
//! The upper's root is never a change: its attributes are the upper's from the start.

mod compare;
mod moves;

use std::sync::Arc;

use crate::{
    Facts, Kind, Name, Result, Stat, VPath,
    descent::{Descent, Found},
    overlay::{Follow, Hit, Look, Overlay, Place},
    sorted::Sorted,
};

use compare::Difference;
pub(crate) use moves::{Moves, origin};

/// What was done to a path, seen from the lowers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Something stands where the lowers show nothing.
    Added,
    /// The content, link target or device number is another. A file of another length or time counts as modified
    /// without being read; see `metadata` for the rest.
    Modified,
    /// Mode, owner or extended attributes are others, the content is the same.
    Metadata,
    /// Nothing stands where the lowers show something.
    Deleted,
    /// A directory hides what the lowers show in it.
    Opaque,
    /// A directory, or a file's metadata, that the lowers have at another path.
    Renamed {
        /// Where the lowers have it. The whiteout there belongs to the rename and is not told again.
        from: VPath,
    },
    /// Something of another kind stands there.
    TypeChanged,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where.
    pub path: VPath,
    /// What was done.
    pub what: What,
    /// What the lowers alone show at the path.
    pub before: Option<Kind>,
    /// What the upper has there; `None` for a whiteout.
    pub now: Option<Stat>,
    /// Whether mode, owner or extended attributes differ from those below.
    pub metadata: bool,
}

/// A directory of the upper, and what lies below it.
struct Dir {
    /// All that the overlay merges there.
    place: Place,
    /// The lowers among them.
    below: Place,
    /// The path by which the lowers know it.
    origin: Option<VPath>,
}

/// The changes beneath a directory as they are asked for: parents before children, names in order.
///
/// Memory is bounded by depth and page size, and by the number of renamed directories once a removed one is met.
/// The walk is no snapshot, and ends at an error.
pub struct Changes {
    overlay: Arc<Overlay>,
    descent: Option<Descent>,
    dirs: Vec<Dir>,
    moved: Option<Sorted<VPath, VPath>>,
}

impl Overlay {
    /// Returns the changes beneath a directory that come after the path `after`. A symbolic link on the way is
    /// followed. Without an upper, and where the upper has no such directory, there are none.
    pub fn changes(self: &Arc<Self>, beneath: &VPath, after: Option<&VPath>) -> Result<Changes> {
        let mut changes = Changes { overlay: self.clone(), descent: None, dirs: Vec::new(), moved: None };
        let Some(dir) = self.upper_dir(beneath)? else { return Ok(changes) };
        let node = dir.place.hits[0].node.clone();
        let mut descent = Descent::new(self.stack.layers[0].clone(), node, dir.path, false);
        changes.dirs.push(Dir::new(dir.place, dir.origin));
        let after = after.filter(|after| after.is_within(beneath)).into_iter().flat_map(VPath::names);
        for name in after.skip(beneath.names().count()) {
            if descent.resume(name)?.is_none() {
                break;
            }
            changes.enter(name)?;
        }
        changes.descent = Some(descent);
        Ok(changes)
    }

    /// Returns the change of one path, `None` when the upper leaves it as it is below. The last symbolic link is
    /// not followed.
    pub fn change_at(self: &Arc<Self>, path: &VPath) -> Result<Option<Changed>> {
        let Some((parent, name)) = path.split() else { return Ok(None) };
        let Some(dir) = self.upper_dir(&parent)? else { return Ok(None) };
        let path = dir.path.join(name);
        let dir = Dir::new(dir.place, dir.origin);
        let mut changes = Changes { overlay: self.clone(), descent: None, dirs: Vec::new(), moved: None };
        let place = changes.look(&dir.place, name).map_err(|e| e.or_at(&path))?;
        let change = match place.top() {
            Some(hit) if hit.layer == 0 => changes.changed(&path, &dir, place, name).map(|(change, _)| change),
            None if place.whiteout == Some(0) => changes.deleted(&path, &dir, name),
            _ => Ok(None),
        };
        change.map_err(|e| e.or_at(&path))
    }
}

/// A directory of the upper by its path.
pub(crate) struct UpperDir {
    /// The path, symbolic links resolved.
    pub(crate) path: VPath,
    /// What the overlay merges there: the upper's directory first.
    pub(crate) place: Place,
    /// The path by which the lowers know it.
    pub(crate) origin: Option<VPath>,
}

impl UpperDir {
    /// Returns the lowers that the overlay merges there.
    pub(crate) fn below(&self) -> Place {
        below(&self.place)
    }
}

fn below(place: &Place) -> Place {
    Place { hits: place.hits.iter().skip(1).cloned().collect(), whiteout: None, data: place.data.clone() }
}

impl Overlay {
    /// Returns the directory that the upper has at a path, `None` when it has none there.
    pub(crate) fn upper_dir(&self, path: &VPath) -> Result<Option<UpperDir>> {
        let spot = match self.resolve(path, Follow::Yes, "read changes") {
            Ok(spot) => spot,
            Err(e) if matches!(e.kind(), crate::ErrorKind::NotFound | crate::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let is_dir = spot.place.is_dir() && spot.place.hits.first().is_some_and(|hit| self.stack.is_upper(hit.layer));
        if !is_dir {
            return Ok(None);
        }
        let mut from = Some(VPath::root());
        for (name, place) in spot.path.names().zip(spot.dirs.iter().skip(1).chain([&spot.place])) {
            from = place.hits.first().and_then(|hit| origin(from.as_ref(), name, &hit.marks));
        }
        Ok(Some(UpperDir { path: spot.path, place: spot.place, origin: from }))
    }
}

impl Dir {
    fn new(place: Place, origin: Option<VPath>) -> Self {
        let below = below(&place);
        let origin = origin.filter(|_| !below.hits.is_empty());
        Self { place, below, origin }
    }

    /// Takes what stands at `name`: a directory to be entered, or any other object with the content below it.
    fn inner(&self, name: Name<'_>, place: Place) -> Self {
        let origin = place.top().and_then(|hit| origin(self.origin.as_ref(), name, &hit.marks));
        Self::new(place, origin)
    }

    /// Returns where the lowers have this, if that is not at `name` in `parent`.
    fn moved_from(&self, parent: &Self, name: Name<'_>) -> Option<&VPath> {
        let stays = |from: &VPath| parent.origin.as_ref().is_some_and(|dir| dir.join(name) == *from);
        let redirected = self.place.top().is_some_and(|hit| hit.marks.redirect.is_some());
        self.origin.as_ref().filter(|from| redirected && !stays(from))
    }
}

impl Changes {
    fn advance(&mut self) -> Result<Option<Changed>> {
        while let Some(found) = self.step()? {
            let change = self.judge(&found).map_err(|e| e.or_at(&found.path))?;
            if change.is_some() {
                return Ok(change);
            }
        }
        Ok(None)
    }

    fn step(&mut self) -> Result<Option<Found>> {
        let _reading = self.overlay.reading();
        self.descent.as_mut().map_or(Ok(None), Descent::advance)
    }

    fn look(&self, dir: &Place, name: Name<'_>) -> Result<Place> {
        let _reading = self.overlay.reading();
        self.overlay.stack.step(dir, name, Look::default())
    }

    fn judge(&mut self, found: &Found) -> Result<Option<Changed>> {
        self.dirs.truncate(found.depth);
        let Some(dir) = self.dirs.pop() else { return Ok(None) };
        let name = found.entry.name.as_name();
        let glance = self.glance(found, &dir)?;
        let (change, entered) = match found.entry.kind {
            Kind::Whiteout => (self.deleted(&found.path, &dir, name)?, None),
            _ if glance.is_some() => (glance, None),
            _ => self.changed(&found.path, &dir, self.look(&dir.place, name)?, name)?,
        };
        self.dirs.push(dir);
        self.dirs.extend(entered);
        Ok(change)
    }

    /// Judges a file of the upper by what its name tells, without opening anything: `None` where more has to be looked at.
    /// A new file, and one of another length or time, need no more.
    fn glance(&self, found: &Found, dir: &Dir) -> Result<Option<Changed>> {
        if found.entry.kind != Kind::File {
            return Ok(None);
        }
        let _reading = self.overlay.reading();
        let name = found.entry.name.as_name();
        let Some(mine) = self.facts_at(dir.place.hits.iter().take(1), name)?.filter(is_whole_file) else {
            return Ok(None);
        };
        let (what, before, metadata) = match self.facts_at(dir.below.hits.iter(), name)? {
            None => (What::Added, None, false),
            Some(theirs) if theirs.stat.kind == Kind::Whiteout => (What::Added, None, false),
            Some(theirs) if is_whole_file(&theirs) => match compare::files_differ(&mine, &theirs) {
                Some(differs) => (What::Modified, Some(Kind::File), differs.metadata),
                None => return Ok(None),
            },
            Some(_) => return Ok(None),
        };
        Ok(Some(Changed { path: found.path.clone(), what, before, now: Some(mine.stat), metadata }))
    }

    /// Returns what the topmost of some directories says about a name.
    fn facts_at<'a>(&self, dirs: impl Iterator<Item = &'a Hit>, name: Name<'_>) -> Result<Option<Facts>> {
        let mut facts = dirs.map(|hit| self.overlay.stack.layers[hit.layer].facts_at(&hit.node, name));
        facts.find(|facts| !matches!(facts, Ok(None))).unwrap_or(Ok(None))
    }

    /// Goes down into a directory of the upper without telling of it.
    fn enter(&mut self, name: Name<'_>) -> Result<()> {
        let Some(dir) = self.dirs.last() else { return Ok(()) };
        let inner = dir.inner(name, self.look(&dir.place, name)?);
        self.dirs.push(inner);
        Ok(())
    }

    /// Judges a whiteout: one that hides nothing is no change, nor is the one that a rename left.
    fn deleted(&mut self, path: &VPath, dir: &Dir, name: Name<'_>) -> Result<Option<Changed>> {
        let Some(before) = self.look(&dir.below, name)?.kind() else { return Ok(None) };
        if before == Kind::Dir && self.is_moved(dir, name)? {
            return Ok(None);
        }
        Ok(Some(Changed { path: path.clone(), what: What::Deleted, before: Some(before), now: None, metadata: false }))
    }

    fn is_moved(&mut self, dir: &Dir, name: Name<'_>) -> Result<bool> {
        let Some(from) = dir.origin.as_ref().map(|origin| origin.join(name)) else { return Ok(false) };
        if self.moved.is_none() {
            self.moved = Some(self.overlay.moves(false)?.moved);
        }
        Ok(self.moved.as_ref().is_some_and(|moved| moved.get(&from).is_some()))
    }

    /// Judges an object of the upper, and returns it to be entered when it is a directory.
    fn changed(&self, path: &VPath, dir: &Dir, place: Place, name: Name<'_>) -> Result<(Option<Changed>, Option<Dir>)> {
        let stack = &self.overlay.stack;
        let Some(hit) = place.top() else { return Ok((None, None)) };
        let mine = stack.layers[hit.layer].facts(&hit.node)?;
        let now = mine.stat;
        let inner = dir.inner(name, place);
        let from = inner.moved_from(dir, name);
        // What the upper's directory merges with under its own name is what the lowers show there.
        let merged = now.kind == Kind::Dir && mine.marks.redirect.is_none() && !inner.below.hits.is_empty();
        let below = if merged { inner.below.clone() } else { self.look(&dir.below, name)? };
        let under = if from.is_some() { &inner.below } else { &below };
        let differs = stack.differs(&inner.place, &mine, under)?;
        let what = match from {
            Some(from) => Some(What::Renamed { from: from.clone() }),
            None => self.what(&inner, &now, &below, &differs)?,
        };
        let (before, metadata) = (below.kind(), differs.metadata);
        let change = what.map(|what| Changed { path: path.clone(), what, before, now: Some(now), metadata });
        Ok((change, (now.kind == Kind::Dir).then_some(inner)))
    }

    fn what(&self, inner: &Dir, now: &Stat, below: &Place, differs: &Difference) -> Result<Option<What>> {
        let hides = now.kind == Kind::Dir && inner.below.hits.is_empty();
        Ok(match below.kind() {
            None => Some(What::Added),
            Some(kind) if kind != now.kind => Some(What::TypeChanged),
            _ if hides && self.shows_entries(below)? => Some(What::Opaque),
            _ if differs.content => Some(What::Modified),
            _ => differs.metadata.then_some(What::Metadata),
        })
    }

    fn shows_entries(&self, dir: &Place) -> Result<bool> {
        let _reading = self.overlay.reading();
        Ok(!self.overlay.stack.list(dir, None, 1, Default::default())?.is_empty())
    }
}

fn is_whole_file(facts: &Facts) -> bool {
    facts.stat.kind == Kind::File && !facts.marks.metacopy
}

impl Iterator for Changes {
    type Item = Result<Changed>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.descent = None;
        }
        item
    }
}
