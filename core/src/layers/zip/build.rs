//! Building the tree in one pass over the central directory.
//!
//! Most archives list a directory's entries one after the other, so the last directory is kept at hand; others
//! are found by a hash of parent and name. Only directories are hashed: two files of one name meet when the
//! children are sorted.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

use super::{
    attrs,
    index::{Index, ROOT, Record},
    names::{part_refusal, refusal},
    report::Report,
    times::Ticks,
};
use crate::{DEPTH_MAX, Device, Error, ErrorKind, Kind, PATH_MAX, Result};

/// An entry on its way into the tree.
pub(super) struct Entry<'a> {
    /// Its path, not yet checked; a directory's may end in `/`.
    pub(super) path: &'a [u8],
    /// Its name as the archive writes it.
    pub(super) raw: &'a [u8],
    /// All but place and name.
    pub(super) record: Record,
    pub(super) atime: Option<Ticks>,
    pub(super) device: Device,
}

/// A tree under construction.
pub(super) struct Builder {
    index: Index,
    pub(super) report: Report,
    /// How many records there may be beside the root.
    limit: usize,
    directories: HashMap<u64, u32>,
    hash: RandomState,
    /// The directory of the entry before: its path, its levels, its record.
    last: (Vec<u8>, usize, u32),
}

impl Builder {
    /// Starts with an empty root. More than `limit` entries and implied directories are refused (`TooLarge`).
    pub(super) fn new(limit: usize) -> Self {
        let mut index = Index::default();
        index.records.push(implied(ROOT));
        Self {
            index,
            report: Report::default(),
            limit,
            directories: HashMap::new(),
            hash: RandomState::new(),
            last: (Vec::new(), 0, ROOT),
        }
    }

    /// Adds an entry and returns its record; `None` when it was left out and reported.
    pub(super) fn add(&mut self, entry: Entry<'_>) -> Result<Option<u32>> {
        let is_dir = attrs::kind(entry.record.mode) == Kind::Dir;
        let path = strip_dots(entry.path);
        let trimmed = if is_dir { path.strip_suffix(b"/").unwrap_or(path) } else { path };
        if is_dir && trimmed.is_empty() && path.len() < entry.path.len() {
            return self.root(entry).map(Some);
        }
        let (dir, leaf) = split(trimmed);
        if let Some(reason) = self.refusal(trimmed, dir, leaf) {
            self.report.leave_out(entry.raw, reason);
            return Ok(None);
        }
        let parent = self.directory(dir)?;
        let id = if is_dir { self.subdirectory(parent, leaf)? } else { self.push(parent, leaf)? };
        if self.index.records[id as usize].listed {
            self.report.leave_out(entry.raw, "a later entry has the same name");
        }
        self.fill(id, entry, trimmed)?;
        Ok(Some(id))
    }

    /// Notes how much room there is between the end of a record's content and what follows.
    pub(super) fn set_room(&mut self, id: u32, room: u64) {
        self.index.records[id as usize].room = u16::try_from(room).unwrap_or(u16::MAX);
    }

    /// Returns what the archive lists, in its order.
    pub(super) fn listed(&mut self) -> impl Iterator<Item = &mut Record> {
        self.index.records.iter_mut().filter(|record| record.listed)
    }

    /// Sorts the children and returns the tree. Of two entries of one name the later stays, but a directory
    /// before all (trust T11).
    pub(super) fn finish(mut self) -> (Index, Report) {
        self.date_implied();
        self.gather_children();
        self.sort_children();
        let index = &mut self.index;
        keep_last(&mut index.atimes, |(id, _)| *id);
        keep_last(&mut index.devices, |(id, _)| *id);
        keep_last(&mut index.raw_names, |(id, ..)| *id);
        index.records.shrink_to_fit();
        index.names.shrink_to_fit();
        (self.index, self.report)
    }

    /// Takes `./` as a word about the root.
    fn root(&mut self, entry: Entry<'_>) -> Result<u32> {
        self.fill(ROOT, Entry { raw: b"", ..entry }, b"")?;
        Ok(ROOT)
    }

    fn fill(&mut self, id: u32, entry: Entry<'_>, path: &[u8]) -> Result<()> {
        let record = &mut self.index.records[id as usize];
        *record = Record {
            parent: record.parent,
            name_at: record.name_at,
            name_len: record.name_len,
            listed: true,
            ..entry.record
        };
        if let Some(atime) = entry.atime.filter(|atime| *atime != entry.record.mtime) {
            self.index.atimes.push((id, atime));
        }
        if entry.device != Device::default() {
            self.index.devices.push((id, entry.device));
        }
        if entry.raw != path && attrs::kind(entry.record.mode) != Kind::Dir {
            let len = entry.raw.len() as u16;
            let at = self.keep_name(entry.raw)?;
            self.index.raw_names.push((id, at, len));
        }
        Ok(())
    }

    /// Returns why `path` cannot be shown. In the directory of the entry before, only the last part is new.
    fn refusal(&self, path: &[u8], dir: &[u8], leaf: &[u8]) -> Option<&'static str> {
        let (last, levels, _) = &self.last;
        let known = dir == last && !path.starts_with(b"/") && path.len() <= PATH_MAX && *levels < DEPTH_MAX;
        if known { part_refusal(leaf) } else { refusal(path) }
    }

    /// Returns the directory at `path`, which was checked, and makes what is missing of it.
    fn directory(&mut self, path: &[u8]) -> Result<u32> {
        if path == self.last.0 {
            return Ok(self.last.2);
        }
        let (mut id, mut levels) = (ROOT, 0);
        for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
            id = self.subdirectory(id, part)?;
            levels += 1;
        }
        self.last.0.clear();
        self.last.0.extend_from_slice(path);
        (self.last.1, self.last.2) = (levels, id);
        Ok(id)
    }

    fn subdirectory(&mut self, parent: u32, name: &[u8]) -> Result<u32> {
        let mut key = self.hash.hash_one((parent, name));
        while let Some(id) = self.directories.get(&key) {
            let record = &self.index.records[*id as usize];
            if record.parent == parent && self.index.name(record) == name {
                return Ok(*id);
            }
            key = key.wrapping_add(1);
        }
        let id = self.push(parent, name)?;
        self.directories.insert(key, id);
        Ok(id)
    }

    fn push(&mut self, parent: u32, name: &[u8]) -> Result<u32> {
        if self.index.records.len() > self.limit {
            let reason = format!("more than {} entries and directories", self.limit);
            return Err(Error::new(ErrorKind::TooLarge, "read archive").because(reason));
        }
        let id = self.index.records.len() as u32;
        let name_at = self.keep_name(name)?;
        self.index.records.push(Record { name_at, name_len: name.len() as u8, ..implied(parent) });
        Ok(id)
    }

    fn keep_name(&mut self, name: &[u8]) -> Result<u32> {
        let at = u32::try_from(self.index.names.len());
        let at = at.map_err(|_| Error::new(ErrorKind::TooLarge, "read archive").because("4 GiB of names"))?;
        self.index.names.extend_from_slice(name);
        Ok(at)
    }

    /// Gives each implied directory the time of the newest thing directly in it; an empty root has 1970.
    fn date_implied(&mut self) {
        let records = &mut self.index.records;
        for id in (1..records.len()).rev() {
            let (mtime, parent) = (records[id].mtime, records[id].parent as usize);
            if !records[parent].listed {
                records[parent].mtime = records[parent].mtime.max(mtime);
            }
        }
    }

    fn gather_children(&mut self) {
        let Index { records, starts, children, .. } = &mut self.index;
        starts.resize(records.len() + 1, 0);
        for record in &records[1..] {
            starts[record.parent as usize + 1] += 1;
        }
        for id in 1..starts.len() {
            starts[id] += starts[id - 1];
        }
        children.resize(records.len() - 1, 0);
        let mut next = starts.clone();
        for (id, record) in records.iter().enumerate().skip(1) {
            let at = &mut next[record.parent as usize];
            children[*at as usize] = id as u32;
            *at += 1;
        }
    }

    /// Sorts each directory's children and closes the gaps that entries of one name leave.
    fn sort_children(&mut self) {
        let mut children = std::mem::take(&mut self.index.children);
        let (mut from, mut to) = (0, 0);
        for dir in 0..self.index.records.len() {
            let end = self.index.starts[dir + 1] as usize;
            let kept = self.sort_directory(&mut children[from..end]);
            children.copy_within(from..from + kept, to);
            (from, to) = (end, to + kept);
            self.index.starts[dir + 1] = to as u32;
        }
        children.truncate(to);
        self.index.children = children;
    }

    /// Sorts one directory's children and returns how many stay; those that a namesake displaces are reported.
    fn sort_directory(&mut self, children: &mut [u32]) -> usize {
        let index = &self.index;
        let name = |id: &u32| index.name(&index.records[*id as usize]);
        if children.is_sorted_by(|one, other| name(one) < name(other)) {
            return children.len();
        }
        children.sort_unstable_by(|one, other| name(one).cmp(name(other)).then(one.cmp(other)));
        let mut kept = 0;
        for at in 0..children.len() {
            if kept > 0 && self.same_name(children[kept - 1], children[at]) {
                children[kept - 1] = self.displace(children[kept - 1], children[at]);
            } else {
                children[kept] = children[at];
                kept += 1;
            }
        }
        kept
    }

    fn same_name(&self, one: u32, other: u32) -> bool {
        let records = &self.index.records;
        self.index.name(&records[one as usize]) == self.index.name(&records[other as usize])
    }

    /// Returns which of two namesakes stays, and reports the other.
    fn displace(&mut self, earlier: u32, later: u32) -> u32 {
        let is_dir = |id: u32| attrs::kind(self.index.records[id as usize].mode) == Kind::Dir;
        let (stays, goes, reason) = if is_dir(earlier) {
            (earlier, later, "a directory has the same name")
        } else if is_dir(later) {
            (later, earlier, "a directory has the same name")
        } else {
            (later, earlier, "a later entry has the same name")
        };
        self.report.leave_out(&self.index.path(goes), reason);
        stays
    }
}

fn implied(parent: u32) -> Record {
    Record { parent, mode: attrs::IMPLIED, ..Record::default() }
}

/// Drops `./` at the start, which says nothing.
fn strip_dots(mut path: &[u8]) -> &[u8] {
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    path
}

/// Sorts by record; where one was told of twice, the later stays.
fn keep_last<T>(table: &mut Vec<T>, id: impl Fn(&T) -> u32) {
    table.reverse();
    table.sort_by_key(&id);
    table.dedup_by_key(|row| id(row));
    table.shrink_to_fit();
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
