//! The steps of a commit on a kernel-form upper, each decided by one system call.
//!
//! What is replaced or removed goes to the stage by that same call (rename or exchange) and is deleted
//! there; marks that are harmless alone are set before (semantics W15, O02, N04).

use std::{io, sync::Arc};

use super::{
    beside, failed,
    kernel::Kernel,
    object::{self, Object},
    slot::Slot,
    stage::{self, Temp},
    sys::{Handle, Raw},
};
use crate::{Error, ErrorKind, Kind, Leave, Name, NameBuf, Node, Result, Stat, Step};

/// One end of a step: a directory of the upper and a name in it.
#[derive(Clone, Copy)]
struct Place<'a> {
    node: &'a Node,
    dir: &'a Handle,
    name: &'a [u8],
}

impl<'a> Place<'a> {
    fn new(node: &'a Node, name: Name<'a>) -> Result<Self> {
        Ok(Self { node, dir: &object::of(node)?.handle, name: name.as_bytes() })
    }

    /// Returns what stands here, or `None`.
    fn look(&self) -> Result<Option<Raw>> {
        match self.dir.child_stat(self.name) {
            Ok(raw) => Ok(Some(raw)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("look up")(error)),
        }
    }

    /// Tells an object that cannot carry its record where that is kept from now on.
    fn keep(&self, object: &Object) -> Result<()> {
        if let Some(beside) = &object.beside {
            beside::lock(beside).at = Some((object::shared(self.node)?, NameBuf::new(self.name)?));
        }
        Ok(())
    }

    /// Returns what stands here, or `NotFound`.
    fn find(&self, op: &'static str) -> Result<Raw> {
        self.look()?.ok_or_else(|| Error::new(ErrorKind::NotFound, op).at_bytes(self.name))
    }
}

impl Kernel {
    /// Applies one step.
    pub(super) fn apply(&self, step: &Step<'_>) -> Result<()> {
        match *step {
            Step::Place { node, dir, name, quiet } => self.place(node, Place::new(dir, name)?, quiet),
            Step::Link { node, dir, name } => self.link(node, Place::new(dir, name)?),
            Step::Move { dir, name, to_dir, to_name, leave } => {
                self.move_to(Place::new(dir, name)?, Place::new(to_dir, to_name)?, leave)
            }
            Step::Exchange { dir, name, to_dir, to_name } => {
                self.swap(Place::new(dir, name)?, Place::new(to_dir, to_name)?)
            }
            Step::Remove { dir, name, leave } => self.remove(Place::new(dir, name)?, leave),
            Step::Set { node, change } => self.set(node, change),
        }
    }

    fn note(&self, at: Place<'_>) -> Result<()> {
        self.settler.note(object::shared(at.node)?, at.node.id, Kind::Dir);
        Ok(())
    }

    fn place(&self, node: &Node, at: Place<'_>, quiet: bool) -> Result<()> {
        let object = object::shared(node)?;
        let temp = object.temp.as_ref().filter(|temp| !temp.is_placed());
        let temp = temp.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "place").because("it is not staged"))?;
        if temp.copied_up {
            self.mark_impure(at.dir)?;
        }
        let before = quiet.then(|| at.dir.stat().map_err(failed("place"))).transpose()?;
        let slot = beside_slot(&object, node.id);
        self.announce(at.dir, at.name, &slot)?;
        self.put(&temp.name, node.kind == Kind::Dir, at).map_err(failed("place"))?;
        temp.place();
        self.tidy(at.dir, at.name, &slot)?;
        at.keep(&object)?;
        if let Some(Raw { stat: Stat { attrs, .. }, .. }) = before {
            at.dir.set_times(Some(attrs.atime), Some(attrs.mtime)).map_err(failed("restore times"))?;
        }
        self.note_placed(object.clone(), node);
        self.note(at)
    }

    /// Notes what its own sync has not covered: directories, and files that changed since.
    fn note_placed(&self, object: Arc<Object>, node: &Node) {
        // The inodes of other kinds are durable with the directory that names them.
        if matches!(node.kind, Kind::Dir | Kind::File) && object.is_dirty() {
            self.settler.note(object, node.id, node.kind);
        }
    }

    /// Puts a staged object at a name and deletes what it replaces.
    fn put(&self, temp: &str, is_dir: bool, at: Place<'_>) -> io::Result<()> {
        let (stage, name) = (self.stage.dir(), temp.as_bytes());
        let renamed = match is_dir {
            true => stage.rename_new(name, at.dir, at.name),
            false => stage.rename(name, at.dir, at.name),
        };
        match renamed {
            Err(error) if occupied(&error) => {
                stage.exchange(name, at.dir, at.name)?;
                self.stage.discard(temp);
                Ok(())
            }
            renamed => renamed,
        }
    }

    fn link(&self, node: &Node, at: Place<'_>) -> Result<()> {
        let object = object::shared(node)?;
        if object.handle.xattr(self.native.keys().origin).map_err(failed("link"))?.is_some() {
            self.mark_impure(at.dir)?;
        }
        let slot = beside_slot(&object, node.id);
        self.announce(at.dir, at.name, &slot)?;
        match object.handle.link_into(at.dir, at.name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.link_over(&object, at),
            linked => linked,
        }
        .map_err(failed("link"))?;
        self.tidy(at.dir, at.name, &slot)?;
        self.note(at)
    }

    /// Links by way of the stage, to replace what stands there by one rename.
    fn link_over(&self, object: &Object, at: Place<'_>) -> io::Result<()> {
        let temp = Temp::new(self.stage.clone(), self.stage.name(), false);
        object.handle.link_into(self.stage.dir(), temp.name.as_bytes())?;
        // Renaming one link of an inode over another does nothing: then the temporary one is dropped.
        self.stage.dir().rename(temp.name.as_bytes(), at.dir, at.name)
    }

    fn remove(&self, at: Place<'_>, leave: Leave) -> Result<()> {
        let gone = match leave {
            Leave::Nothing => self.vacate(at),
            Leave::Whiteout => match self.look_kind(at)? {
                None => self.stage.whiteout(at.dir, at.name),
                Some(Kind::Whiteout) => Ok(()),
                Some(kind) => self.cover(at, kind),
            },
        };
        gone.map_err(failed("remove"))?;
        self.tidy(at.dir, at.name, &Slot::default())?;
        self.note(at)
    }

    /// Leaves nothing there. Which call takes it away the first one tells, so that nobody need look before.
    fn vacate(&self, at: Place<'_>) -> io::Result<()> {
        match at.dir.unlink(at.name) {
            Err(error) if stage::is_dir(&error) && at.dir.child_stat(at.name)?.stat.kind == Kind::Dir => {
                self.remove_dir(at)
            }
            gone => gone,
        }
    }

    fn look_kind(&self, at: Place<'_>) -> Result<Option<Kind>> {
        Ok(at.look()?.map(|raw| raw.stat.kind))
    }

    /// Replaces what stands there by a whiteout.
    fn cover(&self, at: Place<'_>, kind: Kind) -> io::Result<()> {
        let temp = Temp::new(self.stage.clone(), self.stage.spare_whiteout()?, false);
        self.put(&temp.name, kind == Kind::Dir, at)?;
        temp.place();
        Ok(())
    }

    /// Removes a directory: in place when it is empty, else by a rename to the stage.
    fn remove_dir(&self, at: Place<'_>) -> io::Result<()> {
        match at.dir.remove_dir(at.name) {
            Err(error) if occupied(&error) => {
                let temp = Temp::new(self.stage.clone(), self.stage.name(), false);
                at.dir.rename(at.name, self.stage.dir(), temp.name.as_bytes())
            }
            removed => removed,
        }
    }

    fn move_to(&self, from: Place<'_>, to: Place<'_>, leave: Leave) -> Result<()> {
        let target = to.look()?;
        // Over nothing, what is moved need not be known, unless it cannot carry its record.
        let known = target.is_some() || self.native.keys().links.is_some();
        let source = known.then(|| from.find("move")).transpose()?;
        let is_dir = source.is_some_and(|source| source.stat.kind == Kind::Dir);
        if !is_dir && source.zip(target).is_some_and(|(source, target)| source.id() == target.id()) {
            return self.remove(from, leave);
        }
        self.mark_moved(from, to)?;
        let slot = source.map_or_else(|| Ok(Slot::default()), |raw| self.slot_at(from.dir, from.name, &raw))?;
        self.announce(to.dir, to.name, &slot)?;
        let target = self.clear_target(to, is_dir, target.map(|target| target.stat.kind));
        let moved = target.and_then(|target| match (leave, target) {
            (Leave::Whiteout, Some(Kind::Whiteout)) => from.dir.exchange(from.name, to.dir, to.name),
            (Leave::Whiteout, _) => from.dir.rename_whiteout(from.name, to.dir, to.name),
            // The whiteout comes to stand at the old name, where nothing lies below, and goes (N16).
            (Leave::Nothing, Some(Kind::Whiteout)) if is_dir => {
                from.dir.exchange(from.name, to.dir, to.name).and_then(|()| from.dir.unlink(from.name))
            }
            (Leave::Nothing, _) => from.dir.rename(from.name, to.dir, to.name),
        });
        moved.map_err(failed("move"))?;
        self.tidy(to.dir, to.name, &slot)?;
        self.tidy(from.dir, from.name, &Slot::default())?;
        self.note(from)?;
        self.note(to)
    }

    /// Makes the target one that a rename can replace, and returns its kind.
    ///
    /// A directory gives way when only whiteouts are in it: an empty opaque one takes its place (O02,
    /// O07). A target of the other sort becomes a whiteout first; the kernel refuses these renames, and
    /// the overlay asks for none.
    fn clear_target(&self, to: Place<'_>, is_dir: bool, target: Option<Kind>) -> io::Result<Option<Kind>> {
        match target {
            Some(Kind::Dir) if is_dir => self.empty_dir(to).map(|()| target),
            Some(Kind::Whiteout) | None => Ok(target),
            Some(kind) if (kind == Kind::Dir) != is_dir => self.cover(to, kind).map(|()| Some(Kind::Whiteout)),
            Some(_) => Ok(target),
        }
    }

    /// Exchanges a directory that is not empty for an empty opaque one with the same attributes.
    fn empty_dir(&self, at: Place<'_>) -> io::Result<()> {
        let full = at.dir.child(at.name)?;
        let mut empty = true;
        full.scan(&mut |_, _| empty = false)?;
        if empty {
            return Ok(());
        }
        let temp = Temp::new(self.stage.clone(), self.stage.name(), false);
        self.stage.dir().make_dir(temp.name.as_bytes())?;
        let fresh = self.stage.dir().child(temp.name.as_bytes())?;
        copy_attributes(&full, &fresh)?;
        fresh.set_xattr(self.native.keys().opaque.as_bytes(), b"y")?;
        // The full one ends at the temporary name, and goes with it.
        self.stage.dir().exchange(temp.name.as_bytes(), at.dir, at.name)
    }

    /// Marks the new parent of a copied-up object (N18); its old one has been marked.
    fn mark_moved(&self, from: Place<'_>, to: Place<'_>) -> Result<()> {
        if from.node.id == to.node.id {
            return Ok(());
        }
        let origin = from.dir.child_xattr(from.name, self.native.keys().origin);
        match origin.map_err(failed("read mark"))? {
            Some(_) => self.mark_impure(to.dir),
            None => Ok(()),
        }
    }

    fn swap(&self, one: Place<'_>, other: Place<'_>) -> Result<()> {
        self.mark_moved(one, other)?;
        self.mark_moved(other, one)?;
        let (raw, other_raw) = (one.find("exchange")?, other.find("exchange")?);
        let slot = self.slot_at(one.dir, one.name, &raw)?;
        let other_slot = self.slot_at(other.dir, other.name, &other_raw)?;
        self.announce(one.dir, one.name, &other_slot)?;
        self.announce(other.dir, other.name, &slot)?;
        one.dir.exchange(one.name, other.dir, other.name).map_err(failed("exchange"))?;
        self.tidy(one.dir, one.name, &other_slot)?;
        self.tidy(other.dir, other.name, &slot)?;
        self.note(one)?;
        self.note(other)
    }
}

/// Returns the record that a node's object cannot carry itself.
fn beside_slot(object: &Object, id: u64) -> Slot {
    object.beside.as_ref().map_or_else(Slot::default, |kept| beside::slot_of(id, beside::lock(kept).record.clone()))
}

/// Returns whether a rename failed because of what stands at the target.
fn occupied(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::AlreadyExists | E::IsADirectory | E::DirectoryNotEmpty | E::NotADirectory)
}

fn copy_attributes(from: &Handle, to: &Handle) -> io::Result<()> {
    let attrs = from.stat()?.stat.attrs;
    to.set_owner(Some(attrs.uid), Some(attrs.gid))?;
    for name in from.xattr_names()? {
        if let Some(value) = from.xattr_bytes(&name)? {
            to.set_xattr(&name, &value)?;
        }
    }
    to.set_mode(attrs.mode)?;
    to.set_times(Some(attrs.atime), Some(attrs.mtime))
}
