//! Directories on the way to what was looked up last, so that the next lookup beneath them need not start from the root.
//!
//! What we change ourselves is heeded: a step that changes what a name of the upper leads to, or a directory's marks,
//! takes away all that was found by way of it. What others change beneath us is not seen: a directory that they have
//! renamed, removed or made anew shows as it was until [`Overlay::forget_dirs`]. So it is off unless a front asks for it
//! and forgets in time.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    Name, Node, Step, VPath,
    overlay::{Overlay, Place, Spot},
};

/// What is remembered, and how much may be.
#[derive(Debug, Default)]
pub(super) struct Dirs {
    known: Mutex<Known>,
    /// Counts what was done to the upper, whether it shows or not.
    commits: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    spots: HashMap<VPath, Spot>,
    /// The nodes in them, each of which may hold a descriptor, and the most that there may be.
    nodes: usize,
    most: usize,
}

impl Overlay {
    /// Remembers directories, as many as have `nodes` objects of the layers in them and above them; 0 turns it off.
    pub fn remember_dirs(&self, nodes: usize) {
        let mut known = self.dirs.lock();
        known.clear();
        known.most = nodes;
    }

    /// Looks for all directories anew from now on.
    pub fn forget_dirs(&self) {
        self.dirs.lock().clear();
    }
}

impl Dirs {
    /// Returns the nearest directory that is remembered: at a path, or above it.
    pub(super) fn nearest(&self, path: &VPath) -> Option<Spot> {
        let known = self.lock();
        let mut dir = path.clone();
        while !known.spots.is_empty() && !dir.is_root() {
            if let Some(spot) = known.spots.get(&dir) {
                return Some(spot.clone());
            }
            dir.pop();
        }
        None
    }

    /// Returns whether what stands at a path is remembered.
    pub(super) fn has(&self, path: &VPath) -> bool {
        self.lock().spots.contains_key(path)
    }

    /// Returns what stands at a path, if it is a directory that is remembered.
    pub(super) fn place(&self, path: &VPath) -> Option<Place> {
        self.lock().spots.get(path).map(|spot| spot.place.clone())
    }

    /// Remembers the directory in which `path` was looked up, unless a symbolic link was on the way.
    pub(super) fn keep(&self, path: &VPath, found: &Spot) {
        let mut known = self.lock();
        let parent = path.split().map(|(dir, _)| dir).filter(|dir| !dir.is_root());
        let Some(dir) = parent.filter(|dir| known.most > 0 && found.path == *path && !known.spots.contains_key(dir))
        else {
            return;
        };
        let Some((place, above)) = found.dirs.split_last() else { return };
        let spot = Spot { path: dir.clone(), dirs: above.to_vec(), place: place.clone() };
        let nodes = spot.nodes();
        if known.nodes + nodes > known.most {
            known.clear();
        }
        known.nodes += nodes;
        known.spots.insert(dir, spot);
    }

    /// Returns a value that changes with the upper: what was looked up stands as long as it is the same.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Forgets what steps may have changed, all of it where some of them have failed.
    pub(super) fn heed(&self, steps: &[Step<'_>], all_done: bool) {
        self.commits.fetch_add(1, Ordering::AcqRel);
        let mut known = self.lock();
        if !all_done {
            known.clear();
        }
        if known.spots.is_empty() {
            return;
        }
        for step in steps {
            match *step {
                Step::Place { dir, name, .. } | Step::Link { dir, name, .. } | Step::Remove { dir, name, .. } => {
                    known.drop_if(|spot| spot.goes_by(dir, name));
                }
                Step::Move { dir, name, to_dir, to_name, .. } | Step::Exchange { dir, name, to_dir, to_name } => {
                    known.drop_if(|spot| spot.goes_by(dir, name) || spot.goes_by(to_dir, to_name));
                }
                Step::Set { node, change } if change.opaque || change.redirect.is_some() => {
                    known.drop_if(|spot| spot.places().any(|place| place.is_in_upper(node)));
                }
                Step::Set { .. } => {}
            }
        }
    }

    // It is whole before the lock is given back.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn clear(&mut self) {
        self.spots.clear();
        self.nodes = 0;
    }

    fn drop_if(&mut self, changed: impl Fn(&Spot) -> bool) {
        self.spots.retain(|_, spot| !changed(spot));
        self.nodes = self.spots.values().map(Spot::nodes).sum();
    }
}

impl Spot {
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.dirs.iter().chain([&self.place])
    }

    fn nodes(&self) -> usize {
        self.places().map(|place| place.hits.len()).sum()
    }

    /// Returns whether the way here goes by a name in a directory of the upper.
    fn goes_by(&self, dir: &Node, name: Name<'_>) -> bool {
        self.dirs.iter().zip(self.path.names()).any(|(place, next)| next == name && place.is_in_upper(dir))
    }
}

impl Place {
    /// Returns whether this is the upper's object here. Of another layer an equal number does no harm.
    fn is_in_upper(&self, node: &Node) -> bool {
        self.hits.first().is_some_and(|hit| hit.node.id == node.id)
    }
}
