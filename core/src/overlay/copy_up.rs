//! Copy-up: bringing a lower object into the upper layer before it changes (semantics 2.6, 2.7).
//!
//! The copy is staged without a lock and placed only when it is whole. Parents come first, so that a crash
//! leaves a directory too many, never a file too few.

use crate::{
    Attrs, Error, ErrorKind, Facts, Kind, Marks, Name, New, Node, Result, Step, VPath, WritableLayer,
    overlay::{Deed, Overlay, Place, Spot, Stack, resolve::Hit},
};

/// A copy that is whole but has no name yet.
pub(super) struct Copy {
    pub(super) node: Node,
    pub(super) bytes: u64,
}

impl Stack {
    /// Opens the content that shows at a place: behind metadata alone, the next lower's (semantics Y01), or that of a layer
    /// which has nothing else (Y04).
    pub(crate) fn content(&self, place: &Place) -> Result<std::sync::Arc<dyn crate::Blob>> {
        let Some(hit) = place.visible().last() else { return Err(Error::new(ErrorKind::NotFound, "open")) };
        let refuse = |kind| Err(Error::new(kind, "open").in_layer(&self.layers[hit.layer].caps().name));
        match hit.node.kind {
            Kind::File => {
                let (layer, node) = self.source(place)?;
                self.layers[layer].open(&node)
            }
            Kind::Dir => refuse(ErrorKind::IsADirectory),
            _ => refuse(ErrorKind::UnsupportedEntry),
        }
    }

    /// Returns the layer and the object that have the content of the file at a place.
    pub(crate) fn source(&self, place: &Place) -> Result<(usize, Node)> {
        let Some(hit) = place.visible().last() else { return Err(Error::new(ErrorKind::NotFound, "open")) };
        match self.is_metacopy(hit)? {
            true => self.data(place).map_err(|e| e.in_layer(&self.layers[hit.layer].caps().name)),
            false => Ok((hit.layer, hit.node.clone())),
        }
    }

    /// Returns whether an object holds metadata alone. The lowest layer's marks are not read before they are needed.
    fn is_metacopy(&self, hit: &Hit) -> Result<bool> {
        let lowest = hit.layer + 1 == self.layers.len() && !self.is_upper(hit.layer);
        Ok(hit.marks.metacopy || (lowest && self.layers[hit.layer].marks(&hit.node)?.metacopy))
    }
}

/// What becomes of a copy's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// It stays what it is.
    Kept,
    /// A client writes it: then no setuid bit and no capability stands on the inode (semantics P03, trust T10).
    Written,
}

impl Content {
    /// Returns whether the attributes of what is copied may reach the host's inode.
    pub(super) fn lets_pass(self, facts: &Facts) -> bool {
        facts.faithful && (self == Self::Kept || !facts.is_privileged())
    }
}

/// Returns whether the object must come up before its content or names change.
pub(super) fn needs_copy(stack: &Stack, place: &Place) -> bool {
    place.top().is_some_and(|hit| !stack.is_upper(hit.layer) || hit.marks.metacopy)
}

impl Overlay {
    pub(crate) fn upper(&self, op: &'static str) -> Result<&dyn WritableLayer> {
        let kind = if self.stack.has_upper { ErrorKind::ReadOnly } else { ErrorKind::NoUpper };
        self.stack.upper.as_deref().ok_or_else(|| Error::new(kind, op))
    }

    /// Stages a copy of what stands at `spot`, without a lock.
    pub(super) fn stage_copy(&self, spot: &Spot, then: Content, op: &'static str) -> Result<Copy> {
        let hit = spot.found(op)?;
        let node = self.stage_like(hit, then, !self.stack.is_upper(hit.layer))?;
        let mut bytes = 0;
        if hit.node.kind == Kind::File {
            let content = self.upper(op)?.open_mut(&node)?;
            bytes = content.copy_from(&*self.stack.content(&spot.place)?)?;
            content.sync()?;
            // Writing has moved the times on.
            let attrs = self.stack.layers[hit.layer].stat(&hit.node)?.attrs;
            self.set_times(&node, attrs)?;
        }
        Ok(Copy { node, bytes })
    }

    fn set_times(&self, node: &Node, attrs: Attrs) -> Result<()> {
        let change = crate::Change { atime: Some(attrs.atime), mtime: Some(attrs.mtime), ..Default::default() };
        self.upper("copy up")?.commit(&[Step::Set { node, change: &change }], attrs.mtime)
    }

    /// Stages an object with the attributes, target and extended attributes of another (semantics U01, U02).
    pub(super) fn stage_like(&self, hit: &Hit, then: Content, copied_up: bool) -> Result<Node> {
        let layer = &self.stack.layers[hit.layer];
        let facts = layer.facts(&hit.node)?;
        let stat = &facts.stat;
        let target = if stat.kind == Kind::Symlink { layer.target(&hit.node)? } else { Vec::new() };
        self.upper("copy up")?.stage(&New {
            kind: stat.kind,
            attrs: stat.attrs,
            rdev: stat.rdev,
            target: &target,
            xattrs: &facts.xattrs,
            marks: Marks::default(),
            copied_up,
            faithful: then.lets_pass(&facts),
        })
    }

    /// Brings up the missing ones of a spot's ancestors, top-down (semantics C10), and returns its parent in the
    /// upper.
    pub(super) fn parents_up(&self, spot: &mut Spot, op: &'static str) -> Result<Node> {
        let mut path = VPath::root();
        for (index, name) in spot.path.names().enumerate() {
            let (above, rest) = spot.dirs.split_at_mut(index);
            let Some(dir) = rest.first_mut() else { break };
            self.dir_up(above.last(), dir, &path, op).map_err(|e| e.or_at(&path))?;
            path.push(name);
        }
        match spot.dirs.last().and_then(Place::top) {
            Some(parent) => Ok(parent.node.clone()),
            None => Err(Error::new(ErrorKind::Busy, op).at(&spot.path).because("the root cannot be replaced")),
        }
    }

    /// Makes sure that a directory stands in the upper; its parent already does.
    fn dir_up(&self, parent: Option<&Place>, dir: &mut Place, path: &VPath, op: &'static str) -> Result<()> {
        let Some(top) = dir.top().filter(|hit| !self.stack.is_upper(hit.layer)) else { return Ok(()) };
        let (Some(parent), Some((_, name))) = (parent.and_then(Place::top), path.split()) else {
            return Err(Error::new(ErrorKind::NoUpper, op));
        };
        let node = self.stage_like(top, Content::Kept, true)?;
        self.place_copy(&node, &parent.node, name, path, 0)?;
        dir.hits.insert(0, Hit { layer: 0, node, marks: Marks::default(), hidden: None });
        Ok(())
    }

    /// Gives a whole copy its name; its directory keeps its times (semantics U04).
    pub(super) fn place_copy(&self, node: &Node, dir: &Node, name: Name<'_>, path: &VPath, bytes: u64) -> Result<()> {
        self.commit(&[Step::Place { node, dir, name, quiet: true }], crate::Time::default())?;
        self.tell(Deed::CopiedUp(bytes), path);
        Ok(())
    }

    /// Brings the object at `spot` up, under the writers' lock: a file's content has been staged before.
    pub(super) fn object_up(&self, spot: &mut Spot, copy: Option<Copy>, op: &'static str) -> Result<(Node, u64)> {
        let hit = spot.found(op)?;
        if !needs_copy(&self.stack, &spot.place) {
            return Ok((hit.node.clone(), 0));
        }
        let Copy { node, bytes } = match copy {
            Some(copy) => copy,
            None => self.stage_copy(spot, Content::Kept, op)?,
        };
        let dir = self.parents_up(spot, op)?;
        let path = spot.path.clone();
        let Some((_, name)) = path.split() else { return Err(Error::new(ErrorKind::NoUpper, op)) };
        self.place_copy(&node, &dir, name, &path, bytes)?;
        let hit = Hit { layer: 0, node: node.clone(), marks: Marks::default(), hidden: None };
        if spot.place.is_dir() {
            spot.place.hits.insert(0, hit);
        } else {
            spot.place.hits = vec![hit];
        }
        Ok((node, bytes))
    }
}
