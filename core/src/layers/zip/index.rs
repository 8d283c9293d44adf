//! The tree of an archive: one arena of records, one of names, and each directory's children sorted by name.
//!
//! About 70 bytes an entry and its name, and no allocation for one: an archive may have millions.

use super::{
    attrs,
    times::{self, Ticks},
};
use crate::{Attrs, Device, Kind, Stat, Time};

/// The number of the root's record.
pub(super) const ROOT: u32 = 0;

/// One place in the tree: what the central directory says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Length of the content.
    pub(super) size: u64,
    /// Length of the stored bytes.
    pub(super) packed: u64,
    /// Where the local header stands, from the start of the archive proper.
    pub(super) local: u64,
    pub(super) mtime: Ticks,
    pub(super) parent: u32,
    pub(super) name_at: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) crc: u32,
    /// Unix mode with its type bits.
    pub(super) mode: u16,
    pub(super) method: u16,
    pub(super) flags: u16,
    /// How long the local header's extra fields can be before the content runs into what follows; 65,535 and
    /// more are 65,535.
    pub(super) room: u16,
    pub(super) name_len: u8,
    /// Whether the archive lists it: not so a directory that other entries imply.
    pub(super) listed: bool,
}

/// The finished tree.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) records: Vec<Record>,
    pub(super) names: Vec<u8>,
    /// Where each record's children begin in `children`; one more than there are records.
    pub(super) starts: Vec<u32>,
    pub(super) children: Vec<u32>,
    /// What few entries have, sorted by record: last access other than mtime, device number, the name as the
    /// archive writes it where it is not the path.
    pub(super) atimes: Vec<(u32, Ticks)>,
    pub(super) devices: Vec<(u32, Device)>,
    pub(super) raw_names: Vec<(u32, u32, u16)>,
}

impl Index {
    /// Returns a record by a layer node's number.
    pub(super) fn get(&self, id: u64) -> Option<&Record> {
        self.records.get(usize::try_from(id).ok()?)
    }

    /// Returns the record's name.
    pub(super) fn name(&self, record: &Record) -> &[u8] {
        &self.names[record.name_at as usize..][..record.name_len.into()]
    }

    /// Returns the children of a directory, sorted by name; of anything else, none.
    pub(super) fn children(&self, id: u32) -> &[u32] {
        &self.children[self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize]
    }

    /// Returns the child of `dir` with this name.
    pub(super) fn child(&self, dir: u32, name: &[u8]) -> Option<u32> {
        let children = self.children(dir);
        let at = children.binary_search_by(|id| self.name(&self.records[*id as usize]).cmp(name)).ok()?;
        Some(children[at])
    }

    /// Returns the children of `dir` whose names come after `after`.
    pub(super) fn children_after(&self, dir: u32, after: Option<&[u8]>) -> &[u32] {
        let children = self.children(dir);
        let Some(after) = after else { return children };
        &children[children.partition_point(|id| self.name(&self.records[*id as usize]) <= after)..]
    }

    /// Returns what stands there: a character device 0/0 is a whiteout, and in here only where that was asked for.
    pub(super) fn kind(&self, id: u32) -> Kind {
        match attrs::kind(self.records[id as usize].mode) {
            Kind::Char if self.device(id) == Device::default() => Kind::Whiteout,
            kind => kind,
        }
    }

    /// Returns the attributes.
    pub(super) fn stat(&self, id: u32) -> Stat {
        let record = &self.records[id as usize];
        let mtime = times::to_time(record.mtime);
        let atime = find(&self.atimes, id).map_or(mtime, times::to_time);
        let mode = u32::from(record.mode) & 0o7777;
        Stat {
            kind: self.kind(id),
            attrs: Attrs { mode, uid: record.uid, gid: record.gid, atime, mtime },
            size: record.size,
            ctime: Time::default(),
            rdev: self.device(id),
            ino: u64::from(id) + 1,
            nlink: 1,
        }
    }

    /// Returns whether the archive writes this record's name so.
    pub(super) fn is_written(&self, id: u32, name: &[u8]) -> bool {
        match self.raw_names.binary_search_by_key(&id, |(of, ..)| *of) {
            Ok(at) => {
                let (_, start, len) = self.raw_names[at];
                self.names[start as usize..][..len.into()] == *name
            }
            Err(_) => self.is_path(id, name),
        }
    }

    /// Returns the length of the name as the archive writes it.
    pub(super) fn written_len(&self, id: u32) -> usize {
        match self.raw_names.binary_search_by_key(&id, |(of, ..)| *of) {
            Ok(at) => self.raw_names[at].2.into(),
            Err(_) => self.path_len(id),
        }
    }

    /// Returns the path of a record.
    pub(super) fn path(&self, id: u32) -> Vec<u8> {
        let mut names: Vec<_> = self.upwards(id).map(|record| self.name(record)).collect();
        names.reverse();
        names.join(&b'/')
    }

    fn is_path(&self, id: u32, path: &[u8]) -> bool {
        let mut rest = path;
        for record in self.upwards(id) {
            let Some(above) = rest.strip_suffix(self.name(record)) else { return false };
            if record.parent == ROOT {
                return above.is_empty();
            }
            let Some(above) = above.strip_suffix(b"/") else { return false };
            rest = above;
        }
        false
    }

    fn path_len(&self, id: u32) -> usize {
        self.upwards(id).map(|record| usize::from(record.name_len) + 1).sum::<usize>().saturating_sub(1)
    }

    /// Returns the record and those above it, without the root.
    fn upwards(&self, id: u32) -> impl Iterator<Item = &Record> {
        let up = |id: &u32| Some(self.records[*id as usize].parent);
        std::iter::successors(Some(id), up).take_while(|id| *id != ROOT).map(|id| &self.records[id as usize])
    }

    fn device(&self, id: u32) -> Device {
        find(&self.devices, id).unwrap_or_default()
    }
}

fn find<T: Copy>(table: &[(u32, T)], id: u32) -> Option<T> {
    table.binary_search_by_key(&id, |(of, _)| *of).ok().map(|at| table[at].1)
}
