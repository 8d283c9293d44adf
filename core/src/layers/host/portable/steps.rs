//! The steps of a commit on a portable upper: records and markers first, then the one call that decides,
//! then what has lost its meaning goes.

use std::{io, sync::Arc};

use super::{
    item::{self, Item, Standing},
    names::Names,
    store::{Portable, remove_if_there},
    tree::{look, missing},
};
use crate::{
    Error, ErrorKind, Kind, Leave, Name, Node, Result, Step,
    layers::host::{
        digest, failed,
        record::Record,
        slot::Slot,
        stage::Temp,
        sys::{Handle, Raw},
    },
};

/// One end of a step, and what stands there.
struct Place<'a> {
    dir: Arc<Item>,
    name: Name<'a>,
    names: Names,
    object: Option<Raw>,
    whiteout: bool,
}

impl<'a> Place<'a> {
    fn look(dir: &Node, name: Name<'a>) -> Result<Self> {
        let (dir, names) = (item::of(dir)?, Names::of(name));
        let object = look(&dir.object.handle, &names.object)?;
        let whiteout = look(&dir.object.handle, &names.whiteout)?.is_some();
        Ok(Self { dir, name, names, object, whiteout })
    }

    fn handle(&self) -> &Handle {
        &self.dir.object.handle
    }

    fn id(&self) -> Option<u64> {
        self.object.map(|raw| raw.stat.ino)
    }

    fn is_dir(&self) -> bool {
        self.object.is_some_and(|raw| raw.stat.kind == Kind::Dir)
    }
}

impl Portable {
    /// Applies one step.
    pub(super) fn apply(&self, step: &Step<'_>) -> Result<()> {
        match *step {
            Step::Place { node, dir, name, quiet } => self.place(node, &Place::look(dir, name)?, quiet),
            Step::Link { node, dir, name } => self.link(node, &Place::look(dir, name)?),
            Step::Move { dir, name, to_dir, to_name, leave } => {
                self.move_to(&mut Place::look(dir, name)?, &mut Place::look(to_dir, to_name)?, leave)
            }
            Step::Exchange { dir, name, to_dir, to_name } => {
                self.swap(&Place::look(dir, name)?, &Place::look(to_dir, to_name)?)
            }
            Step::Remove { dir, name, leave } => self.remove(&mut Place::look(dir, name)?, leave),
            Step::Set { node, change } => self.set(node, change),
        }
    }

    /// Returns the record of what stands at a place; of a directory, with its opacity in words.
    fn record_at(&self, at: &Place<'_>) -> Result<Record> {
        let Some(id) = at.id() else { return Ok(Record::default()) };
        let mut record = self.tree.slot(at.handle(), &at.names.record)?.of(id);
        if at.is_dir() {
            record.opaque = Some(record.opaque.unwrap_or(at.whiteout));
        }
        Ok(record)
    }

    /// Announces that `id` with `record` will stand at a place, beside what stands there still.
    fn announce(&self, at: &Place<'_>, id: u64, record: &Record) -> Result<()> {
        self.keep_name(&at.dir, at.name, &at.names)?;
        let stale = self.tree.slot(at.handle(), &at.names.record)?;
        if stale.0.is_empty() && record.is_empty() {
            return Ok(());
        }
        let mut slot = Slot::default();
        if let Some(old) = at.id().filter(|old| *old != id) {
            slot.0.push((old, stale.of(old)));
        }
        slot.0.push((id, record.clone()));
        self.store(&at.dir, &at.names.record, &slot)
    }

    /// Tidies a place at which `id` with `record` has come to stand: one record, and no marker but one
    /// that makes a directory opaque. `marked` tells whether there is a marker.
    fn tidy(&self, at: &Place<'_>, id: u64, mut record: Record, marked: bool) -> Result<()> {
        let opaque = std::mem::take(&mut record.opaque);
        if marked && opaque != Some(true) {
            // While the marker goes, the record in words still holds.
            self.stage_away(at.handle(), &at.names.whiteout)?;
        }
        record.opaque = opaque.filter(|opaque| *opaque && !marked);
        let slot = if record.is_empty() { Slot::default() } else { Slot(vec![(id, record)]) };
        if self.tree.slot(at.handle(), &at.names.record)? != slot {
            self.store(&at.dir, &at.names.record, &slot)?;
        }
        self.note(at);
        Ok(())
    }

    fn note(&self, at: &Place<'_>) {
        self.settler.note(at.dir.object.clone(), at.dir.id, Kind::Dir);
    }

    /// Lets go of the object that stood at a place: whoever holds it keeps its record, and a shared record
    /// goes with the last name.
    fn release(&self, at: &Place<'_>, mut record: Record) -> Result<()> {
        let Some(raw) = at.object else { return Ok(()) };
        let last = record.link.filter(|_| raw.stat.nlink <= 1);
        if last.is_some() {
            record = Record { link: None, ..self.tree.resolve_link(record)? };
        }
        if let Some(item) = self.tree.items.get(raw.stat.ino) {
            item.stand(Standing::Nowhere(record));
        }
        last.map_or(Ok(()), |link| self.drop_shared(&link))
    }

    fn place(&self, node: &Node, at: &Place<'_>, quiet: bool) -> Result<()> {
        let item = item::of(node)?;
        let temp = item.object.temp.as_ref().filter(|temp| !temp.is_placed());
        let temp = temp.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "place").because("it is not staged"))?;
        let before = at.handle().stat().map_err(failed("place"))?.stat.attrs;
        let is_dir = node.kind == Kind::Dir;
        let mut record = self.tree.record(&item)?;
        if is_dir {
            record.opaque = Some(record.opaque == Some(true)).filter(|opaque| *opaque != at.whiteout);
        }
        let replaced = self.record_at(at)?;
        self.announce(at, item.id, &record)?;
        self.put(&temp.name, is_dir, at).map_err(failed("place"))?;
        temp.place();
        self.release(at, replaced)?;
        item.stand(Standing::At(at.dir.clone(), at.name.to_owned()));
        if is_dir {
            record.opaque = Some(record.opaque.unwrap_or(at.whiteout));
        }
        self.tidy(at, item.id, record, at.whiteout)?;
        if quiet {
            at.handle().set_times(Some(before.atime), Some(before.mtime)).map_err(failed("restore times"))?;
        }
        if matches!(node.kind, Kind::Dir | Kind::File) && item.object.is_dirty() {
            self.settler.note(item.object.clone(), item.id, node.kind);
        }
        Ok(())
    }

    /// Puts a staged object at a host name and deletes what it replaces.
    fn put(&self, temp: &str, is_dir: bool, at: &Place<'_>) -> io::Result<()> {
        let stage = self.stage.dir();
        let replaces = at.object.is_some_and(|_| at.is_dir() || is_dir);
        if !replaces {
            return stage.rename(temp.as_bytes(), at.handle(), &at.names.object);
        }
        match stage.exchange(temp.as_bytes(), at.handle(), &at.names.object) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.put_after(temp, at),
            exchanged => {
                exchanged?;
                self.stage.discard(temp);
                Ok(())
            }
        }
    }

    /// Replaces in two steps, where the host cannot exchange names (Windows): a crash between them leaves the
    /// name free, or its whiteout.
    fn put_after(&self, temp: &str, at: &Place<'_>) -> io::Result<()> {
        let old = Temp::new(self.stage.clone(), self.stage.name(), false);
        at.handle().rename(&at.names.object, self.stage.dir(), old.name.as_bytes())?;
        self.stage.dir().rename(temp.as_bytes(), at.handle(), &at.names.object)
    }

    /// Moves what stands at a host name to the stage by one rename, and deletes it there.
    fn stage_away(&self, dir: &Handle, host: &[u8]) -> Result<()> {
        let temp = Temp::new(self.stage.clone(), self.stage.name(), false);
        dir.rename(host, self.stage.dir(), temp.name.as_bytes()).map_err(failed("remove"))
    }

    /// Puts a whiteout marker where there is none. A directory beside it stays as opaque as it was.
    fn mark(&self, at: &mut Place<'_>) -> Result<()> {
        if at.whiteout {
            return Ok(());
        }
        self.keep_name(&at.dir, at.name, &at.names)?;
        if at.is_dir() {
            self.speak_out(at)?;
        }
        at.handle().make_file(&at.names.whiteout).map_err(failed("make whiteout"))?;
        at.whiteout = true;
        Ok(())
    }

    /// Writes into a directory's record whether it is opaque.
    fn speak_out(&self, at: &Place<'_>) -> Result<()> {
        let Some(id) = at.id() else { return Ok(()) };
        self.store(&at.dir, &at.names.record, &Slot(vec![(id, self.record_at(at)?)]))
    }

    fn remove(&self, at: &mut Place<'_>, leave: Leave) -> Result<()> {
        if leave == Leave::Whiteout {
            self.mark(at)?;
        } else if at.object.is_none() && !at.whiteout {
            return Err(missing("remove", at.name));
        }
        if at.object.is_some() {
            self.take_away(at)?;
        }
        if leave == Leave::Nothing {
            self.forget(at)?;
        }
        self.note(at);
        Ok(())
    }

    /// Removes what is left of a name whose object has gone.
    fn forget(&self, at: &Place<'_>) -> Result<()> {
        if at.whiteout {
            self.stage_away(at.handle(), &at.names.whiteout)?;
        }
        let long = at.names.long.as_ref().map_or(Ok(()), |long| remove_if_there(at.handle(), long));
        long.map_err(failed("remove name"))
    }

    fn take_away(&self, at: &Place<'_>) -> Result<()> {
        let record = self.record_at(at)?;
        self.stage_away(at.handle(), &at.names.object)?;
        self.release(at, record)?;
        remove_if_there(at.handle(), &at.names.record).map_err(failed("remove record"))
    }

    fn move_to(&self, from: &mut Place<'_>, to: &mut Place<'_>, leave: Leave) -> Result<()> {
        let Some(source) = from.object else { return Err(missing("move", from.name)) };
        let (id, is_dir) = (source.stat.ino, source.stat.kind == Kind::Dir);
        if to.id() == Some(id) && !is_dir {
            return self.remove(from, leave);
        }
        self.clear_target(to, is_dir)?;
        let record = self.record_at(from)?;
        let replaced = self.record_at(to)?;
        let spoken = Record { opaque: record.opaque.filter(|opaque| *opaque != to.whiteout), ..record.clone() };
        self.announce(to, id, &spoken)?;
        if leave == Leave::Whiteout {
            self.mark(from)?;
        }
        from.handle().rename(&from.names.object, to.handle(), &to.names.object).map_err(failed("move"))?;
        self.release(to, replaced)?;
        if let Some(item) = self.tree.items.get(id) {
            item.stand(Standing::At(to.dir.clone(), to.name.to_owned()));
        }
        self.tidy(to, id, record, to.whiteout)?;
        remove_if_there(from.handle(), &from.names.record).map_err(failed("remove record"))?;
        if leave == Leave::Nothing {
            self.forget(from)?;
        }
        self.note(from);
        Ok(())
    }

    /// Makes the target one that a rename can replace: a directory that only holds whiteouts becomes opaque
    /// and then empty; a target of the other sort becomes a whiteout first, which the overlay never asks for.
    fn clear_target(&self, to: &mut Place<'_>, is_dir: bool) -> Result<()> {
        match to.object {
            None => Ok(()),
            Some(_) if to.is_dir() && is_dir => self.empty_dir(to),
            Some(_) if to.is_dir() != is_dir => {
                self.remove(to, Leave::Whiteout)?;
                to.object = None;
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn empty_dir(&self, at: &Place<'_>) -> Result<()> {
        let dir = at.handle().child(&at.names.object).map_err(failed("clear directory"))?;
        let mut names: Vec<Box<[u8]>> = Vec::new();
        dir.scan(&mut |name, _| names.push(name.into())).map_err(failed("clear directory"))?;
        let Some(id) = at.id().filter(|_| !names.is_empty()) else { return Ok(()) };
        let record = Record { opaque: Some(true), ..self.record_at(at)? };
        self.store(&at.dir, &at.names.record, &Slot(vec![(id, record)]))?;
        names.iter().try_for_each(|name| self.stage_away(&dir, name))
    }

    fn link(&self, node: &Node, at: &Place<'_>) -> Result<()> {
        let item = item::of(node)?;
        let record = self.tree.record(&item)?;
        let link = match record.link {
            Some(link) => link,
            None => self.share(&item, &record)?,
        };
        let shared = Record { link: Some(link), ..Record::default() };
        let replaced = self.record_at(at)?;
        self.announce(at, item.id, &shared)?;
        self.link_name(&item, at).map_err(failed("link"))?;
        if at.id() != Some(item.id) {
            self.release(at, replaced)?;
        }
        self.tidy(at, item.id, shared, at.whiteout)
    }

    /// Gives an object a record that all its names share, and returns the number of it.
    fn share(&self, item: &Item, record: &Record) -> Result<[u8; 16]> {
        let raw = item.object.handle.stat().map_err(failed("link"))?;
        let ctime = raw.stat.ctime;
        let link = digest(&[raw.dev, raw.stat.ino, ctime.secs as u64, ctime.nanos.into()]);
        self.store_shared(&link, record)?;
        let shared = Record { link: Some(link), ..Record::default() };
        match item.standing() {
            Standing::At(dir, name) => {
                self.store(&dir, &Names::of(name.as_name()).record, &Slot(vec![(item.id, shared)]))?;
            }
            _ => item.stand(Standing::Nowhere(shared)),
        }
        Ok(link)
    }

    fn link_name(&self, item: &Item, at: &Place<'_>) -> io::Result<()> {
        let to = at.handle();
        if at.object.is_none() {
            return self.link_into(item, to, &at.names.object);
        }
        // By way of the stage, to replace what stands there by one rename.
        let temp = Temp::new(self.stage.clone(), self.stage.name(), false);
        self.link_into(item, self.stage.dir(), temp.name.as_bytes())?;
        self.stage.dir().rename(temp.name.as_bytes(), to, &at.names.object)
    }

    fn link_into(&self, item: &Item, dir: &Handle, host: &[u8]) -> io::Result<()> {
        match (item.standing(), &item.object.temp) {
            (Standing::At(from, name), _) => from.object.handle.link(&Names::of(name.as_name()).object, dir, host),
            (_, Some(temp)) if !temp.is_placed() => self.stage.dir().link(temp.name.as_bytes(), dir, host),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn swap(&self, one: &Place<'_>, other: &Place<'_>) -> Result<()> {
        let (Some(one_id), Some(other_id)) = (one.id(), other.id()) else {
            return Err(missing("exchange", if one.object.is_none() { one.name } else { other.name }));
        };
        let (record, other_record) = (self.record_at(one)?, self.record_at(other)?);
        let both = Slot(vec![(one_id, record.clone()), (other_id, other_record.clone())]);
        self.store(&one.dir, &one.names.record, &both)?;
        self.store(&other.dir, &other.names.record, &both)?;
        one.handle().exchange(&one.names.object, other.handle(), &other.names.object).map_err(failed("exchange"))?;
        for (id, at) in [(one_id, other), (other_id, one)] {
            if let Some(item) = self.tree.items.get(id) {
                item.stand(Standing::At(at.dir.clone(), at.name.to_owned()));
            }
        }
        self.tidy(other, one_id, record, other.whiteout)?;
        self.tidy(one, other_id, other_record, one.whiteout)
    }
}
