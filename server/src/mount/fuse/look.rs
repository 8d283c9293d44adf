//! Looking: names, attributes, links, extended attributes, room.

use fuser::FileAttr;
use ovl_core::{Error, ErrorKind, Name, Result, Stat, VPath, Xattr, overlay::Follow};
use rustix::fs::StatVfs;

use super::{attr::attr, tree::Tree};

impl Tree {
    /// Returns what a name in a directory leads to, `None` when that is nothing.
    pub(super) fn look_up(&self, dir: u64, name: Name<'_>) -> Result<Option<FileAttr>> {
        let _still = self.still();
        self.find(dir, name, &self.at(dir, name)?)
    }

    /// The same at its path, while that stays what it is.
    pub(super) fn find(&self, dir: u64, name: Name<'_>, path: &VPath) -> Result<Option<FileAttr>> {
        loop {
            let before = self.overlay.generation();
            let shown = match self.overlay.stat(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                shown => shown?,
            };
            let found = shown.map(|(stat, layer)| self.known(dir, name, &stat, layer, before));
            // There was a change meanwhile, and what was seen may be gone.
            if found == Some(None) || (found.is_none() && self.overlay.generation() != before) {
                continue;
            }
            return Ok(found.flatten());
        }
    }

    /// Returns the attributes of an inode, with a name or without.
    pub(super) fn attributes(&self, ino: u64) -> Result<FileAttr> {
        let _still = self.still();
        let path = self.table().path(ino);
        let stat = match path {
            Some(path) => {
                let gone = || Error::new(ErrorKind::NotFound, "look up").at(&path);
                self.overlay.stat(&path)?.ok_or_else(gone)?.0
            }
            None => self.nameless_stat(ino)?,
        };
        Ok(attr(ino, &stat))
    }

    /// Returns the same of what has no name: links in a lower do not count for it.
    fn nameless_stat(&self, ino: u64) -> Result<Stat> {
        let (object, upper) = (self.nameless(ino)?, self.overlay.has_upper());
        let stat = self.overlay.stat_of(&object)?;
        let nlink = if upper && object.layer() == Some(0) { stat.nlink } else { 0 };
        Ok(Stat { nlink, ..stat })
    }

    pub(super) fn target(&self, ino: u64) -> Result<Vec<u8>> {
        let _still = self.still();
        self.overlay.target(&self.path(ino)?)
    }

    /// Returns the value of an extended attribute. Refuses one that is not there (`NoAttribute`).
    pub(super) fn attribute(&self, ino: u64, name: &[u8]) -> Result<Box<[u8]>> {
        let found = self.extended(ino)?.into_iter().find(|known| *known.name == *name);
        found.map(|known| known.value).ok_or_else(|| Error::new(ErrorKind::NoAttribute, "read attribute"))
    }

    /// Returns the names of extended attributes, each with a NUL behind it; only root sees `trusted.` ones (semantics
    /// X07).
    pub(super) fn attribute_names(&self, ino: u64, uid: u32) -> Result<Vec<u8>> {
        let names = self.extended(ino)?.into_iter().map(|known| known.name);
        let shown = names.filter(|name| uid == 0 || !name.starts_with(b"trusted."));
        Ok(shown.flat_map(|name| name.into_iter().chain([0])).collect())
    }

    fn extended(&self, ino: u64) -> Result<Vec<Xattr>> {
        let _still = self.still();
        let path = self.table().path(ino);
        match path {
            Some(path) => self.overlay.xattrs(&path, Follow::No),
            None => self.overlay.xattrs_of(&self.nameless(ino)?),
        }
    }

    /// Returns how much room there is on the upper's file system, `None` where it has none.
    pub(super) fn room(&self) -> Result<Option<StatVfs>> {
        let told = self.room.as_ref().map(rustix::fs::fstatvfs).transpose();
        told.map_err(|error| std::io::Error::from(error).into())
    }
}
