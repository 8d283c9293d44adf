//! Unpacking: what an ordinary archive holds, staged whole and then given its names in the merged tree.
//!
//! Where a directory stands in both, its entries go in one by one; everything else moves with all that is beneath it.
//! Nothing goes through a symbolic link, whether it stands there or comes from the archive (trust T4).

use crate::{
    Attrs, Device, Error, ErrorKind, Kind, Leave, Node, Result, Step, VPath,
    layer::Entry,
    overlay::{
        Ctx, Deed, Follow, Item, OnConflict, Overlay, Spot,
        staging::{Staging, corrupt},
        write::{Report, last_name},
    },
};

const OP: &str = "import";

/// How many objects, and how many content bytes in them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// What an archive brought.
#[derive(Debug, Default)]
pub(crate) struct Unpacked {
    pub(crate) taken: Count,
    /// Objects whose place was taken and stayed as it was.
    pub(crate) kept: u64,
}

/// An archive on its way into the merged tree.
pub(crate) struct Unpack<'a> {
    overlay: &'a Overlay,
    staging: Staging<'a>,
    on_conflict: OnConflict,
    /// The directory that stands and takes what is staged.
    base: VPath,
    /// The directories beneath it that are still to be made.
    inner: VPath,
    /// What directories get that the archive does not list.
    implied: Attrs,
    /// The directories that it lists, parents first, each with the attributes that it gets when it is whole.
    dirs: Vec<(VPath, Attrs)>,
    count: Count,
    kept: u64,
}

/// What is to become of the staged objects.
#[derive(Default)]
struct Plan {
    moves: Vec<Move>,
    /// Directories that stand already.
    entered: u64,
    kept: Count,
}

/// A staged object that goes to its place.
struct Move {
    /// The staged directory that holds it.
    from: Node,
    to: VPath,
    is_dir: bool,
    replaces: bool,
}

/// What a staged object meets.
enum Meets {
    Nothing,
    /// A directory for a directory.
    Dir,
    Other,
}

impl<'a> Unpack<'a> {
    /// Begins to unpack into a directory, which is made with the rest when it is missing.
    ///
    /// Refuses one that is something else (`NotADirectory`), and a link to nothing (`NotFound`).
    pub(crate) fn new(overlay: &'a Overlay, ctx: &Ctx, into: &VPath, on_conflict: OnConflict) -> Result<Self> {
        let (base, inner) = overlay.standing(into)?;
        let mut staging = Staging::new(overlay, ctx.now)?;
        let implied = ctx.attrs(Kind::Dir, None);
        for name in inner.names() {
            staging.top = staging.make_dir(implied, &staging.top.clone(), name)?;
        }
        let (dirs, count, kept) = (Vec::new(), Count::default(), 0);
        Ok(Self { overlay, staging, on_conflict, base, inner, implied, dirs, count, kept })
    }

    /// Stages an object. One at the same path as an earlier one meets it as it would meet what stands there.
    ///
    /// Refuses what lies beneath anything but a directory, and what would be taken for a whiteout (`Corrupt`).
    pub(crate) fn add(&mut self, item: &Item) -> Result<()> {
        self.try_add(item).map_err(|e| e.or_at(&item.path))
    }

    fn try_add(&mut self, item: &Item) -> Result<()> {
        VPath::parse(join(&join(&self.base, &self.inner), &item.path).as_bytes())?;
        let (parent, name) = item.path.split().ok_or_else(|| corrupt("it has no name"))?;
        if item.kind == Kind::Whiteout || (item.kind == Kind::Char && item.rdev == Device::default()) {
            return Err(corrupt("it would be taken for a whiteout"));
        }
        let dir = self.dir(&parent)?;
        match (self.staging.upper.lookup(&dir, name)?, self.on_conflict) {
            (Some(there), _) if there.kind == Kind::Dir && item.kind == Kind::Dir => return Ok(()),
            (Some(_), OnConflict::Error) => return Err(Error::new(ErrorKind::AlreadyExists, OP)),
            (Some(_), OnConflict::Keep) => {
                self.kept += 1;
                return Ok(());
            }
            (Some(_), OnConflict::Replace) | (None, _) => {}
        }
        let (_, bytes) = self.staging.make(item, &dir, name)?;
        if item.kind == Kind::Dir {
            self.dirs.push((item.path.clone(), item.attrs));
        }
        self.count.add(bytes);
        Ok(())
    }

    /// Returns a staged directory, made with those above it where they are missing.
    fn dir(&mut self, path: &VPath) -> Result<Node> {
        let mut node = self.staging.top.clone();
        for name in path.names() {
            node = match self.staging.upper.lookup(&node, name)? {
                Some(found) if found.kind == Kind::Dir => found,
                Some(found) if found.kind == Kind::Symlink => return Err(through_link()),
                Some(_) => return Err(corrupt("what it lies beneath is no directory")),
                None => {
                    self.count.add(0);
                    self.staging.make_dir(self.implied, &node, name)?
                }
            };
        }
        Ok(node)
    }

    /// Gives what was staged its place, in one change.
    ///
    /// Refuses a place that is taken as [`OnConflict`] says (`AlreadyExists`), and one behind a symbolic link (`Corrupt`);
    /// then nothing is changed.
    pub(crate) fn show(mut self, ctx: &Ctx) -> Result<Unpacked> {
        self.finish_dirs()?;
        let mut unpacked = Unpacked { taken: self.count, kept: self.kept };
        let root = VPath::root();
        self.overlay.change(&self.base, OP, || {
            let spot = self.overlay.resolve(&root, Follow::No, OP)?;
            self.overlay.must_hold(ctx, &spot, &root, OP)?;
            let plan = self.plan()?;
            unpacked.leave(&plan);
            self.place(ctx, &plan.moves)
        })?;
        Ok(unpacked)
    }

    /// Gives the directories their attributes, inner ones first.
    fn finish_dirs(&mut self) -> Result<()> {
        while let Some((path, attrs)) = self.dirs.pop() {
            // A later entry may have taken its place.
            if let Some(node) = self.staging.find(&path)?.filter(|node| node.kind == Kind::Dir) {
                self.staging.finish_dir(&node, &attrs)?;
            }
        }
        self.staging.settle()
    }

    fn plan(&self) -> Result<Plan> {
        let upper = self.staging.upper;
        let mut plan = Plan::default();
        let mut left = vec![(self.staging.root.clone(), self.base.clone())];
        while let Some((from, path)) = left.pop() {
            for entry in upper.list(&from, None, usize::MAX, true)? {
                let at = path.join(entry.name.as_name());
                let spot = self.overlay.resolve(&at, Follow::No, OP)?;
                let meets = self.meets(&from, &entry, &spot)?;
                match (meets, self.on_conflict) {
                    (Meets::Nothing, _) => plan.moves.push(Move::new(&from, &entry, &spot)),
                    (Meets::Dir, _) => {
                        plan.entered += u64::from(!self.is_above(&at));
                        left.extend(upper.lookup(&from, entry.name.as_name())?.map(|inner| (inner, at)));
                    }
                    (Meets::Other, OnConflict::Replace) => plan.moves.push(Move::new(&from, &entry, &spot)),
                    (Meets::Other, OnConflict::Keep) => self.count_kept(&from, &entry, &mut plan.kept)?,
                    (Meets::Other, OnConflict::Error) => return Err(Error::new(ErrorKind::AlreadyExists, OP).at(&at)),
                }
            }
        }
        Ok(plan)
    }

    /// Returns whether a path is that of a directory above what is unpacked.
    fn is_above(&self, path: &VPath) -> bool {
        join(&self.base, &self.inner).is_within(path)
    }

    fn meets(&self, from: &Node, entry: &Entry, spot: &Spot) -> Result<Meets> {
        match (spot.place.kind(), entry.kind) {
            (None, _) => self.overlay.vacant(spot, OP).map(|()| Meets::Nothing),
            (Some(Kind::Dir), Kind::Dir) => Ok(Meets::Dir),
            (Some(Kind::Symlink), Kind::Dir) => self.must_lead_nowhere(from, entry, spot).map(|()| Meets::Other),
            _ => Ok(Meets::Other),
        }
    }

    /// Refuses a directory with something in it where a symbolic link stands.
    fn must_lead_nowhere(&self, from: &Node, entry: &Entry, spot: &Spot) -> Result<()> {
        let Some(dir) = self.staging.upper.lookup(from, entry.name.as_name())? else { return Ok(()) };
        match self.staging.upper.list(&dir, None, 1, false)?.first() {
            Some(inner) => Err(through_link().at(&spot.path.join(inner.name.as_name()))),
            None => Ok(()),
        }
    }

    /// Counts what stays behind; content with several names may go with another of them.
    fn count_kept(&self, from: &Node, entry: &Entry, kept: &mut Count) -> Result<()> {
        let mut left = vec![(from.clone(), entry.clone())];
        while let Some((dir, entry)) = left.pop() {
            let own = |stat: &&crate::Stat| stat.kind == Kind::File && stat.nlink == 1;
            kept.add(entry.stat.as_ref().filter(own).map_or(0, |stat| stat.size));
            if entry.kind != Kind::Dir {
                continue;
            }
            let Some(node) = self.staging.upper.lookup(&dir, entry.name.as_name())? else { continue };
            let inner = self.staging.upper.list(&node, None, usize::MAX, true)?;
            left.extend(inner.into_iter().map(|entry| (node.clone(), entry)));
        }
        Ok(())
    }

    fn place(&self, ctx: &Ctx, moves: &[Move]) -> Result<Report> {
        let dirs = self.parents(ctx, moves)?;
        let (mut steps, mut report) = (Vec::with_capacity(moves.len()), Report::default());
        for (one, to_dir) in moves.iter().zip(&dirs) {
            let name = last_name(&one.to)?;
            steps.push(Step::Move { dir: &one.from, name, to_dir, to_name: name, leave: Leave::Nothing });
            report = report.and(if one.replaces { Deed::Modified } else { Deed::Created }, &one.to);
        }
        self.overlay.commit(&steps, ctx.now)?;
        Ok(report)
    }

    /// Returns the upper's directory for each move, brought up where it is missing; directories that must hide what
    /// lies below are marked, since a mark that is lost after the move would show it.
    fn parents(&self, ctx: &Ctx, moves: &[Move]) -> Result<Vec<Node>> {
        let mut dirs: Vec<Node> = Vec::with_capacity(moves.len());
        let (mut last, mut marked) = (None, false);
        for one in moves {
            let mut spot = self.overlay.resolve(&one.to, Follow::No, OP)?;
            let dir = self.overlay.parents_up(&mut spot, OP)?;
            if one.is_dir && (one.replaces || self.overlay.starts_afresh(&spot)) {
                self.mark_opaque(ctx, one)?;
                marked = true;
            }
            let parent = one.to.split().map(|(parent, _)| parent);
            // One node a directory, since each may hold a descriptor.
            dirs.push(dirs.last().filter(|_| parent == last).cloned().unwrap_or(dir));
            last = parent;
        }
        if marked {
            self.staging.upper.settle()?
        }
        Ok(dirs)
    }

    fn mark_opaque(&self, ctx: &Ctx, one: &Move) -> Result<()> {
        let node = self.staging.upper.lookup(&one.from, last_name(&one.to)?)?;
        node.map_or(Ok(()), |node| self.overlay.make_opaque(ctx, &node))
    }
}

impl Move {
    fn new(from: &Node, entry: &Entry, spot: &Spot) -> Self {
        let replaces = spot.place.top().is_some();
        Self { from: from.clone(), to: spot.path.clone(), is_dir: entry.kind == Kind::Dir, replaces }
    }
}

impl Unpacked {
    fn leave(&mut self, plan: &Plan) {
        self.taken.entries = self.taken.entries.saturating_sub(plan.entered + plan.kept.entries);
        self.taken.bytes = self.taken.bytes.saturating_sub(plan.kept.bytes);
        self.kept += plan.kept.entries;
    }
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes += bytes;
    }
}

impl Overlay {
    /// Returns the part of a path that stands, with its links resolved, and the part that is still to be made.
    fn standing(&self, path: &VPath) -> Result<(VPath, VPath)> {
        let (mut there, mut missing) = (VPath::root(), VPath::root());
        for name in path.names() {
            if !missing.is_root() {
                missing.push(name);
                continue;
            }
            match self.directory(&there.join(name), OP) {
                Ok(spot) => there = spot.path,
                Err(e) if e.kind() == ErrorKind::NotFound && self.is_free(&there.join(name))? => missing.push(name),
                Err(e) => return Err(e),
            }
        }
        Ok((there, missing))
    }

    fn is_free(&self, path: &VPath) -> Result<bool> {
        Ok(self.resolve(path, Follow::No, OP)?.place.top().is_none())
    }
}

fn join(path: &VPath, rest: &VPath) -> VPath {
    let mut whole = path.clone();
    rest.names().for_each(|name| whole.push(name));
    whole
}

fn through_link() -> Error {
    corrupt("a symbolic link stands on the way to it")
}
