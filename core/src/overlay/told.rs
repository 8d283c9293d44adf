//! What is asked of names most often: attributes, told by name where no layer need hold the object for it.
//!
//! Only what ends a lookup is told so, and only where its inode says it all: a directory may be merged, and marks may lead
//! elsewhere, which the loop over layers knows ([`super::resolve`]).

use crate::{
    Error, ErrorKind, Facts, Kind, Marks, Result, Stat, VPath, Xattr,
    overlay::{Follow, Overlay, Place},
};

impl Overlay {
    /// Returns the attributes of what shows at a path, and the layer that gives them; `None` when nothing shows there. They
    /// are those of [`Overlay::entry`], without its validator. No symbolic link is followed at the end.
    pub fn stat(&self, path: &VPath) -> Result<Option<(Stat, usize)>> {
        if let Some(told) = self.told(path)? {
            return Ok(told.map(|(facts, layer)| (facts.stat, layer)));
        }
        let spot = self.resolve(path, Follow::No, "read")?;
        let Some(hit) = spot.place.top() else { return Ok(None) };
        Ok(Some((self.stat_shown(&spot, hit)?, hit.layer)))
    }

    /// Returns the extended attributes, sorted by name.
    pub fn xattrs(&self, path: &VPath, follow: Follow) -> Result<Vec<Xattr>> {
        let op = "read attributes";
        if follow == Follow::No
            && let Some(told) = self.told(path)?
        {
            return told.map(|(facts, _)| facts.xattrs).ok_or_else(|| Error::new(ErrorKind::NotFound, op).at(path));
        }
        let spot = self.resolve(path, follow, op)?;
        let hit = spot.found(op)?;
        self.stack.layers[hit.layer].xattrs(&hit.node).map_err(|e| e.or_at(path))
    }

    /// Returns what the layers tell of a name in a directory that is at hand, or `None` where a lookup must, or has.
    fn told(&self, path: &VPath) -> Result<Option<Option<(Facts, usize)>>> {
        let Some((dir, name)) = path.split() else { return Ok(None) };
        let _reading = self.reading();
        // For a hard link something else may stand.
        if self.dirs.has(path) || self.stack.links().is_some() {
            return Ok(None);
        }
        let dir = if dir.is_root() { Some(self.stack.root()?) } else { self.dirs.place(&dir) };
        for hit in dir.iter().flat_map(Place::visible) {
            match self.stack.layers[hit.layer].facts_at(&hit.node, name) {
                Ok(None) => {}
                Ok(Some(facts)) if facts.stat.kind == Kind::Whiteout => return Ok(Some(None)),
                Ok(Some(facts)) if facts.stat.kind != Kind::Dir && facts.marks == Marks::default() => {
                    return Ok(Some(Some((facts, hit.layer))));
                }
                // A lookup says what it is, or why it fails.
                _ => return Ok(None),
            }
        }
        Ok(dir.map(|_| None))
    }
}
