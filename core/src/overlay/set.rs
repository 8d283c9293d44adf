//! Changing metadata: mode, owner, times, extended attributes (semantics C03, C04, 2.12).

use crate::{
    Change, Error, ErrorKind, Kind, NAME_MAX, Node, Result, Step, VPath,
    overlay::{Ctx, Deed, Done, Follow, Overlay, Spot, write::Report},
};

/// What setting an extended attribute expects (semantics X05).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrHow {
    /// Nothing: it is created or replaced.
    Any,
    /// That it is not there.
    Create,
    /// That it is there.
    Replace,
}

impl Overlay {
    /// Changes metadata. An object of a lower is copied up, content included, even when nothing changes (C04).
    ///
    /// Refuses the removal of an attribute that is not there (`NoAttribute`) before anything is copied up (C18),
    /// a mode over 0o7777 and a name that no extended attribute has (`InvalidInput`), and `user.` attributes of anything but files and directories
    /// (`PermissionDenied`, X08).
    pub fn set(&self, ctx: &Ctx, path: &VPath, follow: Follow, change: &Change) -> Result<Done> {
        self.set_if(ctx, path, follow, change, |_| Ok(()))
    }

    /// Sets one extended attribute.
    ///
    /// Refuses one that is there (`AlreadyExists`) or is not (`NoAttribute`) as `how` asks, and what [`Overlay::set`]
    /// refuses.
    pub fn set_xattr(
        &self,
        ctx: &Ctx,
        path: &VPath,
        follow: Follow,
        name: &[u8],
        value: &[u8],
        how: XattrHow,
    ) -> Result<Done> {
        let xattrs = vec![(name.into(), Some(value.into()))];
        let change = Change { xattrs, faithful: ctx.faithful, ..Change::default() };
        self.set_if(ctx, path, follow, &change, |spot| match (how, self.has_xattr(spot, name)?) {
            (XattrHow::Create, true) => Err(Error::new(ErrorKind::AlreadyExists, "set attribute")),
            (XattrHow::Replace, false) => Err(Error::new(ErrorKind::NoAttribute, "set attribute")),
            _ => Ok(()),
        })
    }

    fn set_if(
        &self,
        ctx: &Ctx,
        path: &VPath,
        follow: Follow,
        change: &Change,
        check: impl Fn(&Spot) -> Result<()>,
    ) -> Result<Done> {
        let op = "set metadata";
        let check = |spot: &Spot| {
            spot.found(op)?;
            self.must_hold(ctx, spot, path, op)?;
            self.allowed(spot, change, op)?;
            check(spot)
        };
        self.change_object(path, follow, op, check, |spot, copy| {
            let (node, copied_up) = self.object_up(spot, copy, op)?;
            self.commit(&[Step::Set { node: &node, change }], ctx.now)?;
            Ok(Report { copied_up, ..Report::of(Deed::Metadata, &spot.path) })
        })
    }

    pub(super) fn allowed(&self, spot: &Spot, change: &Change, op: &'static str) -> Result<()> {
        if change.mode.is_some_and(|mode| mode > 0o7777) {
            return Err(Error::new(ErrorKind::InvalidInput, op).because("a mode is at most 7777"));
        }
        let kind = spot.found(op)?.node.kind;
        for (name, value) in &change.xattrs {
            if !is_attribute(name) {
                return Err(Error::new(ErrorKind::InvalidInput, op).because("no extended attribute has such a name"));
            }
            if name.starts_with(b"user.") && !matches!(kind, Kind::File | Kind::Dir) {
                return Err(Error::new(ErrorKind::PermissionDenied, op));
            }
            if value.is_none() && !self.has_xattr(spot, name)? {
                return Err(Error::new(ErrorKind::NoAttribute, op));
            }
        }
        Ok(())
    }

    fn has_xattr(&self, spot: &Spot, name: &[u8]) -> Result<bool> {
        let hit = spot.found("read attributes")?;
        Ok(self.stack.layers[hit.layer].xattrs(&hit.node)?.iter().any(|x| &*x.name == name))
    }

    /// Marks a directory of the upper as hiding what lies below.
    pub(super) fn make_opaque(&self, ctx: &Ctx, node: &Node) -> Result<()> {
        let change = Change { opaque: true, ..Change::default() };
        self.commit(&[Step::Set { node, change: &change }], ctx.now)
    }
}

/// Returns whether a name is one of the kernel's: one of its namespaces and something in it, at most 255 bytes.
fn is_attribute(name: &[u8]) -> bool {
    const NAMESPACES: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system."];
    let rest = NAMESPACES.iter().find_map(|space| name.strip_prefix(*space));
    rest.is_some_and(|rest| !rest.is_empty()) && name.len() <= NAME_MAX && !name.contains(&0)
}
