//! Discarding: what the upper holds at a path goes, and the lowers show again.
//!
//! A rename is one change with two ends, so both are undone: where a directory came from shows again before
//! its renamed form goes, and a crash in between shows it twice, never not at all.

use crate::{
    Error, ErrorKind, Kind, Leave, NameBuf, Result, Step, VPath,
    diff::{Moves, UpperDir, origin},
    overlay::{
        Ctx, Deed, Done, Follow, Look, Overlay,
        write::{Report, last_name},
    },
};

/// What is to go for one path.
struct Plan {
    /// The whiteouts of renames, and what they hid.
    whiteouts: Vec<VPath>,
    /// The objects, with everything beneath them, and what they leave.
    objects: Vec<(VPath, Leave)>,
}

impl Plan {
    /// Plans for one thing alone.
    fn of(kind: Kind, at: VPath, leave: Leave) -> Self {
        match kind {
            Kind::Whiteout => Self { whiteouts: vec![at], objects: Vec::new() },
            _ => Self { whiteouts: Vec::new(), objects: vec![(at, leave)] },
        }
    }
}

/// Refuses a tree out of which a directory of the lowers was moved that still stands elsewhere: it would show twice.
fn refuse_outward(moves: &Moves, at: &VPath) -> Result<()> {
    let is_outward = |from: &VPath| from.split().is_some_and(|(parent, _)| moves.now(&parent).is_within(at));
    let Some((_, to)) = moves.moved.pairs().iter().find(|(from, to)| is_outward(from) && !to.is_within(at)) else {
        return Ok(());
    };
    let reason = format!("{to} was moved out of it; discard that first");
    Err(Error::new(ErrorKind::Busy, "discard").at(at).because(reason))
}

impl Overlay {
    /// Discards what the upper holds at a path, with everything beneath it: what the lowers have there shows again,
    /// unless an opaque directory above hides it. The directories above stay. The root stands for all changes.
    ///
    /// Discarding either end of a renamed directory undoes the rename, changes inside it included; so does
    /// discarding a tree into which it was moved. What else stands where it was goes alone, and leaves the whiteout of the
    /// rename. The condition of `ctx` concerns what shows at the path.
    ///
    /// Refuses a path that the upper does not hold (`NotFound`), and a tree out of which a directory was moved that
    /// still stands elsewhere (`Busy`): that one is to be discarded first.
    pub fn discard(&self, ctx: &Ctx, path: &VPath) -> Result<Done> {
        let op = "discard";
        let Some((parent, name)) = path.split() else { return self.discard_all(ctx) };
        self.change(path, op, || {
            let spot = self.resolve(path, Follow::No, op)?;
            self.must_hold(ctx, &spot, path, op)?;
            let missing = || Error::new(ErrorKind::NotFound, op).at(path).because("the upper holds nothing there");
            let dir = self.upper_dir(&parent)?.ok_or_else(missing)?;
            let upper = &self.stack.layers[0];
            let node = upper.lookup(&dir.place.hits[0].node, name)?.ok_or_else(missing)?;
            let at = dir.path.join(name);
            let plan = self.plan(&dir, &at, node.kind)?;
            self.drop_all(ctx, &plan)
        })
    }

    /// Discards every change: the lowers alone show. The upper's root keeps its attributes.
    pub fn discard_all(&self, ctx: &Ctx) -> Result<Done> {
        let op = "discard";
        self.change(&VPath::root(), op, || {
            self.must_hold(ctx, &self.resolve(&VPath::root(), Follow::No, op)?, &VPath::root(), op)?;
            let dir = self.stack.layers[0].root();
            let names: Vec<NameBuf> = self.upper_names(&dir)?;
            let step = |name| Step::Remove { dir: &dir, name, leave: Leave::Nothing };
            let steps: Vec<Step<'_>> = names.iter().map(|name| step(name.as_name())).collect();
            self.commit(&steps, ctx.now)?;
            Ok(Report::of(Deed::Discarded, &VPath::root()))
        })
    }

    /// Lets an upper put back what it had before a change, or make that change again, while nobody else changes or looks
    /// up anything. `restore` does it, and returns the paths that it concerned; `None` when there is nothing to be done.
    pub fn restore(&self, restore: impl FnOnce() -> Result<Option<Vec<VPath>>>) -> Result<Option<Vec<VPath>>> {
        let upper = self.upper("restore")?;
        let paths = {
            let _writing = self.writing();
            let done = {
                let _tree = self.tree.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                restore()?
            };
            let Some(paths) = done else { return Ok(None) };
            let deeds: Vec<(Deed, VPath)> = paths.iter().map(|path| (Deed::Restored, path.clone())).collect();
            self.count(&deeds);
            paths
        };
        self.let_catch_up();
        upper.settle()?;
        Ok(Some(paths))
    }

    /// Returns the names in a directory of the upper, whiteouts first: with them the lowers come back.
    fn upper_names(&self, dir: &crate::Node) -> Result<Vec<NameBuf>> {
        let entries = self.stack.layers[0].list(dir, None, usize::MAX, false)?;
        let (whiteouts, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.kind == Kind::Whiteout);
        Ok(whiteouts.into_iter().chain(others).map(|entry| entry.name).collect())
    }

    /// Plans for what the upper holds at a path. Where no rename can have an end there, none is looked for.
    fn plan(&self, dir: &UpperDir, at: &VPath, kind: Kind) -> Result<Plan> {
        let name = last_name(at)?;
        let covers_dir = self.stack.step(&dir.below(), name, Look::default())?.is_dir();
        if !covers_dir && (kind != Kind::Dir || self.moves_at(dir, at)?.moved.pairs().is_empty()) {
            return Ok(Plan::of(kind, at.clone(), Leave::Nothing));
        }
        let moves = self.moves(true)?;
        refuse_outward(&moves, at)?;
        let from = dir.origin.as_ref().map(|origin| origin.join(name));
        let to = from.and_then(|from| moves.moved.get(&from)).filter(|to| !to.is_within(at));
        let mut plan = match (kind, to) {
            (Kind::Whiteout, Some(to)) => {
                Plan { whiteouts: vec![at.clone()], ..Plan::of(Kind::Dir, to.clone(), Leave::Nothing) }
            }
            (_, Some(_)) => Plan::of(kind, at.clone(), Leave::Whiteout),
            (_, None) => Plan::of(kind, at.clone(), Leave::Nothing),
        };
        // What was moved into the tree shows again where it came from.
        let inward = moves.moved.pairs().iter().filter(|(_, to)| to.is_within(at));
        let inward = inward.filter_map(|(from, _)| moves.left.get(from));
        plan.whiteouts.extend(inward.filter(|whiteout| !whiteout.is_within(at)).cloned());
        Ok(plan)
    }

    /// Collects the renames with an end at or beneath a directory of the upper.
    fn moves_at(&self, dir: &UpperDir, at: &VPath) -> Result<Moves> {
        let name = last_name(at)?;
        let upper = &self.stack.layers[0];
        let Some(node) = upper.lookup(&dir.place.hits[0].node, name)? else { return Ok(Moves::default()) };
        let marks = upper.marks(&node)?;
        let from = origin(dir.origin.as_ref(), name, &marks);
        let mut moves = Moves::beneath(&self.stack, node, at.clone(), from.clone(), true)?;
        moves.note(from.as_ref(), dir.origin.as_ref(), at, &marks);
        Ok(moves)
    }

    fn drop_all(&self, ctx: &Ctx, plan: &Plan) -> Result<Report> {
        let mut deeds = Vec::new();
        let whiteouts = plan.whiteouts.iter().map(|path| (path, Leave::Nothing));
        for (path, leave) in whiteouts.chain(plan.objects.iter().map(|(path, leave)| (path, *leave))) {
            self.drop_one(ctx, path, leave)?;
            deeds.push((Deed::Discarded, path.clone()));
        }
        Ok(Report { deeds, ..Report::default() })
    }

    fn drop_one(&self, ctx: &Ctx, path: &VPath, leave: Leave) -> Result<()> {
        let (op, name) = ("discard", last_name(path)?);
        let parent = path.split().map(|(parent, _)| parent).unwrap_or_default();
        let dir = self.upper_dir(&parent)?.ok_or_else(|| Error::new(ErrorKind::NotFound, op).at(path))?;
        let dir = &dir.place.hits[0].node;
        self.commit(&[Step::Remove { dir, name, leave }], ctx.now)
    }
}
