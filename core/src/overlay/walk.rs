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
    pub(super) fn new(overlay: Arc<Overlay>, place: Place, path: VPath, options: WalkOptions) -> Self {
        Self { overlay, options, frames: vec![Frame::new(place, path)] }
    }

    fn advance(&mut self) -> Result<Option<(VPath, Shown)>> {
        while let Some(frame) = self.frames.last_mut() {
            let Some(shown) = frame.next(&self.overlay, self.options.detail)? else {
                self.frames.pop();
                continue;
            };
            let path = frame.path.join(shown.name.as_name());
            if shown.kind == Kind::Dir && self.frames.len() < self.options.depth {
                self.descend(&shown, path.clone())?;
            }
            return Ok(Some((path, shown)));
        }
        Ok(None)
    }

    fn descend(&mut self, shown: &Shown, path: VPath) -> Result<()> {
        let Some(frame) = self.frames.last() else { return Ok(()) };
        let look = Look { only: Some(&shown.layers), ..Look::default() };
        let place = {
            let _reading = self.overlay.reading();
            self.overlay.stack.step(&frame.place, shown.name.as_name(), look).map_err(|e| e.or_at(&path))?
        };
        self.frames.push(Frame::new(place, path));
        Ok(())
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
        let page = overlay.stack.list(&self.place, after, PAGE, detail)?;
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
