//! Why a path looks as it does: what every layer holds there, which one shows, and what hides the rest.

use crate::{
    Kind, Marks, Opaque, Result, VPath,
    overlay::resolve::{Hidden, Hit, How, Look, Place, Stack},
};

/// The lookup of one path, layer by layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The path; no symbolic link is followed.
    pub path: VPath,
    /// The layer whose object shows, if any does.
    pub shown: Option<usize>,
    /// What each layer says, topmost first: one line a layer.
    pub layers: Vec<Verdict>,
}

/// What one layer says about the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The layer's index, 0 on top.
    pub layer: usize,
    /// What it holds there; `None` for nothing.
    pub found: Option<Kind>,
    /// Content bytes of a file there.
    pub size: Option<u64>,
    /// What becomes of it.
    pub fate: Fate,
    /// Whether a directory there is opaque.
    pub opaque: bool,
    /// The redirect that leads the layers below elsewhere.
    pub redirect: Option<Box<[u8]>>,
}

/// What becomes of a layer's object in the merged tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The layer says nothing about the path.
    Absent,
    /// It is what shows.
    Shows,
    /// It is a directory that adds its names to the one above.
    Merges,
    /// It gives the content for the metadata above it (semantics Y01).
    GivesContent,
    /// It is a whiteout that hides what lies below.
    Hides,
    /// It does not show.
    Hidden {
        /// The layer that hides it.
        by: usize,
        /// Where the hiding object stands: the path itself or an ancestor.
        at: VPath,
        /// What hides it.
        reason: Reason,
    },
}

/// What hides an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A whiteout above it.
    Whiteout,
    /// An opaque directory above it.
    Opaque,
    /// Another object above it: a non-directory, or a directory over a file.
    Covered,
}

impl Stack {
    pub(crate) fn why(&self, path: &VPath) -> Result<Why> {
        self.explain(&self.wide(path)?, path.clone())
    }

    /// Looks a path up together with what does not show.
    pub(super) fn wide(&self, path: &VPath) -> Result<Place> {
        let mut place = self.wide_root()?;
        for (index, name) in path.names().enumerate() {
            let look = Look { wide: Some(index + 1), ..Look::default() };
            place = self.step(&place, name, look).map_err(|e| e.or_at(path))?;
        }
        Ok(place)
    }

    /// Tells what becomes of all that such a lookup has found.
    pub(super) fn explain(&self, place: &Place, path: VPath) -> Result<Why> {
        let mut place = place.clone();
        if let Ok((layer, node)) = self.data(&place) {
            place.hits.push(Hit { layer, node, marks: Marks::default(), hidden: None });
        }
        let shown = place.top().map(|hit| hit.layer);
        let layers = (0..self.layers.len()).map(|layer| self.verdict(layer, &place, &path)).collect::<Result<_>>()?;
        Ok(Why { path, shown, layers })
    }

    /// Returns the root together with the layers that an opaque lower root hides.
    fn wide_root(&self) -> Result<Place> {
        let mut place = self.root()?;
        let hidden = place.hits.last().map(|hit| Hidden { by: hit.layer, depth: 0, how: How::Opaque });
        for layer in place.hits.len()..self.shown {
            place.hits.push(Hit { layer, node: self.layers[layer].root(), marks: Marks::default(), hidden });
        }
        Ok(place)
    }

    fn verdict(&self, layer: usize, place: &Place, path: &VPath) -> Result<Verdict> {
        let Some(hit) = place.hits.iter().find(|hit| hit.layer == layer) else {
            let fate = Fate::Absent;
            return Ok(Verdict { layer, found: None, size: None, fate, opaque: false, redirect: None });
        };
        let is_file = hit.node.kind == Kind::File;
        let stat = is_file.then(|| self.layers[layer].stat(&hit.node)).transpose()?;
        Ok(Verdict {
            layer,
            found: Some(hit.node.kind),
            size: stat.map(|stat| stat.size),
            fate: fate(hit, place, path),
            opaque: hit.marks.opaque == Opaque::Yes,
            redirect: hit.marks.redirect.clone(),
        })
    }
}

fn fate(hit: &Hit, place: &Place, path: &VPath) -> Fate {
    match hit.hidden {
        Some(hidden) if hidden.by == hit.layer => Fate::Hides,
        Some(hidden) => Fate::Hidden { by: hidden.by, at: ancestor(path, hidden.depth), reason: hidden.how.into() },
        None if place.top().is_some_and(|top| top.layer == hit.layer) => Fate::Shows,
        None if hit.node.kind == Kind::Dir => Fate::Merges,
        None => Fate::GivesContent,
    }
}

fn ancestor(path: &VPath, depth: usize) -> VPath {
    let mut ancestor = VPath::root();
    path.names().take(depth).for_each(|name| ancestor.push(name));
    ancestor
}

impl From<How> for Reason {
    fn from(how: How) -> Self {
        match how {
            How::Whiteout => Self::Whiteout,
            How::Opaque => Self::Opaque,
            How::Above => Self::Covered,
        }
    }
}
