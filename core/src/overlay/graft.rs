//! Grafting: objects as an upper holds them, whiteouts and marks included, staged whole and then given their names.
//!
//! When all of it is staged, each top-level name moves to its place, one step a name.

use crate::{
    Attrs, Change, Error, ErrorKind, Kind, Leave, Node, Result, Step, VPath,
    layer::Entry,
    overlay::{
        Ctx, Deed, Done, Follow, Item, Overlay,
        staging::{Staging, corrupt},
        write::{Report, last_name},
    },
};

/// What becomes of an object whose place is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is changed at all, and that is an error (`AlreadyExists`).
    #[default]
    Error,
    /// It takes the place.
    Replace,
    /// What is there stays.
    Keep,
}

/// A tree on its way into the upper.
pub(crate) struct Graft<'a> {
    overlay: &'a Overlay,
    staging: Staging<'a>,
    /// The directories above the next object, each with the attributes that it gets when it is whole.
    dirs: Vec<(VPath, Node, Attrs)>,
}

/// What a graft is to do to the upper.
#[derive(Default)]
struct Moves {
    /// From a staged directory to one of the upper, under the same name.
    names: Vec<(Node, Node, VPath, Kind)>,
    kept: u64,
}

impl<'a> Graft<'a> {
    pub(crate) fn new(overlay: &'a Overlay, ctx: &Ctx) -> Result<Self> {
        Ok(Self { overlay, staging: Staging::new(overlay, ctx.now)?, dirs: Vec::new() })
    }

    /// Stages an object; a directory before what stands in it, and nothing else in between. Returns the content bytes.
    ///
    /// Refuses another order and names that come twice (`Corrupt`), and a redirect where the upper holds none
    /// (`Unsupported`).
    pub(crate) fn add(&mut self, item: &Item) -> Result<u64> {
        self.try_add(item).map_err(|e| e.or_at(&item.path))
    }

    fn try_add(&mut self, item: &Item) -> Result<u64> {
        let dir = self.go_to(&item.path)?;
        let (name, upper) = (last_name(&item.path)?, self.staging.upper);
        if upper.lookup(&dir, name)?.is_some() {
            return Err(corrupt("it is there twice"));
        }
        if item.marks.redirect.is_some() && !upper.caps().redirects {
            return Err(Error::new(ErrorKind::Unsupported, "import").because("this upper cannot hold redirects"));
        }
        let (node, bytes) = self.staging.make(item, &dir, name)?;
        if item.kind == Kind::Dir {
            self.dirs.extend(node.map(|node| (item.path.clone(), node, item.attrs)));
        }
        Ok(bytes)
    }

    /// Makes the directory that was staged last, or one above it, opaque.
    pub(crate) fn make_opaque(&mut self, path: &VPath) -> Result<()> {
        let node = match self.dirs.iter().find(|(dir, ..)| dir == path) {
            Some((_, node, _)) => node.clone(),
            None => return Err(corrupt("its directory does not stand before it").at(path)),
        };
        let change = Change { opaque: true, ..Change::default() };
        self.staging.commit(&[Step::Set { node: &node, change: &change }])
    }

    /// Leaves the directories that `path` is not in, which are whole now, and returns the one that it is in.
    fn go_to(&mut self, path: &VPath) -> Result<Node> {
        let (parent, _) = path.split().ok_or_else(|| corrupt("it has no name"))?;
        while let Some((dir, ..)) = self.dirs.last().filter(|(dir, ..)| !parent.is_within(dir)) {
            let dir = dir.clone();
            self.finish_dir().map_err(|e| e.or_at(&dir))?;
        }
        match self.dirs.last() {
            None if parent.is_root() => Ok(self.staging.root.clone()),
            Some((dir, node, _)) if *dir == parent => Ok(node.clone()),
            _ => Err(corrupt("its directory does not stand before it")),
        }
    }

    fn finish_dir(&mut self) -> Result<()> {
        let Some((_, node, attrs)) = self.dirs.pop() else { return Ok(()) };
        self.staging.finish_dir(&node, &attrs)
    }

    /// Gives what was staged its place in the upper; a directory that stands in both is entered if their marks are
    /// the same. Returns how many objects were kept as they were instead.
    pub(crate) fn show(mut self, ctx: &Ctx, on_conflict: OnConflict) -> Result<(Done, u64)> {
        while !self.dirs.is_empty() {
            self.finish_dir()?;
        }
        self.staging.settle()?;
        let mut kept = 0;
        let root = VPath::root();
        let done = self.overlay.change(&root, "import", || {
            let spot = self.overlay.resolve(&root, Follow::No, "import")?;
            self.overlay.must_hold(ctx, &spot, &root, "import")?;
            let moves = self.plan(on_conflict)?;
            kept = moves.kept;
            self.place(ctx, &moves)
        })?;
        Ok((done, kept))
    }

    fn plan(&self, on_conflict: OnConflict) -> Result<Moves> {
        let mut moves = Moves::default();
        let upper = self.staging.upper;
        let mut left = vec![(self.staging.root.clone(), upper.root(), VPath::root())];
        while let Some((from, to, path)) = left.pop() {
            for entry in upper.list(&from, None, usize::MAX, false)? {
                let at = path.join(entry.name.as_name());
                let there = upper.lookup(&to, entry.name.as_name())?;
                match (there, on_conflict) {
                    (None, _) => moves.names.push((from.clone(), to.clone(), at, entry.kind)),
                    (Some(there), _) if self.is_entered(&from, &entry, &there)? => {
                        let inner = upper.lookup(&from, entry.name.as_name())?;
                        left.extend(inner.map(|inner| (inner, there, at)));
                    }
                    (Some(_), OnConflict::Replace) => moves.names.push((from.clone(), to.clone(), at, entry.kind)),
                    (Some(_), OnConflict::Keep) => moves.kept += 1,
                    (Some(_), OnConflict::Error) => return Err(Error::new(ErrorKind::AlreadyExists, "import").at(&at)),
                }
            }
        }
        Ok(moves)
    }

    /// Returns whether both are directories that hide and merge the same.
    fn is_entered(&self, from: &Node, entry: &Entry, there: &Node) -> Result<bool> {
        if entry.kind != Kind::Dir || there.kind != Kind::Dir {
            return Ok(false);
        }
        let upper = self.staging.upper;
        let Some(mine) = upper.lookup(from, entry.name.as_name())? else { return Ok(false) };
        Ok(upper.marks(&mine)? == upper.marks(there)?)
    }

    fn place(&self, ctx: &Ctx, moves: &Moves) -> Result<Report> {
        let mut steps = Vec::with_capacity(moves.names.len());
        let mut report = Report::of(Deed::Modified, &VPath::root());
        for (from, to, path, kind) in &moves.names {
            let name = last_name(path)?;
            if *kind == Kind::Whiteout {
                steps.push(Step::Remove { dir: to, name, leave: Leave::Whiteout });
                report = report.and(Deed::Whiteout, path);
            } else {
                steps.push(Step::Move { dir: from, name, to_dir: to, to_name: name, leave: Leave::Nothing });
                report = report.and(Deed::Created, path);
            }
        }
        self.overlay.commit(&steps, ctx.now)?;
        Ok(report)
    }
}
