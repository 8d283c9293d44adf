//! A directory in all layers at once: every name that any of them has there, hidden or not, and what becomes of it.

use crate::{
    Error, ErrorKind, Kind, Name, NameBuf, Result, VPath,
    overlay::{
        Overlay, Why,
        resolve::{Look, Stack},
    },
};

impl Overlay {
    /// Returns up to `max` names of a directory after `after`, in order, each with what every layer says about it;
    /// fewer mean the end. No symbolic link is followed.
    ///
    /// Refuses a path that is a directory in no layer (`NotADirectory`, or `NotFound` where there is nothing).
    pub fn xray(&self, path: &VPath, after: Option<Name<'_>>, max: usize) -> Result<Vec<Why>> {
        let _reading = self.reading();
        self.stack.xray(path, after, max).map_err(|e| e.or_at(path))
    }
}

impl Stack {
    fn xray(&self, path: &VPath, after: Option<Name<'_>>, max: usize) -> Result<Vec<Why>> {
        let place = self.wide(path)?;
        let dirs = || place.hits.iter().filter(|hit| hit.node.kind == Kind::Dir);
        if dirs().next().is_none() {
            let kind = if place.hits.is_empty() { ErrorKind::NotFound } else { ErrorKind::NotADirectory };
            return Err(Error::new(kind, "list"));
        }
        // The first `max` names of each layer hold the first `max` of all.
        let mut names: Vec<NameBuf> = Vec::new();
        for dir in dirs() {
            let entries = self.layers[dir.layer].list(&dir.node, after, max, false)?;
            names.extend(entries.into_iter().map(|entry| entry.name));
        }
        names.sort_unstable();
        names.dedup();
        let depth = path.names().count() + 1;
        let look = Look { wide: Some(depth), ..Look::default() };
        let row = |name: NameBuf| {
            let path = path.join(name.as_name());
            self.explain(&self.step(&place, name.as_name(), look)?, path)
        };
        names.into_iter().take(max).map(row).collect()
    }
}
