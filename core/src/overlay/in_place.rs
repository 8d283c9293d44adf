//! Writing in place, for whoever holds a file open and writes it piece by piece.
//!
//! Other changes of content are whole when they show; here each piece shows at once and the file stays the same object,
//! as an open descriptor wants it. Pieces and changes take turns, so that no change copies a file while a piece of it
//! is on its way.

use std::{
    ops::Range,
    sync::{Arc, PoisonError, RwLockReadGuard},
};

use crate::{
    Allocate, Blob, BlobMut, Change, Error, ErrorKind, Kind, Node, Result, Step, Time, VPath,
    overlay::{
        Ctx, Deed, Follow, Object, Overlay, Spot,
        copy_up::{Content, Copy, needs_copy},
        write::Report,
    },
};

/// What a file holds when it has been opened for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// What it held before.
    Kept,
    /// Nothing: a lower's content is not even copied (semantics C02).
    Empty,
}

/// The content of an upper's file, open to be written in place.
pub struct Writer {
    node: Node,
    content: Arc<dyn BlobMut>,
    came_up: bool,
}

impl Writer {
    /// Returns the content, to read it.
    pub fn content(&self) -> Arc<dyn Blob> {
        self.content.clone()
    }

    /// Returns whether the file was copied up for it.
    pub fn came_up(&self) -> bool {
        self.came_up
    }
}

/// Holds off changes while it lives, so that a file stays what it is while it is written in place.
pub struct Steady<'a> {
    overlay: &'a Overlay,
    _no_change: RwLockReadGuard<'a, ()>,
}

impl Steady<'_> {
    /// Writes all of `data` at `offset`. What was written is told by [`Overlay::wrote`].
    pub fn write_at(&self, to: &Writer, data: &[u8], offset: u64, now: Time) -> Result<()> {
        to.content.write_at(data, offset)?;
        self.stamp(to, now)
    }

    /// Sets room aside in a file, or gives it back. Refuses what the upper cannot (`Unsupported`).
    pub fn allocate(&self, of: &Writer, how: Allocate, range: Range<u64>, now: Time) -> Result<()> {
        of.content.allocate(how, range)?;
        self.stamp(of, now)
    }

    /// Sets the length; what is added reads as zeros.
    pub fn set_len(&self, of: &Writer, len: u64, now: Time) -> Result<()> {
        of.content.set_len(len)?;
        self.stamp(of, now)
    }

    fn stamp(&self, written: &Writer, now: Time) -> Result<()> {
        match self.overlay.upper("write")?.caps().stamps {
            true => Ok(()),
            false => self.overlay.touch(&written.node, now),
        }
    }
}

impl Overlay {
    /// Opens the file at a path to write it in place, copied up first (semantics C01). No symbolic link is followed.
    ///
    /// Refuses directories (`IsADirectory`) and other kinds (`UnsupportedEntry`).
    pub fn open_mut(&self, ctx: &Ctx, path: &VPath, begin: Begin) -> Result<(Object, Writer)> {
        let op = "open";
        self.upper(op).map_err(|e| e.or_at(path))?;
        let seen = self.resolve(path, Follow::No, op)?;
        must_be_file(&seen)?;
        if begin == Begin::Kept && !needs_copy(&self.stack, &seen.place) {
            let writer = self.writer(&seen.found(op)?.node, false).map_err(|e| e.or_at(path))?;
            return Ok((Object::of(seen), writer));
        }
        let mut opened = None;
        let stage = |spot: &Spot| self.stage_to_write(spot, begin);
        self.change_copy(path, Follow::No, op, must_be_file, stage, |spot, copy| {
            let came_up = needs_copy(&self.stack, &spot.place);
            let (node, copied_up) = self.object_up(spot, copy, op)?;
            let writer = self.writer(&node, came_up)?;
            let report = match begin {
                Begin::Kept => Report::default(),
                Begin::Empty => {
                    writer.content.set_len(0)?;
                    self.touch(&node, ctx.now)?;
                    Report::of(Deed::Modified, &spot.path)
                }
            };
            opened = Some((Object::of(spot.clone()), writer));
            Ok(Report { copied_up, ..report })
        })?;
        opened.ok_or_else(|| Error::new(ErrorKind::Busy, op).at(path))
    }

    /// Opens an object's content to write it in place; that of a lower becomes a file of the upper without a name.
    pub fn write_object(&self, ctx: &Ctx, object: &mut Object, begin: Begin) -> Result<Writer> {
        must_be_file(&object.spot())?;
        let came_up = !self.stays(object);
        let node = self.nameless_up(object, begin)?;
        let writer = self.writer(&node, came_up)?;
        if begin == Begin::Empty {
            writer.content.set_len(0)?;
            self.touch(&node, ctx.now)?;
        }
        Ok(writer)
    }

    /// Returns what holds off changes as long as it lives. Whoever has it must not begin one.
    pub fn steady(&self) -> Steady<'_> {
        let lock = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        Steady { overlay: self, _no_change: lock }
    }

    /// Tells that the file at a path was written in place: it counts as one change, however many pieces there were.
    pub fn wrote(&self, path: &VPath) {
        {
            let _writing = self.writing();
            self.count(&[(Deed::Modified, path.clone())]);
        }
        self.let_catch_up();
    }

    pub(super) fn stage_to_write(&self, spot: &Spot, begin: Begin) -> Result<Copy> {
        let op = "open";
        match begin {
            Begin::Kept => self.stage_copy(spot, Content::Kept, op),
            Begin::Empty => {
                let hit = spot.found(op)?;
                let node = self.stage_like(hit, Content::Kept, !self.stack.is_upper(hit.layer))?;
                Ok(Copy { node, bytes: 0 })
            }
        }
    }

    fn writer(&self, node: &Node, came_up: bool) -> Result<Writer> {
        let content = self.upper("open")?.open_mut(node)?;
        Ok(Writer { node: node.clone(), content, came_up })
    }

    fn touch(&self, node: &Node, now: Time) -> Result<()> {
        let change = Change { mtime: Some(now), ..Change::default() };
        self.commit(&[Step::Set { node, change: &change }], now)
    }
}

fn must_be_file(spot: &Spot) -> Result<()> {
    let refuse = |kind| Err(Error::new(kind, "open").at(&spot.path));
    match spot.found("open")?.node.kind {
        Kind::File => Ok(()),
        Kind::Dir => refuse(ErrorKind::IsADirectory),
        _ => refuse(ErrorKind::UnsupportedEntry),
    }
}
