//! Which objects the kernel knows, by number and by name.
//!
//! The kernel speaks of a directory's number and a name; the engine of paths. The table follows every change of a name,
//! whoever makes it, so that a number goes on meaning the same object: renamed with all that is beneath it, copied up,
//! or without any name while someone has it open.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
};

use fuser::BackingId;
use ovl_core::{
    Kind, Name, NameBuf, VPath,
    overlay::{Deed, Event, Object},
};

use super::notices::Notice;

/// The number of the root, which the kernel dictates.
pub(super) const ROOT: u64 = 1;
/// Numbers from here on are given to objects whose own would be another's.
const SPARE: u64 = 0xffff << 48;
/// An object's own number within its layer must be below this to be told.
const OWN: u64 = 1 << 48;

/// What is found at a name, as far as the table needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) kind: Kind,
    pub(super) layer: usize,
    /// The object's number within its layer.
    pub(super) number: u64,
    /// Whether the layer is the upper, in which two names of one object are two links.
    pub(super) upper: bool,
    /// Whether the object has more names than one.
    pub(super) links: bool,
}

/// What open files of one object share.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Counts how often other content has taken the place of what is open.
    version: AtomicU64,
    /// Pieces written since it was last closed: none, one, of which others were told, or more.
    written: AtomicU8,
}

const ONE: u8 = 1;
const MORE: u8 = 2;

impl State {
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Counts a piece that was written. Returns whether it is the first, of which others are to be told.
    pub(super) fn wrote(&self) -> bool {
        let first = self.written.compare_exchange(0, ONE, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !first {
            self.written.store(MORE, Ordering::Release);
        }
        first
    }

    /// Begins to count anew. Returns whether there were pieces of which nobody has been told.
    pub(super) fn wrote_more(&self) -> bool {
        self.written.swap(0, Ordering::AcqRel) == MORE
    }
}

/// An object that the kernel knows.
#[derive(Debug, Default)]
struct Known {
    /// Directories and names by which it is reached; none: it has no name any more.
    names: Vec<(u64, NameBuf)>,
    children: HashMap<NameBuf, u64>,
    /// How many of our answers the kernel has not forgotten.
    lookups: u64,
    opens: u64,
    /// `None` while only something beneath it is known.
    kind: Option<Kind>,
    /// Its number in the upper, for the links of one file.
    upper: Option<u64>,
    /// The object itself, while it is open or when it was open as its name went.
    held: Option<Object>,
    /// The file that the kernel itself uses in its place, as long as it is open.
    backing: Option<Arc<BackingId>>,
    /// Whether the kernel's cache may hold what the file no longer does.
    stale: bool,
    state: Arc<State>,
}

/// What the first half of an exchange has put aside.
#[derive(Debug)]
struct Displaced {
    generation: u64,
    from: VPath,
    to: VPath,
    ino: Option<u64>,
}

/// The objects that the kernel knows.
#[derive(Debug)]
pub(super) struct Table {
    known: HashMap<u64, Known>,
    /// The files of the upper, by their number there.
    links: HashMap<u64, u64>,
    /// The numbers that copied-up files had before: they keep them when the kernel comes back to them.
    kept: HashMap<u64, u64>,
    spare: u64,
    displaced: Option<Displaced>,
}

impl Table {
    pub(super) fn new() -> Self {
        let root = Known { lookups: 1, kind: Some(Kind::Dir), ..Known::default() };
        let (links, kept) = Default::default();
        Self { known: HashMap::from([(ROOT, root)]), links, kept, spare: SPARE, displaced: None }
    }

    /// Returns the path of an object, or `None` when no name leads to it any more.
    pub(super) fn path(&self, ino: u64) -> Option<VPath> {
        let (mut names, mut at) = (Vec::new(), ino);
        while at != ROOT {
            let (dir, name) = self.known.get(&at)?.names.first()?;
            names.push(name);
            at = *dir;
        }
        let mut path = VPath::root();
        names.iter().rev().for_each(|name| path.push(name.as_name()));
        Some(path)
    }

    pub(super) fn parent(&self, ino: u64) -> u64 {
        self.known.get(&ino).and_then(|known| known.names.first()).map_or(ROOT, |(dir, _)| *dir)
    }

    pub(super) fn child(&self, dir: u64, name: Name<'_>) -> Option<u64> {
        self.known.get(&dir)?.children.get(name.as_bytes()).copied()
    }

    pub(super) fn is_dir(&self, ino: u64) -> bool {
        self.known.get(&ino).is_some_and(|known| known.kind == Some(Kind::Dir))
    }

    pub(super) fn is_open(&self, ino: u64) -> bool {
        self.known.get(&ino).is_some_and(|known| known.opens > 0)
    }

    pub(super) fn state(&self, ino: u64) -> Arc<State> {
        self.known.get(&ino).map(|known| known.state.clone()).unwrap_or_default()
    }

    pub(super) fn held(&self, ino: u64) -> Option<Object> {
        self.known.get(&ino)?.held.clone()
    }

    pub(super) fn hold(&mut self, ino: u64, object: Object) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.held = Some(object);
        }
    }

    /// Notes that an object without a name has come up: whoever has it open looks for its content anew.
    pub(super) fn renewed(&mut self, ino: u64, object: Object) {
        self.renew(ino);
        self.hold(ino, object);
    }

    /// Counts one more who has an object open. Returns whether it is the first.
    pub(super) fn open(&mut self, ino: u64) -> bool {
        let Some(known) = self.known.get_mut(&ino) else { return false };
        known.opens += 1;
        known.opens == 1
    }

    /// Notes which file the kernel uses itself.
    pub(super) fn back(&mut self, ino: u64, backing: Arc<BackingId>) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.backing = Some(backing);
        }
    }

    pub(super) fn backing(&self, ino: u64) -> Option<Arc<BackingId>> {
        self.known.get(&ino)?.backing.clone()
    }

    /// Notes whether the kernel's cache can be trusted from now on. Returns whether it could not.
    pub(super) fn set_stale(&mut self, ino: u64, stale: bool) -> bool {
        self.known.get_mut(&ino).is_some_and(|known| std::mem::replace(&mut known.stale, stale))
    }

    pub(super) fn close(&mut self, ino: u64) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.opens = known.opens.saturating_sub(1);
            if known.opens == 0 {
                known.backing = None;
            }
            if known.opens == 0 && !known.names.is_empty() {
                known.held = None;
            }
        }
        self.drop_unused(ino);
    }

    /// Returns the number of what is seen at a name, and counts an answer that tells the kernel of it.
    pub(super) fn learn(&mut self, dir: u64, name: Name<'_>, sight: Sight) -> u64 {
        let ino = match self.child(dir, name) {
            Some(ino) if self.is_kind(ino, sight.kind) => ino,
            _ => {
                self.detach(dir, name);
                let ino = self.linked(sight).unwrap_or_else(|| self.number(sight));
                self.attach(ino, dir, name);
                ino
            }
        };
        self.identify(ino, sight);
        if let Some(known) = self.known.get_mut(&ino) {
            known.lookups += 1;
        }
        ino
    }

    /// Notes that an object has one more name, and counts an answer that tells the kernel of it.
    pub(super) fn link(&mut self, ino: u64, dir: u64, name: Name<'_>, sight: Sight) {
        self.detach(dir, name);
        self.attach(ino, dir, name);
        self.identify(ino, sight);
        if let Some(known) = self.known.get_mut(&ino) {
            known.lookups += 1;
        }
    }

    pub(super) fn forget(&mut self, ino: u64, answers: u64) {
        if let Some(known) = self.known.get_mut(&ino) {
            known.lookups = known.lookups.saturating_sub(answers);
        }
        self.drop_unused(ino);
    }

    /// Returns the number that a name in a directory has or would get.
    pub(super) fn number_at(&self, dir: u64, name: Name<'_>, sight: Sight) -> u64 {
        self.child(dir, name).or_else(|| self.linked(sight)).unwrap_or_else(|| self.own_number(sight))
    }

    /// Returns the paths of files whose number in the upper is not known, to be identified.
    pub(super) fn unidentified(&self, link: u64) -> Vec<(u64, VPath)> {
        if self.links.contains_key(&link) {
            return Vec::new();
        }
        let files = self.known.iter().filter(|(_, known)| known.upper.is_none() && known.kind != Some(Kind::Dir));
        files.filter_map(|(ino, _)| Some((*ino, self.path(*ino)?))).collect()
    }

    /// Notes which object of the upper an inode is.
    pub(super) fn identify(&mut self, ino: u64, sight: Sight) {
        let Some(known) = self.known.get_mut(&ino) else { return };
        known.kind = Some(sight.kind);
        if !sight.upper || sight.kind == Kind::Dir {
            return;
        }
        let before = known.upper.replace(sight.number);
        self.unlink(before.filter(|before| *before != sight.number), ino);
        self.links.insert(sight.number, ino);
        if own_number(sight) != Some(ino) {
            self.kept.insert(sight.number, ino);
        }
    }

    /// Follows a change; `own` says that the kernel asked us for it and knows. Returns what it must be told.
    pub(super) fn follow(&mut self, event: &Event, own: bool) -> Vec<Notice> {
        match &event.deed {
            Deed::Created if own => Vec::new(),
            Deed::Removed if own => self.vacate(&event.path, own),
            Deed::Created | Deed::Removed | Deed::Whiteout | Deed::Discarded | Deed::Restored => {
                self.vacate(&event.path, own)
            }
            Deed::Moved(from) => self.follow_move(from, event, own),
            Deed::Modified if own => Vec::new(),
            Deed::Modified => self.replaced(&event.path),
            Deed::CopiedUp(_) => self.altered(&event.path),
            Deed::Metadata if own => Vec::new(),
            Deed::Metadata => self.find(&event.path).map(Notice::Attributes).into_iter().collect(),
            Deed::Opaque => Vec::new(),
        }
    }

    /// Takes its name from what stands at a path.
    fn vacate(&mut self, path: &VPath, own: bool) -> Vec<Notice> {
        let Some((dir, name)) = self.place(path) else {
            return if path.is_root() { self.vacate_all() } else { Vec::new() };
        };
        let gone = self.detach(dir, name.as_name());
        if own { Vec::new() } else { told(dir, name, gone) }
    }

    fn vacate_all(&mut self) -> Vec<Notice> {
        let names: Vec<NameBuf> =
            self.known.get(&ROOT).into_iter().flat_map(|root| root.children.keys().cloned()).collect();
        let mut notices = vec![Notice::Attributes(ROOT)];
        for name in names {
            let gone = self.detach(ROOT, name.as_name());
            notices.extend(told(ROOT, name, gone));
        }
        notices
    }

    /// Other content, or another object, has taken a place.
    fn replaced(&mut self, path: &VPath) -> Vec<Notice> {
        match self.find(path) {
            Some(ROOT) => vec![Notice::Attributes(ROOT)],
            // The kernel goes on with the file that it uses: another one is another object.
            Some(ino) if self.backing(ino).is_some() => self.vacate(path, false),
            Some(ino) if !self.is_dir(ino) => {
                self.renew(ino);
                let name = self.place(path).map(|(dir, name)| Notice::Name(dir, name));
                name.into_iter().chain([Notice::Content(ino)]).collect()
            }
            _ => self.vacate(path, false),
        }
    }

    fn altered(&mut self, path: &VPath) -> Vec<Notice> {
        let Some(ino) = self.find(path) else { return Vec::new() };
        if !self.is_dir(ino) {
            self.renew(ino);
        }
        vec![Notice::Attributes(ino)]
    }

    /// Lets open files look for their content anew.
    fn renew(&mut self, ino: u64) {
        let Some(known) = self.known.get_mut(&ino) else { return };
        known.state.version.fetch_add(1, Ordering::AcqRel);
        let before = known.upper.take();
        self.unlink(before, ino);
    }

    /// Forgets that a file of the upper is this one.
    fn unlink(&mut self, number: Option<u64>, ino: u64) {
        if let Some(number) = number.filter(|number| self.links.get(number) == Some(&ino)) {
            self.links.remove(&number);
        }
    }

    fn follow_move(&mut self, from: &VPath, event: &Event, own: bool) -> Vec<Notice> {
        let to = &event.path;
        let aside = self.displaced.take();
        let aside =
            aside.filter(|aside| aside.generation == event.generation && aside.to == *from && aside.from == *to);
        // The second half of an exchange: what stood at `from` before the first half comes to `to`.
        let moved = match aside {
            Some(aside) => aside.ino,
            None => {
                let ino = self.take(to);
                self.displaced =
                    Some(Displaced { generation: event.generation, from: from.clone(), to: to.clone(), ino });
                self.take(from)
            }
        };
        if let (Some(ino), Some((dir, name))) = (moved, self.make_place(to)) {
            self.attach(ino, dir, name.as_name());
        }
        if own {
            return Vec::new();
        }
        let name = |path: &VPath| self.place(path).map(|(dir, name)| Notice::Name(dir, name));
        name(from).into_iter().chain(name(to)).chain(moved.map(Notice::Attributes)).collect()
    }

    /// Takes what stands at a path off its name, but keeps it.
    fn take(&mut self, path: &VPath) -> Option<u64> {
        let (dir, name) = self.place(path)?;
        let ino = self.known.get_mut(&dir)?.children.remove(name.as_bytes())?;
        self.known.get_mut(&ino)?.names.retain(|(at, called)| *at != dir || *called != name);
        Some(ino)
    }

    fn find(&self, path: &VPath) -> Option<u64> {
        path.names().try_fold(ROOT, |dir, name| self.child(dir, name))
    }

    fn place(&self, path: &VPath) -> Option<(u64, NameBuf)> {
        let (dir, name) = path.split()?;
        Some((self.find(&dir)?, name.to_owned()))
    }

    /// Returns a place, where the directories above become known.
    fn make_place(&mut self, path: &VPath) -> Option<(u64, NameBuf)> {
        let (dirs, name) = path.split()?;
        let mut at = ROOT;
        for name in dirs.names() {
            at = match self.child(at, name) {
                Some(dir) => dir,
                None => {
                    let dir = self.spare_number();
                    self.attach(dir, at, name);
                    dir
                }
            };
        }
        Some((at, name.to_owned()))
    }

    fn attach(&mut self, ino: u64, dir: u64, name: Name<'_>) {
        self.known.entry(ino).or_default().names.push((dir, name.to_owned()));
        self.known.entry(dir).or_default().children.insert(name.to_owned(), ino);
    }

    fn detach(&mut self, dir: u64, name: Name<'_>) -> Option<u64> {
        let ino = self.known.get_mut(&dir)?.children.remove(name.as_bytes())?;
        if let Some(known) = self.known.get_mut(&ino) {
            known.names.retain(|(at, called)| *at != dir || called.as_name() != name);
        }
        self.drop_unused(ino);
        self.drop_unused(dir);
        Some(ino)
    }

    /// Lets go of an object that nothing needs any more, and of the directories that only it kept.
    fn drop_unused(&mut self, ino: u64) {
        let unused = |known: &Known| known.lookups == 0 && known.opens == 0 && known.children.is_empty();
        if ino == ROOT || !self.known.get(&ino).is_some_and(unused) {
            return;
        }
        let Some(gone) = self.known.remove(&ino) else { return };
        self.unlink(gone.upper, ino);
        for (dir, name) in gone.names {
            if let Some(known) = self.known.get_mut(&dir) {
                known.children.remove(name.as_bytes());
            }
            self.drop_unused(dir);
        }
    }

    fn is_kind(&self, ino: u64, kind: Kind) -> bool {
        self.known.get(&ino).is_some_and(|known| known.kind.is_none_or(|known| known == kind))
    }

    /// Returns the inode that has another name of what is seen. With one name it is none but one that is open without a
    /// name: of any other the upper has given the number anew.
    fn linked(&self, sight: Sight) -> Option<u64> {
        let ino = *self.links.get(&sight.number).filter(|_| sight.upper && sight.kind != Kind::Dir)?;
        let nameless = self.known.get(&ino).is_some_and(|known| known.names.is_empty() && known.opens > 0);
        (self.is_kind(ino, sight.kind) && (sight.links || nameless)).then_some(ino)
    }

    /// Returns a number for an object that the kernel does not know: its own in its layer, where that is free.
    fn number(&mut self, sight: Sight) -> u64 {
        let own = self.own_number(sight);
        if self.known.contains_key(&own) { self.spare_number() } else { own }
    }

    fn own_number(&self, sight: Sight) -> u64 {
        let kept = self.kept.get(&sight.number).filter(|_| sight.upper && sight.kind != Kind::Dir);
        kept.copied().or_else(|| own_number(sight)).unwrap_or(self.spare)
    }

    fn spare_number(&mut self) -> u64 {
        self.spare += 1;
        self.spare
    }
}

fn own_number(sight: Sight) -> Option<u64> {
    (sight.number < OWN).then_some(((sight.layer as u64 + 1) << 48) | sight.number)
}

fn told(dir: u64, name: NameBuf, gone: Option<u64>) -> Vec<Notice> {
    [Notice::Name(dir, name)].into_iter().chain(gone.map(Notice::Attributes)).collect()
}

#[cfg(test)]
mod tests;
