//! Removing: what shows goes, and a whiteout stays where something below would show (semantics 2.4, 2.5).

use crate::{
    Error, ErrorKind, Kind, Leave, Result, Step, VPath,
    overlay::{
        Ctx, Deed, Done, Follow, Overlay, Place, Spot,
        write::{Report, last_name},
    },
};

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Anything but a directory.
    File,
    /// A directory that shows nothing.
    EmptyDir,
    /// Anything, with everything beneath it, in one step.
    Tree,
}

impl Overlay {
    /// Removes what stands at a path. The parents come up, what is removed does not (semantics C07).
    ///
    /// Refuses a directory as a file (`IsADirectory`), a file as a directory (`NotADirectory`), a directory that
    /// shows entries unless the whole tree is meant (`NotEmpty`), and the root.
    pub fn remove(&self, ctx: &Ctx, path: &VPath, removal: Removal) -> Result<Done> {
        let op = "remove";
        self.change(path, op, || {
            let mut spot = self.resolve(path, Follow::No, op)?;
            self.must_hold(ctx, &spot, path, op)?;
            let kind = spot.found(op)?.node.kind;
            last_name(path)?;
            self.removable(&spot.place, kind, removal).map_err(|kind| Error::new(kind, op).at(path))??;
            let leave = if self.shows_below(&spot)? { Leave::Whiteout } else { Leave::Nothing };
            self.remove_upper(ctx, &mut spot, leave, op)?;
            let report = Report::of(Deed::Removed, &spot.path);
            Ok(if leave == Leave::Whiteout { report.and(Deed::Whiteout, &spot.path) } else { report })
        })
    }

    fn removable(&self, place: &Place, kind: Kind, removal: Removal) -> std::result::Result<Result<()>, ErrorKind> {
        match (removal, kind) {
            (Removal::Tree, _) => Ok(Ok(())),
            (Removal::File, Kind::Dir) => Err(ErrorKind::IsADirectory),
            (Removal::File, _) => Ok(Ok(())),
            (Removal::EmptyDir, Kind::Dir) => Ok(self.must_be_empty(place)),
            (Removal::EmptyDir, _) => Err(ErrorKind::NotADirectory),
        }
    }

    /// Refuses a directory that shows entries; whiteouts in it do not count (semantics O02).
    pub(super) fn must_be_empty(&self, place: &Place) -> Result<()> {
        match self.stack.list(place, None, 1, Default::default())?.is_empty() {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NotEmpty, "remove")),
        }
    }

    pub(super) fn remove_upper(&self, ctx: &Ctx, spot: &mut Spot, leave: Leave, op: &'static str) -> Result<()> {
        let dir = self.parents_up(spot, op)?;
        let name = last_name(&spot.path)?;
        self.commit(&[Step::Remove { dir: &dir, name, leave }], ctx.now)
    }
}
