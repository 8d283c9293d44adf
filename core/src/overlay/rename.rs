//! Renaming and hard links (semantics 2.9, 2.10).
//!
//! Marks are set first, since a redirect that names its own place and an opaque mark on a directory with
//! nothing below are harmless, and made durable; then one step moves. A move whose mark is lost would lose what
//! the lowers hold.

use std::cell::Cell;

use crate::{
    Change, Error, ErrorKind, Kind, Leave, Node, Opaque, Result, Step, VPath,
    overlay::{
        Ctx, Deed, Done, Follow, Overlay, Place, Spot,
        copy_up::Copy,
        write::{Report, last_name},
    },
};

/// The longest redirect in bytes (semantics N10).
const REDIRECT_MAX: usize = 256;

/// What a rename does with an object at the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameHow {
    /// Replaces it.
    Replace,
    /// Refuses it (`AlreadyExists`).
    NoReplace,
    /// Gives it the old name.
    Exchange,
}

impl Overlay {
    /// Moves what stands at `from` to `to`. The condition of `ctx` concerns `to`.
    ///
    /// Refuses a directory's move into itself (`InvalidInput`), a directory over a file (`NotADirectory`), a file
    /// over a directory (`IsADirectory`), anything over a directory that shows entries (`NotEmpty`), and a lower or
    /// merged directory where no redirect can be kept (`CrossLayerRename`, semantics N06, N10).
    pub fn rename(&self, ctx: &Ctx, from: &VPath, to: &VPath, how: RenameHow) -> Result<Done> {
        let op = "rename";
        // What was checked last, under the lock, and whether it is to be moved.
        let checked = Cell::new(None);
        let check = |old: &Spot| {
            let new = self.resolve(to, Follow::No, op)?;
            self.must_hold(ctx, &new, to, op)?;
            self.may_rename(old, &new, how)?;
            let moves = !is_no_op(old, &new) && !self.is_one_object(old, &new)?;
            if moves {
                self.can_rename(old, &new, how)?;
            }
            checked.set(moves.then_some(new));
            Ok(())
        };
        self.change_object(from, Follow::No, op, check, |old, copy| {
            let Some(mut new) = checked.take() else { return Ok(Report::default()) };
            match how {
                RenameHow::Exchange => self.exchange(ctx, old, &mut new, copy),
                _ => self.move_over(ctx, old, &mut new, copy),
            }
        })
    }

    /// Refuses what the names alone forbid, in the kernel's order.
    pub(super) fn may_rename(&self, old: &Spot, new: &Spot, how: RenameHow) -> Result<()> {
        let op = "rename";
        let from = old.found(op)?.node.kind;
        let exchange = how == RenameHow::Exchange;
        last_name(&old.path)?;
        last_name(&new.path)?;
        let kind = match new.place.kind() {
            None if exchange => ErrorKind::NotFound,
            Some(_) if how == RenameHow::NoReplace => ErrorKind::AlreadyExists,
            _ if is_no_op(old, new) => return Ok(()),
            _ if new.path.is_within(&old.path) => ErrorKind::InvalidInput,
            _ if old.path.is_within(&new.path) && exchange => ErrorKind::InvalidInput,
            _ if old.path.is_within(&new.path) => ErrorKind::NotEmpty,
            Some(to) if !exchange && from == Kind::Dir && to != Kind::Dir => ErrorKind::NotADirectory,
            Some(Kind::Dir) if !exchange && from != Kind::Dir => ErrorKind::IsADirectory,
            _ => return Ok(()),
        };
        Err(Error::new(kind, op).at(&new.path))
    }

    /// Refuses what the layers do not allow, where the names alone would.
    fn can_rename(&self, old: &Spot, new: &Spot, how: RenameHow) -> Result<()> {
        self.can_move(old)?;
        match how {
            RenameHow::Exchange => self.can_move(new),
            _ if new.place.is_dir() => self.must_be_empty(&new.place).map_err(|e| e.at(&new.path)),
            _ if new.place.top().is_none() => self.vacant(new, "rename"),
            _ => Ok(()),
        }
    }

    /// Refuses a lower or merged directory where redirects are off (semantics N06, N17).
    fn can_move(&self, spot: &Spot) -> Result<()> {
        let fixed = spot.place.is_dir() && !self.redirect_dir && self.has_lower(&spot.place);
        let error = || Error::new(ErrorKind::CrossLayerRename, "rename").at(&spot.path);
        if fixed { Err(error()) } else { Ok(()) }
    }

    fn has_lower(&self, place: &Place) -> bool {
        place.visible().any(|hit| !self.stack.is_upper(hit.layer))
    }

    /// Returns whether both names are hard links to one object, which makes a rename do nothing (semantics H04).
    fn is_one_object(&self, old: &Spot, new: &Spot) -> Result<bool> {
        let (Some(one), Some(other)) = (old.place.top(), new.place.top()) else { return Ok(false) };
        // Links in a lower are apart, since a change of one does not reach the other (semantics H01).
        if !self.stack.is_upper(one.layer) || !self.stack.is_upper(other.layer) || one.node.kind == Kind::Dir {
            return Ok(false);
        }
        let layer = &self.stack.layers[0];
        Ok(layer.stat(&one.node)?.ino == layer.stat(&other.node)?.ino)
    }

    fn move_over(&self, ctx: &Ctx, old: &mut Spot, new: &mut Spot, copy: Option<Copy>) -> Result<Report> {
        let op = "rename";
        let leave = if self.shows_below(old)? { Leave::Whiteout } else { Leave::Nothing };
        let redirect = self.redirect_for(old, &new.path)?;
        let settled = [old.place.top(), old.dirs.last().and_then(Place::top)]
            .iter()
            .all(|hit| hit.is_some_and(|hit| self.stack.is_upper(hit.layer)));
        let (node, copied_up) = self.object_up(old, copy, op)?;
        let dir = self.parents_up(old, op)?;
        let to_dir = if settled { self.parents_up(new, op)? } else { self.parent_again(new, op)? };
        self.mark_moved(ctx, &node, &old.place, redirect, self.lands_in_merged(new))?;
        let (name, to_name) = (last_name(&old.path)?, last_name(&new.path)?);
        self.commit(&[Step::Move { dir: &dir, name, to_dir: &to_dir, to_name, leave }], ctx.now)?;
        let created = new.place.top().is_none();
        let mut report = Report::of(Deed::Moved(old.path.clone()), &new.path);
        if node.kind != Kind::Dir {
            report = report.at(&node);
        }
        if leave == Leave::Whiteout {
            report = report.and(Deed::Whiteout, &old.path);
        }
        Ok(Report { created, copied_up, ..report })
    }

    fn exchange(&self, ctx: &Ctx, old: &mut Spot, new: &mut Spot, copy: Option<Copy>) -> Result<Report> {
        let op = "exchange";
        let redirects = (self.redirect_for(old, &new.path)?, self.redirect_for(new, &old.path)?);
        let (one, copied_up) = self.object_up(old, copy, op)?;
        // The first copy-up may have brought up parents that both share.
        *new = self.resolve(&new.path.clone(), Follow::No, op)?;
        let (other, also) = self.object_up(new, None, op)?;
        *old = self.resolve(&old.path.clone(), Follow::No, op)?;
        let (dir, to_dir) = (self.parents_up(old, op)?, self.parents_up(new, op)?);
        self.mark_moved(ctx, &one, &old.place, redirects.0, self.lands_in_merged(new))?;
        self.mark_moved(ctx, &other, &new.place, redirects.1, self.lands_in_merged(old))?;
        let (name, to_name) = (last_name(&old.path)?, last_name(&new.path)?);
        self.commit(&[Step::Exchange { dir: &dir, name, to_dir: &to_dir, to_name }], ctx.now)?;
        let report = Report::of(Deed::Moved(old.path.clone()), &new.path);
        let report = report.and(Deed::Moved(new.path.clone()), &old.path);
        Ok(Report { copied_up: copied_up + also, ..report })
    }

    /// Brings a spot's parents up after something else came up, whose parents it may share.
    fn parent_again(&self, spot: &mut Spot, op: &'static str) -> Result<Node> {
        let fresh = self.resolve(&spot.path, Follow::No, op)?;
        spot.dirs = fresh.dirs;
        self.parents_up(spot, op)
    }

    fn lands_in_merged(&self, spot: &Spot) -> bool {
        spot.dirs.last().is_some_and(Place::is_merged)
    }

    /// Marks a directory for its move: with a redirect, or as opaque where a merged directory would otherwise put
    /// lower names into it (semantics O06).
    fn mark_moved(
        &self,
        ctx: &Ctx,
        node: &Node,
        place: &Place,
        redirect: Option<Box<[u8]>>,
        into_merged: bool,
    ) -> Result<()> {
        let is_opaque = place.top().is_some_and(|hit| hit.marks.opaque == Opaque::Yes);
        let opaque = redirect.is_none() && place.is_dir() && !is_opaque && !self.has_lower(place) && into_merged;
        if redirect.is_none() && !opaque {
            return Ok(());
        }
        let change = Change { redirect, opaque, ..Change::default() };
        self.commit(&[Step::Set { node, change: &change }], ctx.now)?;
        self.upper("rename")?.settle()
    }

    /// Returns the redirect that a lower or merged directory needs for a move to `to`, unless it has a fitting one:
    /// its own name within a directory, its path from the root elsewhere (semantics N08, N09).
    fn redirect_for(&self, spot: &Spot, to: &VPath) -> Result<Option<Box<[u8]>>> {
        if !spot.place.is_dir() || !self.has_lower(&spot.place) {
            return Ok(None);
        }
        let same_dir = spot.path.split().map(|(dir, _)| dir) == to.split().map(|(dir, _)| dir);
        let has = self.upper_redirect(&spot.place);
        if has.is_some_and(|redirect| same_dir || redirect.starts_with(b"/")) {
            return Ok(None);
        }
        if same_dir {
            return Ok(Some(last_name(&spot.path)?.as_bytes().into()));
        }
        let path = self.path_below(spot)?;
        let error = || Error::new(ErrorKind::CrossLayerRename, "rename").at(&spot.path);
        if path.len() > REDIRECT_MAX { Err(error().because("its redirect would be too long")) } else { Ok(Some(path)) }
    }

    fn upper_redirect<'a>(&self, place: &'a Place) -> Option<&'a [u8]> {
        let top = place.top().filter(|hit| self.stack.is_upper(hit.layer))?;
        top.marks.redirect.as_deref()
    }

    /// Returns the path by which the lowers know a directory, from its ancestors' own redirects (semantics N09).
    fn path_below(&self, spot: &Spot) -> Result<Box<[u8]>> {
        let mut path: Vec<u8> = Vec::new();
        let places = spot.dirs.iter().skip(1).chain([&spot.place]);
        for (name, place) in spot.path.names().zip(places) {
            match self.upper_redirect(place) {
                Some(redirect) if redirect.starts_with(b"/") => path = redirect.to_vec(),
                redirect => push(&mut path, redirect.unwrap_or(name.as_bytes())),
            }
        }
        Ok(path.into())
    }

    /// Gives an object one more name. It is copied up first, as are the new name's parents (semantics C06).
    ///
    /// Refuses directories (`PermissionDenied`) and a taken name (`AlreadyExists`).
    pub fn link(&self, ctx: &Ctx, from: &VPath, to: &VPath) -> Result<Done> {
        let op = "link";
        let check = |old: &Spot| {
            old.found(op)?;
            let new = self.resolve(to, Follow::No, op)?;
            self.must_hold(ctx, &new, to, op)?;
            self.vacant(&new, op)?;
            let error = || Error::new(ErrorKind::PermissionDenied, op).at(from).because("a directory has one name");
            if old.place.is_dir() { Err(error()) } else { Ok(()) }
        };
        self.change_object(from, Follow::No, op, check, |old, copy| {
            let (node, copied_up) = self.object_up(old, copy, op)?;
            let mut new = self.resolve(to, Follow::No, op)?;
            let dir = self.parents_up(&mut new, op)?;
            let name = last_name(&new.path)?;
            self.commit(&[Step::Link { node: &node, dir: &dir, name }], ctx.now)?;
            Ok(Report { copied_up, ..Report::of(Deed::Created, &new.path) })
        })
    }
}

fn is_no_op(old: &Spot, new: &Spot) -> bool {
    old.path == new.path
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    path.push(b'/');
    path.extend_from_slice(name);
}
