//! Making, naming and removing.

use fuser::{FileAttr, RenameFlags};
use ovl_core::{
    Device, Error, ErrorKind, Kind, Name, Result,
    overlay::{Ctx, Done, Info, Removal, RenameHow},
};

use super::{
    files::{How, Made},
    pass::Way,
    tree::Tree,
};

/// What is to be made at a new name.
pub(super) enum Make<'a> {
    Dir { mode: u32 },
    File { mode: u32 },
    Special { kind: Kind, rdev: Device, mode: u32 },
    Symlink { target: &'a [u8] },
}

impl Tree {
    /// Makes an object. Refuses what the engine refuses.
    pub(super) fn make(&self, ctx: &Ctx, dir: u64, name: Name<'_>, what: &Make<'_>) -> Result<FileAttr> {
        let (_still, before) = (self.still(), self.by_others());
        let path = self.at(dir, name)?;
        let done = match *what {
            Make::Dir { mode } => self.overlay.mkdir(ctx, &path, Some(mode))?,
            Make::File { mode } => self.overlay.make_file(ctx, &path, Some(mode))?,
            Make::Special { kind, rdev, mode } => self.overlay.mknod(ctx, &path, kind, rdev, Some(mode))?,
            Make::Symlink { target } => self.overlay.symlink(ctx, &path, target)?,
        };
        let info = made(done)?;
        Ok(self.made(dir, name, &info.stat, top(&info), before))
    }

    /// Makes a file and opens it; one that has come to stand there meanwhile is opened, unless it must be new.
    pub(super) fn create(
        &self,
        ctx: &Ctx,
        dir: u64,
        name: Name<'_>,
        mode: u32,
        flags: i32,
    ) -> Result<(FileAttr, u64, Way)> {
        let exclusive = rustix::fs::OFlags::from_bits_retain(flags as u32).contains(rustix::fs::OFlags::EXCL);
        let (found, made) = match self.make_file(ctx, dir, name, mode) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && !exclusive => {
                (self.look_up(dir, name)?.ok_or(error)?, None)
            }
            made => made.map(|(found, made)| (found, Some(made)))?,
        };
        // What has just been made is not emptied, and so keeps its rights.
        let asked = How::of(flags);
        let how = How { truncates: asked.truncates && made.is_none(), ..asked };
        match self.open(ctx, found.ino.0, how, made, None) {
            Ok((handle, way)) => Ok((found, handle, way)),
            Err(error) => {
                self.table().forget(found.ino.0, 1);
                Err(error)
            }
        }
    }

    fn make_file(&self, ctx: &Ctx, dir: u64, name: Name<'_>, mode: u32) -> Result<(FileAttr, Made)> {
        let (_still, before) = (self.still(), self.by_others());
        let (done, object) = self.overlay.make_object(ctx, &self.at(dir, name)?, Some(mode))?;
        let (generation, info) = (done.generation, made(done)?);
        Ok((self.made(dir, name, &info.stat, top(&info), before), Made { object, generation }))
    }

    pub(super) fn link(&self, ctx: &Ctx, ino: u64, dir: u64, name: Name<'_>) -> Result<FileAttr> {
        let (_still, before) = (self.still(), self.by_others());
        let done = self.overlay.link(ctx, &self.path(ino)?, &self.at(dir, name)?)?;
        let info = made(done)?;
        let sight = self.sight(&info.stat, top(&info));
        self.table().link(ino, dir, name, sight);
        self.look_anew(dir, name, before);
        Ok(super::attr::attr(ino, &info.stat))
    }

    pub(super) fn remove(&self, ctx: &Ctx, dir: u64, name: Name<'_>, removal: Removal) -> Result<()> {
        let _still = self.still();
        self.keep(dir, name)?;
        self.overlay.remove(ctx, &self.at(dir, name)?, removal).map(drop)
    }

    pub(super) fn rename(&self, ctx: &Ctx, from: (u64, Name<'_>), to: (u64, Name<'_>), how: RenameHow) -> Result<()> {
        // What is beneath a directory goes with it: nobody may be on the way there.
        let is_dir = |(dir, name): (u64, Name<'_>)| {
            let table = self.table();
            table.child(dir, name).is_none_or(|ino| table.is_dir(ino))
        };
        let moves_dir = is_dir(from) || (how == RenameHow::Exchange && is_dir(to));
        let (_alone, _still) = if moves_dir { (Some(self.alone()), None) } else { (None, Some(self.still())) };
        if how == RenameHow::Replace {
            self.keep(to.0, to.1)?;
        }
        self.overlay.rename(ctx, &self.at(from.0, from.1)?, &self.at(to.0, to.1)?, how).map(drop)
    }
}

/// Returns how a rename is to be done. Refuses whiteouts, which are not the user's to leave (semantics N14).
pub(super) fn how(flags: RenameFlags) -> Result<RenameHow> {
    if flags.is_empty() {
        Ok(RenameHow::Replace)
    } else if flags == RenameFlags::RENAME_NOREPLACE {
        Ok(RenameHow::NoReplace)
    } else if flags == RenameFlags::RENAME_EXCHANGE {
        Ok(RenameHow::Exchange)
    } else {
        Err(Error::new(ErrorKind::InvalidInput, "rename"))
    }
}

fn top(info: &Info) -> usize {
    info.layers.first().copied().unwrap_or_default()
}

fn made(done: Done) -> Result<Info> {
    done.info.ok_or_else(|| Error::new(ErrorKind::LayerChanged, "make"))
}
