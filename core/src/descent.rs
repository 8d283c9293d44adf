//! Walking one layer as it is: depth first, each directory's names in order, whiteouts among them.
//!
//! Memory is bounded by depth and page size. A directory that goes away meanwhile is skipped.

use std::sync::Arc;

use crate::{Entry, Kind, Layer, Name, NameBuf, Node, Result, VPath};

/// A walk beneath one directory of a layer.
pub(crate) struct Descent {
    layer: Arc<dyn Layer>,
    frames: Vec<Frame>,
    stats: bool,
}

/// One object on the way.
pub(crate) struct Found {
    pub(crate) path: VPath,
    /// How many names below the start it stands, 1 at least.
    pub(crate) depth: usize,
    /// The directory that holds it.
    pub(crate) dir: Node,
    pub(crate) entry: Entry,
    /// The object itself, when it is a directory: it is what the walk enters next.
    pub(crate) entered: Option<Node>,
}

struct Frame {
    dir: Node,
    path: VPath,
    page: std::vec::IntoIter<Entry>,
    size: usize,
    after: Option<NameBuf>,
    ended: bool,
}

// Pages grow, since a host reads the whole directory for each of them.
const FIRST_PAGE: usize = 4096;
const LAST_PAGE: usize = 64 * 1024;

impl Descent {
    /// Returns a walk beneath `dir`, which is called `path`; entries carry attributes when `stats` is set.
    pub(crate) fn new(layer: Arc<dyn Layer>, dir: Node, path: VPath, stats: bool) -> Self {
        Self { layer, frames: vec![Frame::new(dir, path)], stats }
    }

    /// Returns the next object; a directory's come right after it.
    pub(crate) fn advance(&mut self) -> Result<Option<Found>> {
        while let Some(frame) = self.frames.last_mut() {
            let Some(entry) = frame.next(&*self.layer, self.stats)? else {
                self.frames.pop();
                continue;
            };
            let path = frame.path.join(entry.name.as_name());
            let (dir, depth) = (frame.dir.clone(), self.frames.len());
            let entered = if entry.kind == Kind::Dir { self.enter(&dir, &entry, &path)? } else { None };
            if entry.kind != Kind::Dir || entered.is_some() {
                return Ok(Some(Found { path, depth, dir, entry, entered }));
            }
        }
        Ok(None)
    }

    fn enter(&mut self, dir: &Node, entry: &Entry, path: &VPath) -> Result<Option<Node>> {
        let node = self.layer.enter(dir, entry.name.as_name()).map_err(|e| e.or_at(path))?;
        let node = node.filter(|node| node.kind == Kind::Dir);
        self.frames.extend(node.clone().map(|node| Frame::new(node, path.clone())));
        Ok(node)
    }

    /// Goes on behind `name` in the directory where the walk is: into it, if it is a directory. Returns that.
    pub(crate) fn resume(&mut self, name: Name<'_>) -> Result<Option<Node>> {
        let Some(frame) = self.frames.last_mut() else { return Ok(None) };
        frame.after = Some(name.to_owned());
        let (dir, path) = (frame.dir.clone(), frame.path.join(name));
        let entry = Entry { name: name.to_owned(), kind: Kind::Dir, stat: None };
        self.enter(&dir, &entry, &path)
    }
}

impl Found {
    /// Returns the object, or `None` when it has gone meanwhile.
    pub(crate) fn node(&self, layer: &dyn Layer) -> Result<Option<Node>> {
        match &self.entered {
            Some(node) => Ok(Some(node.clone())),
            None => layer.lookup(&self.dir, self.entry.name.as_name()).map_err(|e| e.or_at(&self.path)),
        }
    }
}

impl Frame {
    fn new(dir: Node, path: VPath) -> Self {
        Self { dir, path, page: Vec::new().into_iter(), size: FIRST_PAGE, after: None, ended: false }
    }

    fn next(&mut self, layer: &dyn Layer, stats: bool) -> Result<Option<Entry>> {
        if self.page.len() == 0 && !self.ended {
            self.turn(layer, stats).map_err(|e| e.or_at(&self.path))?;
        }
        Ok(self.page.next())
    }

    fn turn(&mut self, layer: &dyn Layer, stats: bool) -> Result<()> {
        let after = self.after.as_ref().map(NameBuf::as_name);
        let page = layer.list(&self.dir, after, self.size, stats)?;
        self.ended = page.len() < self.size;
        self.size = (self.size * 4).min(LAST_PAGE);
        self.after = page.last().map(|entry| entry.name.clone()).or(self.after.take());
        self.page = page.into_iter();
        Ok(())
    }
}
