//! Walking a merged tree: depth first, each directory's names in order, parents before children.

use std::sync::Arc;

use crate::{
    Kind, NameBuf, Result, VPath,
    overlay::{
        Overlay,
        list::{Detail, Shown},
        resolve::{Look, Place},
    },
};

/// How a walk goes.
#[derive(Clone, Copy, Debug)]
pub struct WalkOptions {
    /// How many levels down; 1 is the directory alone.
    pub depth: usize,
    /// What each line tells.
    pub detail: Detail,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self { depth: usize::MAX, detail: Detail::default() }
    }
}

/// The lines of a tree beneath a directory, with their paths, as they are asked for.
///
/// Memory is bounded by depth and page size, not by the size of the tree. The walk ends at an error.
pub struct Walk {
    overlay: Arc<Overlay>,
    options: WalkOptions,
    frames: Vec<Frame>,
}

struct Frame {
    place: Place,
    path: VPath,
    page: std::vec::IntoIter<Shown>,
    after: Option<NameBuf>,
    ended: bool,
}

const PAGE: usize = 8192;

impl Walk {
    pub(crate) fn new(overlay: Arc<Overlay>, place: Place, path: VPath, options: WalkOptions) -> Self {
        Self { overlay, options, frames: vec![Frame::new(place, path)] }
    }

    fn advance(&mut self) -> Result<Option<(VPath, Shown)>> {
        let Some((path, mut shown)) = self.line()? else { return Ok(None) };
        if shown.kind == Kind::Dir {
            self.enter(&path, &mut shown)?;
        }
        Ok(Some((path, shown)))
    }

    /// Goes down into a directory unless that is too deep, and counts its links.
    fn enter(&mut self, path: &VPath, shown: &mut Shown) -> Result<()> {
        if self.frames.len() >= self.options.depth {
            let Some(frame) = self.frames.last() else { return Ok(()) };
            let _reading = self.overlay.reading();
            return self.overlay.stack.count_links(&frame.place, shown).map_err(|e| e.or_at(path));
        }
        let place = self.place(shown, path)?;
        if let Some(stat) = shown.stat.as_mut().filter(|_| place.is_merged()) {
            stat.nlink = 1;
        }
        if place.is_dir() {
            self.frames.push(Frame::new(place, path.clone()));
        }
        Ok(())
    }

    /// Returns the next line together with what stands there, which may have gone meanwhile.
    pub(crate) fn advance_to_place(&mut self) -> Result<Option<(VPath, Place)>> {
        let Some((path, shown)) = self.line()? else { return Ok(None) };
        let place = self.place(&shown, &path)?;
        if place.is_dir() && self.frames.len() < self.options.depth {
            self.frames.push(Frame::new(place.clone(), path.clone()));
        }
        Ok(Some((path, place)))
    }

    fn line(&mut self) -> Result<Option<(VPath, Shown)>> {
        while let Some(frame) = self.frames.last_mut() {
            let Some(shown) = frame.next(&self.overlay, self.options.detail)? else {
                self.frames.pop();
                continue;
            };
            return Ok(Some((frame.path.join(shown.name.as_name()), shown)));
        }
        Ok(None)
    }

    fn place(&self, shown: &Shown, path: &VPath) -> Result<Place> {
        let Some(frame) = self.frames.last() else { return Ok(Place::default()) };
        let look = Look { only: Some(shown), to_list: shown.kind == Kind::Dir, ..Look::default() };
        let _reading = self.overlay.reading();
        self.overlay.stack.step(&frame.place, shown.name.as_name(), look).map_err(|e| e.or_at(path))
    }
}

impl Frame {
    fn new(place: Place, path: VPath) -> Self {
        Self { place, path, page: Vec::new().into_iter(), after: None, ended: false }
    }

    fn next(&mut self, overlay: &Overlay, detail: Detail) -> Result<Option<Shown>> {
        if self.page.len() == 0 && !self.ended {
            self.turn(overlay, detail).map_err(|e| e.or_at(&self.path))?;
        }
        Ok(self.page.next())
    }

    fn turn(&mut self, overlay: &Overlay, detail: Detail) -> Result<()> {
        let after = self.after.as_ref().map(NameBuf::as_name);
        let _reading = overlay.reading();
        let page = overlay.stack.lines(&self.place, after, PAGE, detail)?;
        self.ended = page.len() < PAGE;
        self.after = page.last().map(|shown| shown.name.clone());
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<(VPath, Shown)>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            self.frames.clear();
        }
        item
    }
}
