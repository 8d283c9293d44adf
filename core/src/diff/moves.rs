//! Renamed directories of an upper: where the lowers have them, where they are now, and the whiteouts left behind.

use crate::{
    Kind, Marks, Name, Node, Opaque, Result, VPath,
    descent::Descent,
    overlay::{Overlay, Stack},
    sorted::Sorted,
};

/// The renames with an end in a tree of the upper.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// From where the lowers have a directory to where it is now.
    pub(crate) moved: Sorted<VPath, VPath>,
    /// From where the lowers have something to the whiteout that hides it there.
    pub(crate) left: Sorted<VPath, VPath>,
}

/// Returns the path by which the lowers know a directory of the upper, given the one of its parent: `None` for one
/// that merges with nothing (semantics 2.10).
pub(crate) fn origin(parent: Option<&VPath>, name: Name<'_>, marks: &Marks) -> Option<VPath> {
    match marks.redirect.as_deref() {
        _ if marks.opaque == Opaque::Yes => None,
        Some([b'/', path @ ..]) => VPath::parse(path).ok(),
        Some(other) => Some(parent?.join(Name::new(other).ok()?)),
        None => Some(parent?.join(name)),
    }
}

impl Moves {
    /// Collects the renames that end beneath a directory of the upper, which the lowers know as `from`, and, with
    /// `whiteouts`, those that begin there.
    pub(crate) fn beneath(stack: &Stack, dir: Node, path: VPath, from: Option<VPath>, whiteouts: bool) -> Result<Self> {
        let upper = &stack.layers[0];
        let (mut moved, mut left) = (Vec::new(), Vec::new());
        let mut origins = vec![from];
        let mut descent = Descent::new(upper.clone(), dir, path, false);
        while let Some(found) = descent.advance()? {
            origins.truncate(found.depth);
            let parent = origins.last().and_then(Option::as_ref);
            let name = found.entry.name.as_name();
            if let Some(node) = &found.entered {
                let marks = upper.marks(node).map_err(|e| e.or_at(&found.path))?;
                let from = origin(parent, name, &marks);
                moved.extend(renamed(from.as_ref(), parent, &found.path, &marks));
                origins.push(from);
            } else if let (true, Kind::Whiteout, Some(parent)) = (whiteouts, found.entry.kind, parent) {
                left.push((parent.join(name), found.path));
            }
        }
        Ok(Self { moved: Sorted::of_any(moved), left: Sorted::of_any(left) })
    }

    /// Returns where a directory of the lowers is now.
    pub(crate) fn now(&self, from: &VPath) -> VPath {
        let (mut at, mut below) = (from.clone(), Vec::new());
        let mut now = loop {
            match (self.moved.get(&at), at.split()) {
                (Some(to), _) => break to.clone(),
                (None, None) => break at,
                (None, Some((parent, name))) => {
                    below.push(name.to_owned());
                    at = parent;
                }
            }
        };
        below.iter().rev().for_each(|name| now.push(name.as_name()));
        now
    }
}

/// Returns from where to where a directory of the upper was renamed; a redirect that names its own place is no rename.
fn renamed(from: Option<&VPath>, parent: Option<&VPath>, path: &VPath, marks: &Marks) -> Option<(VPath, VPath)> {
    let from = from.filter(|_| marks.redirect.is_some())?;
    let stays = parent.zip(path.last()).is_some_and(|(parent, name)| parent.join(name) == *from);
    (!stays).then(|| (from.clone(), path.clone()))
}

impl Moves {
    /// Takes in a directory of the upper.
    pub(crate) fn note(&mut self, from: Option<&VPath>, parent: Option<&VPath>, path: &VPath, marks: &Marks) {
        if let Some((from, to)) = renamed(from, parent, path, marks) {
            self.moved.set(from, to);
        }
    }
}

impl Overlay {
    /// Collects all renames of the upper.
    pub(crate) fn moves(&self, whiteouts: bool) -> Result<Moves> {
        let root = self.stack.layers[0].root();
        Moves::beneath(&self.stack, root, VPath::root(), Some(VPath::root()), whiteouts)
    }
}
