//! Looking up: what the stack shows at a name, and at a path.
//!
//! [`Stack::step`] is the one loop over layers; listing, opening, removing and *why* all start from it.
//! It follows semantics 2.2 and 2.10 as the kernel does, redirects included.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    Error, ErrorKind, Kind, Layer, Marks, Name, NameBuf, Node, Opaque, Result, Stat, VPath, WritableLayer,
    layer::Links,
    overlay::{
        LAYERS_MAX,
        list::Shown,
        redirect::{Sought, parts},
    },
};

/// The most symbolic links that one lookup follows.
const HOPS: usize = 40;

/// The layers of an overlay, topmost first.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) layers: Vec<Arc<dyn Layer>>,
    /// How many of them have names that show; those behind give content alone.
    pub(crate) shown: usize,
    /// Whether the first layer is an upper.
    pub(crate) has_upper: bool,
    /// The upper, unless it is only looked at.
    pub(crate) upper: Option<Arc<dyn WritableLayer>>,
}

/// What one layer holds at a place of the merged tree.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) layer: usize,
    pub(crate) node: Node,
    pub(crate) marks: Marks,
    /// Why it does not show; only a wide lookup returns such.
    pub(crate) hidden: Option<Hidden>,
}

/// Why something in a layer does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// The layer that hides it.
    pub(crate) by: usize,
    /// How many names deep the hiding object stands.
    pub(crate) depth: usize,
    pub(crate) how: How,
}

/// What hides: a whiteout, an opaque directory, or any other object above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Whiteout,
    Opaque,
    Above,
}

/// What a lookup found: the hits topmost first (none: nothing shows), and the layer whose whiteout ended it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) hits: Vec<Hit>,
    pub(crate) whiteout: Option<usize>,
    /// Where a layer that gives content alone may have that of the last hit, which is metadata alone (semantics Y04).
    pub(crate) data: Option<Box<[u8]>>,
}

impl Place {
    /// Returns the hit that gives the place its kind and attributes.
    pub(crate) fn top(&self) -> Option<&Hit> {
        self.visible().next()
    }

    pub(crate) fn visible(&self) -> impl Iterator<Item = &Hit> {
        self.hits.iter().filter(|hit| hit.hidden.is_none())
    }

    pub(crate) fn kind(&self) -> Option<Kind> {
        self.top().map(|hit| hit.node.kind)
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind() == Some(Kind::Dir)
    }

    /// Returns whether several layers contribute to a directory.
    pub(crate) fn is_merged(&self) -> bool {
        self.is_dir() && self.visible().count() > 1
    }

    /// Returns the attributes as they show: a merged directory has one link (semantics R06).
    pub(super) fn shown(&self, stat: Stat) -> Stat {
        if self.is_merged() { Stat { nlink: 1, ..stat } } else { stat }
    }
}

/// A resolved path: the directories from the root to the parent, and what stands at the end.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    /// The path, with those symbolic links resolved that were followed.
    pub(crate) path: VPath,
    /// The places of the ancestors, root first; empty for the root itself.
    pub(crate) dirs: Vec<Place>,
    pub(crate) place: Place,
}

impl Spot {
    /// Returns the topmost hit, or says that nothing stands there.
    pub(crate) fn found(&self, op: &'static str) -> Result<&Hit> {
        self.place.top().ok_or_else(|| Error::new(ErrorKind::NotFound, op).at(&self.path))
    }

    fn down(&mut self, name: Name<'_>, place: Place) {
        self.path.push(name);
        self.dirs.push(std::mem::replace(&mut self.place, place));
    }

    fn up(&mut self) {
        if let Some(parent) = self.dirs.pop() {
            self.path.pop();
            self.place = parent;
        }
    }
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// The link itself is meant.
    No,
    /// What it leads to is meant.
    Yes,
}

enum Part<'a> {
    Down(Name<'a>),
    /// Down a name of a link's target.
    Linked(NameBuf),
    Up,
}

/// Where the next layer's directory comes from: the parent's hits, or, behind an absolute redirect, the roots.
enum Source<'a> {
    Parent(std::slice::Iter<'a, Hit>),
    Roots(std::ops::Range<usize>),
}

/// How a step looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look<'a> {
    /// Return what does not show too, each with the reason; `depth` is the number of names down to it.
    pub(crate) wide: Option<usize>,
    /// The line of a listing that tells which layers hold the name; the others are not asked.
    pub(crate) only: Option<&'a Shown>,
    /// A directory is expected, and will be listed.
    pub(crate) to_list: bool,
}

impl Stack {
    /// Stacks `lowers`, below an `upper` that is only looked at if there is one. Refuses none and too many (M07), and
    /// layers that give content alone anywhere but behind all others.
    pub(crate) fn new(upper: Option<Arc<dyn Layer>>, lowers: Vec<Arc<dyn Layer>>) -> Result<Self> {
        let (has_upper, too_many) = (upper.is_some(), lowers.len() >= LAYERS_MAX);
        let layers: Vec<Arc<dyn Layer>> = upper.into_iter().chain(lowers).collect();
        if layers.is_empty() || too_many {
            let reason = format!("{} layers; an overlay has at least one and at most 500 lowers", layers.len());
            return Err(Error::new(ErrorKind::InvalidInput, "stack layers").because(reason));
        }
        let shown = shown(&layers, has_upper)?;
        Ok(Self { layers, shown, has_upper, upper: None })
    }

    pub(crate) fn root(&self) -> Result<Place> {
        let mut hits: Vec<Hit> = Vec::with_capacity(self.layers.len());
        for (layer, tree) in self.layers[..self.shown].iter().enumerate() {
            let node = tree.root();
            // The upper root's marks have no effect, a lower root's opaque mark does (L07, L23).
            let marks = if self.is_upper(layer) { Marks::default() } else { self.marks(layer, &node)? };
            let ends = marks.opaque == Opaque::Yes;
            hits.push(Hit { layer, node, marks, hidden: None });
            if ends {
                break;
            }
        }
        Ok(Place { hits, ..Place::default() })
    }

    /// Returns what the layers say about `name` in a directory, topmost first.
    pub(crate) fn step(&self, dir: &Place, name: Name<'_>, look: Look<'_>) -> Result<Place> {
        let mut sought = Sought::new(name);
        let mut place = Place::default();
        let mut source = Source::Parent(dir.hits.iter());
        let mut hiding = None;
        while let Some((layer, base, above)) = self.next_base(&mut source) {
            if look.only.is_some_and(|only| !sought.is_redirected() && !only.is_in(layer)) {
                continue;
            }
            if let Some(hidden) = above.or(hiding) {
                let found = self.layers[layer].lookup(&base, name)?;
                let hit = |node| Hit { layer, node, marks: Marks::default(), hidden: Some(hidden) };
                place.hits.extend(found.map(hit));
                continue;
            }
            let was_absolute = sought.is_absolute();
            if let Some((node, marks)) = self.look_in(layer, base, &mut sought, look.to_list)? {
                place.take(layer, node, marks, look.wide);
            }
            if sought.is_absolute() && !was_absolute {
                source = Source::Roots(layer + 1..self.shown);
            }
            if sought.stopped() {
                let Some(depth) = look.wide else { break };
                hiding = Some(place.hiding(layer, depth));
            }
        }
        // The kernel looks there for what a lower lacks alone, not for what the upper lacks.
        if place.visible().last().is_some_and(|hit| !self.is_upper(hit.layer)) {
            place.data = sought.data();
        }
        self.heed_links(&mut place, look.wide)?;
        Ok(place)
    }

    /// Puts what the upper has for a lower's hard link above it: another of its names was changed (semantics H02).
    fn heed_links(&self, place: &mut Place, wide: Option<usize>) -> Result<()> {
        let Some(links) = self.links() else { return Ok(()) };
        let Some(below) = place.top().filter(|hit| hit.layer > 0 && hit.node.kind != Kind::Dir) else { return Ok(()) };
        let Some(node) = links.changed(&*self.layers[below.layer], &below.node)? else { return Ok(()) };
        let marks = self.marks(0, &node)?;
        match wide {
            // It gives the attributes, what is below the content.
            _ if marks.metacopy => {}
            None => place.hits.clear(),
            Some(depth) => {
                let hidden = Hidden { by: 0, depth, how: How::Above };
                place.hits.iter_mut().for_each(|hit| hit.hidden = hit.hidden.or(Some(hidden)));
            }
        }
        place.hits.insert(0, Hit { layer: 0, node, marks, hidden: None });
        Ok(())
    }

    /// Returns what the upper knows of hard links in the lowers.
    pub(super) fn links(&self) -> Option<&dyn Links> {
        self.layers.first().filter(|_| self.has_upper).and_then(|upper| upper.links())
    }

    fn next_base(&self, source: &mut Source<'_>) -> Option<(usize, Node, Option<Hidden>)> {
        match source {
            Source::Parent(hits) => {
                let hit = hits.find(|hit| hit.node.kind == Kind::Dir)?;
                Some((hit.layer, hit.node.clone(), hit.hidden))
            }
            Source::Roots(layers) => layers.next().map(|layer| (layer, self.layers[layer].root(), None)),
        }
    }

    /// Looks for what is sought in one layer, from `base`: one name, or behind an absolute redirect a path.
    fn look_in(
        &self,
        layer: usize,
        base: Node,
        sought: &mut Sought<'_>,
        to_list: bool,
    ) -> Result<Option<(Node, Marks)>> {
        let (what, tree) = (sought.what(), &self.layers[layer]);
        let (mut node, mut marks) = (base, Marks::default());
        for part in parts(&what) {
            let part = part?;
            let enters = to_list && part.is_last();
            let found = if enters { tree.enter(&node, part.name)? } else { tree.lookup(&node, part.name)? };
            let Some(found) = found else { return Ok(None) };
            if !sought.takes(found.kind, part.is_last()) {
                sought.stop();
                return Ok((part.is_last() && found.kind == Kind::Whiteout).then_some((found, marks)));
            }
            marks = self.marks(layer, &found)?;
            sought.note(found.kind, &marks, &part).map_err(|e| e.in_layer(&tree.caps().name))?;
            node = found;
        }
        Ok(Some((node, marks)))
    }

    /// Returns the marks; those in the lowest layer cannot matter (L23).
    pub(super) fn marks(&self, layer: usize, node: &Node) -> Result<Marks> {
        let lowest = layer + 1 == self.layers.len() && !self.is_upper(layer);
        if lowest { Ok(Marks::default()) } else { self.layers[layer].marks(node) }
    }

    pub(crate) fn is_upper(&self, layer: usize) -> bool {
        layer == 0 && self.has_upper
    }

    /// Resolves a path within the merged tree, following symbolic links on the way (at most 40, else `Loop`), from
    /// `start`: the root, a directory above, or the one that is there.
    pub(crate) fn resolve(&self, start: Spot, path: &VPath, follow: Follow, op: &'static str) -> Result<Spot> {
        self.walk(start, path, follow, op).map_err(|e| e.or_at(path))
    }

    fn walk(&self, start: Spot, path: &VPath, follow: Follow, op: &'static str) -> Result<Spot> {
        let mut parts: VecDeque<Part<'_>> = path.names().skip(start.dirs.len()).map(Part::Down).collect();
        let mut spot = start;
        let mut hops = 0;
        while let Some(part) = parts.pop_front() {
            spot.must_be_dir(op)?;
            let name = match &part {
                Part::Down(name) => *name,
                Part::Linked(name) => name.as_name(),
                Part::Up => {
                    spot.up();
                    continue;
                }
            };
            let found = self.step(&spot.place, name, Look::default())?;
            let Some(target) = self.link_target(&found, follow == Follow::Yes || !parts.is_empty())? else {
                spot.down(name, found);
                continue;
            };
            hops += 1;
            if hops > HOPS {
                return Err(Error::new(ErrorKind::Loop, op).at(path));
            }
            if target.starts_with(b"/") {
                spot = self.start()?;
            }
            prepend(&mut parts, &target)?;
        }
        Ok(spot)
    }

    pub(super) fn start(&self) -> Result<Spot> {
        Ok(Spot { path: VPath::root(), dirs: Vec::new(), place: self.root()? })
    }

    fn link_target(&self, place: &Place, wanted: bool) -> Result<Option<Vec<u8>>> {
        let link = place.top().filter(|hit| wanted && hit.node.kind == Kind::Symlink);
        link.map(|hit| self.layers[hit.layer].target(&hit.node)).transpose()
    }
}

impl Place {
    fn take(&mut self, layer: usize, node: Node, marks: Marks, wide: Option<usize>) {
        if node.kind != Kind::Whiteout {
            self.hits.push(Hit { layer, node, marks, hidden: None });
            return;
        }
        self.whiteout = Some(layer);
        if let Some(depth) = wide {
            let hidden = Some(Hidden { by: layer, depth, how: How::Whiteout });
            self.hits.push(Hit { layer, node, marks, hidden });
        }
    }

    /// Tells what hides the layers below `layer`, where the lookup ended.
    fn hiding(&self, layer: usize, depth: usize) -> Hidden {
        let opaque = self.hits.last().is_some_and(|hit| hit.layer == layer && hit.marks.opaque == Opaque::Yes);
        match (self.whiteout == Some(layer), opaque) {
            (true, _) => Hidden { by: layer, depth, how: How::Whiteout },
            (_, true) => Hidden { by: layer, depth, how: How::Opaque },
            _ => Hidden { by: self.top().map_or(layer, |hit| hit.layer), depth, how: How::Above },
        }
    }
}

impl Spot {
    fn must_be_dir(&self, op: &'static str) -> Result<()> {
        match self.place.kind() {
            Some(Kind::Dir) => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::NotADirectory, op).at(&self.path)),
            None => Err(Error::new(ErrorKind::NotFound, op).at(&self.path)),
        }
    }
}

/// Returns how many layers have names that show: those before the first that gives content alone. A lone layer shows,
/// whatever it is.
fn shown(layers: &[Arc<dyn Layer>], has_upper: bool) -> Result<usize> {
    let is_data = |layer: &Arc<dyn Layer>| layer.caps().data_only;
    let shown = layers.iter().position(is_data).filter(|_| layers.len() > 1).unwrap_or(layers.len());
    let refused = |why| Err(Error::new(ErrorKind::InvalidInput, "stack layers").because(why));
    if !layers[shown..].iter().all(is_data) {
        return refused("a layer that gives content alone stands above one that shows");
    }
    if shown < layers.len() && shown == usize::from(has_upper) {
        return refused("no lower shows, so none can say what the layers hold that give content alone");
    }
    Ok(shown)
}

/// Puts the parts of a link's target before those that are left.
fn prepend(parts: &mut VecDeque<Part<'_>>, target: &[u8]) -> Result<()> {
    for part in target.split(|b| *b == b'/').rev() {
        match part {
            b"" | b"." => {}
            b".." => parts.push_front(Part::Up),
            name => parts.push_front(Part::Linked(NameBuf::new(name)?)),
        }
    }
    Ok(())
}
