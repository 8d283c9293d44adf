//! The frame of every change, and the creation of objects.
//!
//! Three questions, in this order: is it there, must parents come up, what below has to stay hidden?

use crate::{
    Device, Error, ErrorKind, Kind, Marks, Name, New, Node, Opaque, Result, Step, Time, VPath,
    overlay::{
        Ctx, Deed, Done, Follow, Info, Object, Overlay, Place, Spot, Tag,
        copy_up::{Content, Copy, needs_copy},
    },
};

/// How often a change is tried anew when others keep changing the same path.
const TRIES: usize = 64;

/// What a change reports beside its result: what to tell, and the content bytes that came up.
#[derive(Default)]
pub(super) struct Report {
    pub(super) deeds: Vec<(Deed, VPath)>,
    pub(super) created: bool,
    pub(super) copied_up: u64,
    /// The upper's object that stands at the first path now and shows alone, when that is known.
    pub(super) node: Option<Node>,
}

impl Report {
    pub(super) fn of(deed: Deed, path: &VPath) -> Self {
        let created = deed == Deed::Created;
        Self { deeds: vec![(deed, path.clone())], created, copied_up: 0, node: None }
    }

    pub(super) fn at(self, node: &Node) -> Self {
        Self { node: Some(node.clone()), ..self }
    }

    pub(super) fn and(mut self, deed: Deed, path: &VPath) -> Self {
        self.deeds.push((deed, path.clone()));
        self
    }
}

impl Overlay {
    /// Applies steps while readers wait; what they did is durable after `settle`.
    pub(super) fn commit(&self, steps: &[Step<'_>], now: Time) -> Result<()> {
        let upper = self.upper("write")?;
        let _tree = self.tree.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let done = upper.commit(steps, now);
        self.dirs.heed(steps, done.is_ok());
        done
    }

    /// Runs `plan` under the writers' lock, then waits until what it did is durable.
    pub(super) fn change(&self, path: &VPath, op: &'static str, plan: impl FnOnce() -> Result<Report>) -> Result<Done> {
        let upper = self.upper(op).map_err(|e| e.or_at(path))?;
        let done = {
            let _writing = self.writing();
            let report = plan().map_err(|e| e.or_at(path))?;
            let generation = self.count(&report.deeds);
            let info = self.shown_after(&report)?;
            Done { info, created: report.created, copied_up: report.copied_up, generation }
        };
        self.let_catch_up();
        upper.settle().map_err(|e| e.or_at(path))?;
        Ok(done)
    }

    /// Like `change`, for an object that may have to come up first: the copy is made without a lock, after `check`
    /// has passed, and made anew when the object was exchanged meanwhile.
    pub(super) fn change_object(
        &self,
        path: &VPath,
        follow: Follow,
        op: &'static str,
        check: impl Fn(&Spot) -> Result<()>,
        plan: impl FnMut(&mut Spot, Option<Copy>) -> Result<Report>,
    ) -> Result<Done> {
        self.change_copy(path, follow, op, check, |spot| self.stage_copy(spot, Content::Kept, op), plan)
    }

    /// The same with a copy that `stage` makes.
    pub(super) fn change_copy(
        &self,
        path: &VPath,
        follow: Follow,
        op: &'static str,
        check: impl Fn(&Spot) -> Result<()>,
        stage: impl Fn(&Spot) -> Result<Copy>,
        mut plan: impl FnMut(&mut Spot, Option<Copy>) -> Result<Report>,
    ) -> Result<Done> {
        self.upper(op).map_err(|e| e.or_at(path))?;
        for _ in 0..TRIES {
            let before = self.dirs.commits();
            let seen = self.resolve(path, follow, op)?;
            let needed = needs_copy(&self.stack, &seen.place);
            // What is refused is not copied; what need not be copied is checked once, under the lock.
            let staged = || check(&seen).and_then(|()| stage(&seen));
            let copy = needed.then(staged).transpose().map_err(|e| e.or_at(path))?;
            let mut same = true;
            let done = self.change(path, op, || {
                // While content was copied, others may have changed the layers beneath us.
                let untouched = !needed && self.dirs.commits() == before;
                let mut spot = if untouched { seen.clone() } else { self.resolve(path, follow, op)? };
                same = is_same(&seen.place, &spot.place);
                if !same {
                    return Err(Error::new(ErrorKind::Busy, op));
                }
                check(&spot)?;
                plan(&mut spot, copy)
            });
            if same {
                return done;
            }
        }
        Err(Error::new(ErrorKind::Busy, op).at(path).because("it kept changing"))
    }

    /// Returns what stands at a spot, if anything does.
    pub(super) fn info_at(&self, spot: &Spot) -> Result<Option<Info>> {
        spot.place.top().map(|_| self.info(spot)).transpose()
    }

    /// Returns the tag of what stands at a spot, for conditions.
    pub(super) fn current(&self, spot: &Spot) -> Result<Option<Tag>> {
        Ok(self.info_at(spot)?.map(|info| info.tag))
    }

    /// Returns what stands where a change was made, while no other change can come between.
    fn shown_after(&self, report: &Report) -> Result<Option<Info>> {
        match (report.deeds.first(), &report.node) {
            (None | Some((Deed::Removed | Deed::Discarded, _)), _) => Ok(None),
            (Some((_, path)), Some(node)) => self.info_of(path, node).map(Some),
            (Some((_, path)), None) => self.info(&self.resolve(path, Follow::No, "read")?).map(Some),
        }
    }

    /// Returns what an object of the upper shows at a path where no lower contributes.
    fn info_of(&self, path: &VPath, node: &Node) -> Result<Info> {
        let upper = &self.stack.layers[0];
        let stat = upper.stat(node).map_err(|e| e.or_at(path))?;
        Ok(Info { path: path.clone(), tag: Tag::of(&**upper, &stat), stat, layers: vec![0] })
    }

    /// Makes a directory. Over the upper's whiteout it is opaque (semantics W07), in a merged directory too when
    /// redirects are on (O05).
    ///
    /// Refuses a taken name (`AlreadyExists`) and a missing parent (`NotFound`).
    pub fn mkdir(&self, ctx: &Ctx, path: &VPath, mode: Option<u32>) -> Result<Done> {
        self.create(ctx, path, "make directory", Kind::Dir, mode, Device::default(), b"").map(|(done, _)| done)
    }

    /// Makes the missing ones of a path's directories; those that stand are left alone.
    pub fn make_dirs(&self, ctx: &Ctx, path: &VPath) -> Result<()> {
        let ctx = Ctx { when: Default::default(), ..ctx.clone() };
        let mut dir = VPath::root();
        for name in path.names() {
            dir.push(name);
            match self.mkdir(&ctx, &dir, None) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => self.directory(&dir, "make directory").map(drop)?,
                made => made.map(drop)?,
            }
        }
        Ok(())
    }

    /// Makes a symbolic link. The target is data: 1 to 4,096 bytes without NUL, never looked at.
    pub fn symlink(&self, ctx: &Ctx, path: &VPath, target: &[u8]) -> Result<Done> {
        if target.is_empty() || target.contains(&0) {
            return Err(Error::new(ErrorKind::InvalidInput, "make link").at(path).because("not a link target"));
        }
        if target.len() >= crate::PATH_MAX {
            return Err(Error::new(ErrorKind::NameTooLong, "make link").at(path));
        }
        self.create(ctx, path, "make link", Kind::Symlink, None, Device::default(), target).map(|(done, _)| done)
    }

    /// Makes a fifo, a socket or a device. Refuses the device 0/0, which would be a whiteout (semantics W08).
    pub fn mknod(&self, ctx: &Ctx, path: &VPath, kind: Kind, rdev: Device, mode: Option<u32>) -> Result<Done> {
        let whiteout = kind == Kind::Char && rdev == Device::default();
        if whiteout || !matches!(kind, Kind::Fifo | Kind::Socket | Kind::Char | Kind::Block) {
            return Err(Error::new(ErrorKind::PermissionDenied, "make node").at(path));
        }
        self.create(ctx, path, "make node", kind, mode, rdev, b"").map(|(done, _)| done)
    }

    /// Makes an empty file. Refuses a taken name (`AlreadyExists`) and a missing parent (`NotFound`).
    pub fn make_file(&self, ctx: &Ctx, path: &VPath, mode: Option<u32>) -> Result<Done> {
        self.make_object(ctx, path, mode).map(|(done, _)| done)
    }

    /// Makes an empty file, and returns it too, to be used whatever becomes of its name. Refuses what
    /// [`Overlay::make_file`] refuses.
    pub fn make_object(&self, ctx: &Ctx, path: &VPath, mode: Option<u32>) -> Result<(Done, Object)> {
        self.create(ctx, path, "make file", Kind::File, mode, Device::default(), b"")
    }

    #[expect(clippy::too_many_arguments, reason = "the callers above give each its meaning")]
    fn create(
        &self,
        ctx: &Ctx,
        path: &VPath,
        op: &'static str,
        kind: Kind,
        mode: Option<u32>,
        rdev: Device,
        target: &[u8],
    ) -> Result<(Done, Object)> {
        let mut made = None;
        let done = self.change(path, op, || {
            let mut spot = self.resolve(path, Follow::No, op)?;
            self.must_hold(ctx, &spot, path, op)?;
            self.vacant(&spot, op)?;
            let dir = self.parents_up(&mut spot, op)?;
            let opaque = if kind == Kind::Dir && self.starts_afresh(&spot) { Opaque::Yes } else { Opaque::No };
            let marks = Marks { opaque, ..Marks::default() };
            let (attrs, xattrs) = self.inherited(ctx, &spot, kind, mode)?;
            let faithful = ctx.faithful;
            let new = New { kind, attrs, rdev, target, xattrs: &xattrs, marks, copied_up: false, faithful };
            let node = self.upper(op)?.stage(&new)?;
            let step = Step::Place { node: &node, dir: &dir, name: last_name(&spot.path)?, quiet: false };
            self.commit(&[step], ctx.now)?;
            let report = Report::of(Deed::Created, &spot.path).at(&node);
            let report = if opaque == Opaque::Yes { report.and(Deed::Opaque, &spot.path) } else { report };
            made = Some(Object::of_upper(spot.path, node));
            Ok(report)
        })?;
        Ok((done, made.expect("what is done has been made")))
    }

    /// Refuses a name at which something shows, or that the upper takes for another one.
    pub(super) fn vacant(&self, spot: &Spot, op: &'static str) -> Result<()> {
        if spot.place.top().is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, op).at(&spot.path));
        }
        match self.upper(op)?.caps().fold {
            Some(fold) if self.has_twin(spot, fold)? => {
                Err(Error::new(ErrorKind::AlreadyExists, op).at(&spot.path).because("it differs in case alone"))
            }
            _ => Ok(()),
        }
    }

    fn has_twin(&self, spot: &Spot, fold: fn(&[u8]) -> String) -> Result<bool> {
        let (Some(parent), Some((_, name))) = (spot.dirs.last(), spot.path.split()) else { return Ok(false) };
        let folded = fold(name.as_bytes());
        let lines = self.stack.list(parent, None, usize::MAX, Default::default())?;
        Ok(lines.iter().any(|line| fold(line.name.as_bytes()) == folded))
    }

    /// Returns whether a new directory must be, or may as well be, opaque (semantics W07, O05).
    ///
    /// A lower's whiteout is no reason, against W11: it stays and goes on hiding what lies below, and the kernel
    /// writes no mark.
    pub(super) fn starts_afresh(&self, spot: &Spot) -> bool {
        spot.place.whiteout.is_some_and(|layer| self.stack.is_upper(layer))
            || (self.redirect_dir && spot.dirs.last().is_some_and(Place::is_merged))
    }

    /// Returns whether something below the upper would show at the spot if the upper said nothing there: the first
    /// lower that has the name decides (semantics W10), and a lower that cannot be asked counts as yes (W12).
    pub(super) fn shows_below(&self, spot: &Spot) -> Result<bool> {
        let Some(top) = spot.place.top() else { return Ok(spot.place.whiteout.is_some()) };
        if !self.stack.is_upper(top.layer) {
            return Ok(true);
        }
        let name = last_name(&spot.path)?;
        let lowers =
            spot.dirs.last().into_iter().flat_map(Place::visible).filter(|hit| !self.stack.is_upper(hit.layer));
        for hit in lowers {
            match self.stack.layers[hit.layer].lookup(&hit.node, name) {
                Ok(None) => {}
                Ok(Some(node)) => return Ok(node.kind != Kind::Whiteout),
                Err(_) => return Ok(true),
            }
        }
        Ok(false)
    }
}

pub(super) fn last_name(path: &VPath) -> Result<Name<'_>> {
    let refused = || Error::new(ErrorKind::Busy, "change").because("the root cannot be replaced");
    path.last().ok_or_else(refused)
}

/// Returns whether two lookups found the same object.
pub(super) fn is_same(one: &Place, other: &Place) -> bool {
    let key = |place: &Place| place.top().map(|hit| (hit.layer, hit.node.id));
    key(one) == key(other)
}
