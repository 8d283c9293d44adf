//! Building the tree in one pass over the central directory.
//!
//! Most archives list a directory's entries one after the other, so the last directory is kept at hand. Others
//! are found by their whole path, or made one level after the other, by parent and name. Only directories are
//! hashed: two files of one name meet when the children are sorted.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

use super::{
    attrs,
    index::{Index, ROOT, Record},
    names::{part_refusal, refusal},
    report::Report,
    spans::{self, Span, pair},
    times::Ticks,
};
use crate::{DEPTH_MAX, Device, Error, ErrorKind, Kind, PATH_MAX, Result};

/// A short directory can imply 255 levels an entry. So many records are free, and so many more for each entry (trust
/// T14: memory stays in proportion to the archive).
const FREE: usize = 65_536;
const PER_ENTRY: usize = 4;

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
    /// How many entries were added.
    added: usize,
    /// Every directory, by a hash of its parent and its name; one whose hash is taken has the next free number.
    directories: HashMap<u64, u32>,
    hash: RandomState,
    /// The directories that entries were put in, by path. Together they are no longer than the names.
    homes: HashMap<Box<[u8]>, Home>,
    /// The path of the directory that the entry before was put in, and the directory.
    last: (Vec<u8>, Home),
}

/// A directory whose path was checked.
#[derive(Clone, Copy)]
struct Home {
    id: u32,
    levels: usize,
}

impl Builder {
    /// Starts with an empty root, and with room for `expected` entries and the directories that they commonly imply.
    /// More than `limit` of them all are refused (`TooLarge`).
    pub(super) fn new(limit: usize, expected: usize) -> Self {
        let mut index = Index { records: Vec::with_capacity(1 + expected + expected / 16), ..Index::default() };
        index.records.push(implied(ROOT));
        let root = Home { id: ROOT, levels: 0 };
        Self {
            index,
            report: Report::default(),
            limit,
            added: 0,
            directories: HashMap::new(),
            hash: RandomState::new(),
            homes: HashMap::from([(Box::default(), root)]),
            last: (Vec::new(), root),
        }
    }

    /// Adds an entry and returns its record; `None` when it was left out and reported.
    pub(super) fn add(&mut self, entry: Entry<'_>) -> Result<Option<u32>> {
        self.added += 1;
        let is_dir = attrs::kind(entry.record.mode) == Kind::Dir;
        let path = strip_dots(entry.path);
        let trimmed = if is_dir { path.strip_suffix(b"/").unwrap_or(path) } else { path };
        if is_dir && trimmed.is_empty() && path.len() < entry.path.len() {
            return self.root(entry).map(Some);
        }
        let (dir, leaf) = split(trimmed);
        let home = self.home(dir);
        if let Some(reason) = path_refusal(trimmed, leaf, home) {
            self.report.leave_out(entry.raw, reason);
            return Ok(None);
        }
        let parent = match home {
            Some(home) => home.id,
            None => self.settle(dir)?,
        };
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

    /// Gives every listed record its room among sorted spans that end before `end`.
    pub(super) fn set_rooms(&mut self, spans: &[Span], end: u64) {
        let listed = self.index.records.iter().enumerate().filter(|(_, record)| record.listed);
        let mut starts: Vec<u128> = listed.map(|(id, record)| pair(record.local, id as u64)).collect();
        spans::sort_pairs(&mut starts);
        let mut rooms = spans::rooms(spans, end);
        for start in starts {
            let room = rooms.find(|(of, _)| *of == (start >> 64) as u64).map_or(0, |(_, room)| room);
            self.set_room(start as u32, room);
        }
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

    /// Returns the directory at `path` if an entry was put there before.
    fn home(&mut self, path: &[u8]) -> Option<Home> {
        if path != self.last.0 {
            let home = *self.homes.get(path)?;
            self.enter(path, home);
        }
        Some(self.last.1)
    }

    fn enter(&mut self, path: &[u8], home: Home) {
        self.last.0.clear();
        self.last.0.extend_from_slice(path);
        self.last.1 = home;
    }

    /// Returns the directory at `path`, which was checked and is not the root, and makes what is missing of it.
    fn settle(&mut self, path: &[u8]) -> Result<u32> {
        let mut home = Home { id: ROOT, levels: 0 };
        for part in path.split(|b| *b == b'/') {
            home = Home { id: self.subdirectory(home.id, part)?, levels: home.levels + 1 };
        }
        self.homes.insert(path.into(), home);
        self.enter(path, home);
        Ok(home.id)
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
        if self.index.records.len() > self.limit.min(FREE + PER_ENTRY * self.added) {
            return Err(too_large("it holds or implies more directories and entries than are allowed"));
        }
        let id = self.index.records.len() as u32;
        let name_at = self.keep_name(name)?;
        self.index.records.push(Record { name_at, name_len: name.len() as u8, ..implied(parent) });
        Ok(id)
    }

    fn keep_name(&mut self, name: &[u8]) -> Result<u32> {
        let at = u32::try_from(self.index.names.len());
        let at = at.map_err(|_| too_large("its names are longer than 4 GiB"))?;
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
    /// It stays a function of its own, as the one that takes an entry does.
    #[inline(never)]
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

fn too_large(reason: &'static str) -> Error {
    Error::new(ErrorKind::TooLarge, "read archive").because(reason)
}

/// Returns why `path` cannot be shown, or `None` if it can. In a known directory only the last part is new.
fn path_refusal(path: &[u8], leaf: &[u8], home: Option<Home>) -> Option<&'static str> {
    let fits = |home: Home| home.levels < DEPTH_MAX && path.len() <= PATH_MAX && !path.starts_with(b"/");
    if home.is_some_and(fits) { part_refusal(leaf) } else { refusal(path) }
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
fn keep_last<T: Copy>(table: &mut Vec<T>, id: impl Fn(&T) -> u32) {
    if !table.is_sorted_by(|one, other| id(one) < id(other)) {
        let mut order: Vec<u128> =
            (0..).zip(table.iter()).map(|(at, row): (u64, _)| pair(id(row).into(), !at)).collect();
        spans::sort_pairs(&mut order);
        order.dedup_by_key(|pair| *pair >> 64);
        *table = order.iter().map(|pair| table[!(*pair as u64) as usize]).collect();
    }
    table.shrink_to_fit();
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}
