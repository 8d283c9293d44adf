//! Open directories: a snapshot that is taken when reading begins (semantics R04).

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    sync::{Arc, Mutex, PoisonError},
};

use fuser::{FileAttr, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus};
use ovl_core::{
    Kind, Result, VPath,
    overlay::{Detail, Shown},
};

use super::{
    TTL,
    attr::{attr, directory, file_type},
    tree::Tree,
};
/// An open directory.
pub(super) struct Dir {
    ino: u64,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
}

/// What a directory showed at one moment.
struct Snapshot {
    path: Option<VPath>,
    lines: Vec<Shown>,
    /// Whether the attributes of the lines hold is told by comparing this.
    stamp: (u64, u64),
}

/// `.` and `..`, which the engine does not list.
const DOTS: u64 = 2;

impl Tree {
    pub(super) fn open_dir(&self, ino: u64) -> u64 {
        self.table().open(ino);
        self.dirs.add(Dir { ino, snapshot: Mutex::default() })
    }

    pub(super) fn close_dir(&self, handle: u64) {
        if let Some(dir) = self.dirs.remove(handle) {
            self.table().close(dir.ino);
        }
    }

    /// Makes what names a directory has durable.
    pub(super) fn sync_dir(&self, ino: u64) -> Result<()> {
        let _still = self.still();
        let object = self.overlay.object(&self.path(ino)?)?;
        self.overlay.sync(&object)
    }

    /// Fills in names and kinds from a place in the snapshot on.
    pub(super) fn read_dir(&self, handle: u64, from: u64, reply: &mut ReplyDirectory) -> Result<()> {
        let dir = self.dirs.get(handle)?;
        let snapshot = self.snapshot(&dir, from)?;
        for (place, ino, name) in self.dots(dir.ino, from) {
            if reply.add(INodeNo(ino), place, file_type(Kind::Dir), name) {
                return Ok(());
            }
        }
        for (place, line) in snapshot.from(from) {
            let (name, sight) = (line.name.as_name(), self.sight_of(line));
            let ino = sight.map_or(0, |sight| self.table().number_at(dir.ino, name, sight));
            if reply.add(INodeNo(ino), place, file_type(line.kind), OsStr::from_bytes(name.as_bytes())) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Fills in the same with attributes: each line is an answer as to a lookup.
    pub(super) fn read_dir_plus(&self, handle: u64, from: u64, reply: &mut ReplyDirectoryPlus) -> Result<()> {
        let _still = self.still();
        let dir = self.dirs.get(handle)?;
        let snapshot = self.snapshot(&dir, from)?;
        for (place, ino, name) in self.dots(dir.ino, from) {
            // The kernel takes number and kind of these alone.
            let here = attr(ino, &directory());
            if reply.add(INodeNo(ino), place, name, &TTL, &here, Generation(0)) {
                return Ok(());
            }
        }
        for (place, line) in snapshot.from(from) {
            let Some(found) = self.fresh(dir.ino, &snapshot, line)? else { continue };
            let name = OsStr::from_bytes(line.name.as_bytes());
            if reply.add(found.ino, place, name, &TTL, &found, Generation(0)) {
                self.table().forget(found.ino.0, 1);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Tells the kernel of what a line of a snapshot shows now: returns `None` when that is nothing.
    fn fresh(&self, ino: u64, snapshot: &Snapshot, line: &Shown) -> Result<Option<FileAttr>> {
        let name = line.name.as_name();
        if let Some(stat) = line.stat.filter(|_| snapshot.stamp == self.stamp())
            && let Some(found) = self.known(ino, name, &stat, line.layer, snapshot.stamp.0)
        {
            return Ok(Some(found));
        }
        match &snapshot.path {
            Some(dir) => self.find(ino, name, &dir.join(name)),
            None => Ok(None),
        }
    }

    /// Returns the snapshot of an open directory: a new one when it is read from its beginning.
    fn snapshot(&self, dir: &Dir, from: u64) -> Result<Arc<Snapshot>> {
        let mut snapshot = dir.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = snapshot.as_ref().filter(|_| from > 0) {
            return Ok(taken.clone());
        }
        let (stamp, path) = (self.stamp(), self.table().path(dir.ino));
        let detail = Detail { stats: true, ..Detail::default() };
        let lines = path.as_ref().map(|path| self.overlay.list(path, None, usize::MAX, detail)).transpose()?;
        let taken = Arc::new(Snapshot { path, lines: lines.unwrap_or_default(), stamp });
        *snapshot = Some(taken.clone());
        Ok(taken)
    }

    fn dots(&self, ino: u64, from: u64) -> impl Iterator<Item = (u64, u64, &'static str)> + use<> {
        let above = self.table().parent(ino);
        [(1, ino, "."), (2, above, "..")].into_iter().filter(move |(place, ..)| *place > from)
    }
}

impl Snapshot {
    /// Returns the lines behind a place, each with its own.
    fn from(&self, place: u64) -> impl Iterator<Item = (u64, &Shown)> {
        let skip = usize::try_from(place.saturating_sub(DOTS)).unwrap_or(usize::MAX);
        self.lines.iter().enumerate().skip(skip).map(|(index, line)| (index as u64 + DOTS + 1, line))
    }
}
