//! Copying a file or a whole tree to a new name: staged without a lock, shown in one step.

use crate::{
    Kind, Node, Result, Step, VPath,
    overlay::{
        Ctx, Deed, Done, Follow, Overlay, Place, RenameHow, Spot,
        copy_up::Content,
        list::Shown,
        resolve::Look,
        write::{Report, last_name},
    },
};

impl Overlay {
    /// Copies what stands at `from`, with everything beneath it, to `to`: content, mode, owner, times, extended
    /// attributes; hard links become files of their own. The condition of `ctx` concerns `to`.
    ///
    /// Refuses what [`Overlay::rename`] refuses of the names; lower and merged directories can be copied always.
    pub fn copy(&self, ctx: &Ctx, from: &VPath, to: &VPath, how: RenameHow) -> Result<Done> {
        let op = "copy";
        self.upper(op).map_err(|e| e.or_at(to))?;
        let old = self.resolve(from, Follow::No, op)?;
        self.may_copy(ctx, &old, to, how)?;
        let mut bytes = 0;
        let node = self.stage_tree(&old, &mut bytes).map_err(|e| e.or_at(from))?;
        self.change(to, op, || {
            let mut new = self.may_copy(ctx, &old, to, how)?;
            let dir = self.parents_up(&mut new, op)?;
            if node.kind == Kind::Dir && (new.place.is_dir() || self.starts_afresh(&new)) {
                self.make_opaque(ctx, &node)?;
            }
            let step = Step::Place { node: &node, dir: &dir, name: last_name(&new.path)?, quiet: false };
            self.commit(&[step], ctx.now)?;
            let created = new.place.top().is_none();
            Ok(Report { created, copied_up: bytes, ..Report::of(Deed::Created, &new.path) })
        })
    }

    fn may_copy(&self, ctx: &Ctx, old: &Spot, to: &VPath, how: RenameHow) -> Result<Spot> {
        let op = "copy";
        let new = self.resolve(to, Follow::No, op)?;
        old.found(op)?;
        self.must_hold(ctx, &new, to, op)?;
        self.may_rename(old, &new, how)?;
        match new.place.kind() {
            Some(Kind::Dir) => self.must_be_empty(&new.place).map_err(|e| e.at(to))?,
            Some(_) => {}
            None => self.vacant(&new, op)?,
        }
        Ok(new)
    }

    fn stage_tree(&self, spot: &Spot, bytes: &mut u64) -> Result<Node> {
        let copy = self.stage_copy(spot, Content::Kept, "copy")?;
        *bytes += copy.bytes;
        // Directories whose children are still to be copied: where they are, and where they go.
        let mut left = vec![(spot.place.clone(), copy.node.clone())];
        while let Some((place, to)) = left.pop().filter(|(place, _)| place.is_dir()) {
            for shown in self.children(&place)? {
                let found = self.child(&place, &shown)?;
                let child = Spot { path: spot.path.clone(), dirs: Vec::new(), place: found };
                let copy = self.stage_copy(&child, Content::Kept, "copy")?;
                *bytes += copy.bytes;
                let step = Step::Place { node: &copy.node, dir: &to, name: shown.name.as_name(), quiet: true };
                self.commit(&[step], Default::default())?;
                if child.place.is_dir() {
                    left.push((child.place, copy.node));
                }
            }
        }
        Ok(copy.node)
    }

    fn children(&self, place: &Place) -> Result<Vec<Shown>> {
        let _reading = self.reading();
        self.stack.list(place, None, usize::MAX, Default::default())
    }

    fn child(&self, place: &Place, shown: &Shown) -> Result<Place> {
        let _reading = self.reading();
        let look = Look { only: Some(shown), ..Look::default() };
        self.stack.step(place, shown.name.as_name(), look)
    }
}
