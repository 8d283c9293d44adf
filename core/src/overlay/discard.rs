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
    /// The objects, with everything beneath them.
    objects: Vec<VPath>,
}

impl Overlay {
    /// Discards what the upper holds at a path, with everything beneath it: what the lowers have there shows again,
    /// unless an opaque directory above hides it. The directories above stay. The root stands for all changes.
    ///
    /// Discarding either end of a renamed directory undoes the rename, changes inside it included; so does
    /// discarding a tree into which it was moved. The condition of `ctx` concerns what shows at the path.
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
            let plan = match node.kind {
                Kind::Dir => self.plan_tree(&dir, &at)?,
                Kind::Whiteout => self.plan_whiteout(&dir, &at)?,
                _ => Plan { whiteouts: Vec::new(), objects: vec![at] },
            };
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
        let mut entries = self.stack.layers[0].list(dir, None, usize::MAX, false)?;
        entries.sort_by_key(|entry| entry.kind != Kind::Whiteout);
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }

    /// Plans for a whiteout: if a rename left it, the renamed directory goes too.
    fn plan_whiteout(&self, dir: &UpperDir, at: &VPath) -> Result<Plan> {
        let name = last_name(at)?;
        let hides_dir = self.stack.step(&dir.below(), name, Look::default())?.is_dir();
        let from = dir.origin.as_ref().filter(|_| hides_dir).map(|origin| origin.join(name));
        let to = from.map(|from| self.moves(false).map(|moves| moves.moved.get(&from).cloned())).transpose()?.flatten();
        Ok(Plan { whiteouts: vec![at.clone()], objects: to.into_iter().collect() })
    }

    /// Plans for a directory: what was moved into it shows again where it came from.
    fn plan_tree(&self, dir: &UpperDir, at: &VPath) -> Result<Plan> {
        let inside = self.moves_at(dir, at)?;
        if inside.moved.is_empty() && inside.left.is_empty() {
            return Ok(Plan { whiteouts: Vec::new(), objects: vec![at.clone()] });
        }
        let all = self.moves(true)?;
        let outward = inside.left.keys().find_map(|from| all.moved.get(from).filter(|to| !to.is_within(at)));
        if let Some(to) = outward {
            let reason = format!("{to} was moved out of it; discard that first");
            return Err(Error::new(ErrorKind::Busy, "discard").at(at).because(reason));
        }
        let left = inside.moved.keys().filter_map(|from| all.left.get(from));
        let whiteouts = left.filter(|whiteout| !whiteout.is_within(at)).cloned().collect();
        Ok(Plan { whiteouts, objects: vec![at.clone()] })
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
        for path in plan.whiteouts.iter().chain(&plan.objects) {
            self.drop_one(ctx, path)?;
            deeds.push((Deed::Discarded, path.clone()));
        }
        Ok(Report { deeds, ..Report::default() })
    }

    fn drop_one(&self, ctx: &Ctx, path: &VPath) -> Result<()> {
        let (op, name) = ("discard", last_name(path)?);
        let parent = path.split().map(|(parent, _)| parent).unwrap_or_default();
        let dir = self.upper_dir(&parent)?.ok_or_else(|| Error::new(ErrorKind::NotFound, op).at(path))?;
        let dir = &dir.place.hits[0].node;
        self.commit(&[Step::Remove { dir, name, leave: Leave::Nothing }], ctx.now)
    }
}
