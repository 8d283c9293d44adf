//! Writing content: whole files by staging and one step, parts of files by staging a clone.

use std::{any::Any, ops::Range, sync::Arc};

use crate::{
    Blob, BlobMut, Change, Error, ErrorKind, Facts, Kind, Marks, New, Node, Result, Step, Stored, Time, VPath, Xattr,
    XattrChange,
    layer::Device,
    overlay::{
        Ctx, Deed, Done, Follow, Info, Overlay, Spot,
        copy_up::{Content, Copy},
        write::{Report, last_name},
    },
};

/// A new file's content on its way: written without a lock, gone when it is dropped before [`Overlay::put`].
pub struct Upload {
    node: Node,
    content: Arc<dyn BlobMut>,
}

impl Upload {
    /// Writes all of `data` at `offset`.
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.content.write_at(data, offset)
    }

    /// Replaces the content by a copy of another blob's.
    pub fn copy_from(&self, from: &dyn Blob) -> Result<u64> {
        self.content.copy_from(from)
    }

    /// Returns what has been written, to read it.
    pub fn content(&self) -> Arc<dyn Blob> {
        self.content.clone()
    }
}

/// What else a put sets.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// Permission bits; a file that is replaced keeps its own by default.
    pub mode: Option<u32>,
    /// The time of the content, `ctx.now` by default.
    pub mtime: Option<Time>,
}

/// Where a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// So many bytes from the start; a gap reads as zeros.
    Offset(u64),
    /// Behind the last byte.
    End,
}

impl Overlay {
    /// Stages an empty file.
    pub fn upload(&self, ctx: &Ctx) -> Result<Upload> {
        let op = "upload";
        let upper = self.upper(op)?;
        let new = New {
            kind: Kind::File,
            attrs: ctx.attrs(Kind::File, None),
            rdev: Device::default(),
            target: b"",
            xattrs: &[],
            marks: Marks::default(),
            copied_up: false,
            faithful: false,
        };
        let node = upper.stage(&new)?;
        let content = upper.open_mut(&node)?;
        Ok(Upload { node, content })
    }

    /// Makes what was uploaded the file at `path`, in one step. A file that is replaced passes on its mode, owner
    /// and extended attributes; one with several names in the upper is written in place, so that all of them show
    /// the new content. A symbolic link at the end is followed.
    ///
    /// Refuses directories (`IsADirectory`), other kinds (`UnsupportedEntry`) and a missing parent (`NotFound`).
    pub fn put(&self, ctx: &Ctx, path: &VPath, upload: &Upload, options: &PutOptions) -> Result<Done> {
        let op = "write";
        let times = Change { mtime: Some(options.mtime.unwrap_or(ctx.now)), mode: options.mode, ..Change::default() };
        // Content and attributes are made durable together, before the file gets its name.
        self.commit(&[Step::Set { node: &upload.node, change: &times }], ctx.now).map_err(|e| e.or_at(path))?;
        upload.content.sync().map_err(|e| e.or_at(path))?;
        self.change(path, op, || {
            let mut spot = self.resolve(path, Follow::Yes, op)?;
            let there = self.replaced(&spot)?;
            self.must_hold_for(ctx, there.as_ref().map(|(info, _)| info.tag), path, op)?;
            match there {
                None => self.put_first(ctx, &mut spot, upload),
                Some((file, _)) if self.has_names(&file, op)? => self.put_in_place(ctx, &spot, upload, &times),
                Some((_, facts)) => self.put_over(ctx, &mut spot, facts, upload, options),
            }
        })
    }

    /// Returns what a put would replace, with all that its layer says of it.
    fn replaced(&self, spot: &Spot) -> Result<Option<(Info, Facts)>> {
        let Some(hit) = spot.place.top() else { return Ok(None) };
        let facts = self.stack.layers[hit.layer].facts(&hit.node)?;
        Ok(Some((self.info_with(spot, hit, facts.stat), facts)))
    }

    /// Returns whether a file has several names in the upper. Refuses what is no file.
    fn has_names(&self, file: &Info, op: &'static str) -> Result<bool> {
        match file.stat.kind {
            Kind::File => Ok(self.stack.is_upper(file.layers[0]) && file.stat.nlink > 1),
            Kind::Dir => Err(Error::new(ErrorKind::IsADirectory, op).at(&file.path)),
            _ => Err(Error::new(ErrorKind::UnsupportedEntry, op).at(&file.path)),
        }
    }

    fn put_first(&self, ctx: &Ctx, spot: &mut Spot, upload: &Upload) -> Result<Report> {
        self.vacant(spot, "write")?;
        let gid = Some(self.inherited_group(spot, ctx.gid)?).filter(|gid| *gid != ctx.gid);
        if gid.is_some() {
            let change = Change { gid, faithful: ctx.faithful, ..Change::default() };
            self.commit(&[Step::Set { node: &upload.node, change: &change }], ctx.now)?;
        }
        self.place_upload(ctx, spot, upload, false)?;
        Ok(Report::of(Deed::Created, &spot.path).at(&upload.node))
    }

    fn put_over(
        &self,
        ctx: &Ctx,
        spot: &mut Spot,
        file: Facts,
        upload: &Upload,
        options: &PutOptions,
    ) -> Result<Report> {
        let hit = spot.found("write")?;
        let (attrs, faithful) = (file.stat.attrs, Content::Written.lets_pass(&file));
        let set = |x: Xattr| -> XattrChange { (x.name, Some(x.value)) };
        let fresh = self.stack.layers[0].stat(&upload.node)?.attrs;
        let kept = Change {
            mode: options.mode.is_none().then_some(attrs.mode).filter(|mode| *mode != fresh.mode),
            uid: Some(attrs.uid).filter(|uid| *uid != fresh.uid),
            gid: Some(attrs.gid).filter(|gid| *gid != fresh.gid),
            xattrs: file.xattrs.into_iter().map(set).collect(),
            ..Change::default()
        };
        let from_lower = !self.stack.is_upper(hit.layer);
        if kept != Change::default() {
            let change = Change { faithful, ..kept };
            self.commit(&[Step::Set { node: &upload.node, change: &change }], ctx.now)?;
        }
        self.place_upload(ctx, spot, upload, true)?;
        let report = Report::of(Deed::Modified, &spot.path).at(&upload.node);
        Ok(if from_lower { report.and(Deed::CopiedUp(0), &spot.path) } else { report })
    }

    /// Gives an upload its name; new content under an old name (`quiet`) is no change of the directory.
    fn place_upload(&self, ctx: &Ctx, spot: &mut Spot, upload: &Upload, quiet: bool) -> Result<()> {
        let dir = self.parents_up(spot, "write")?;
        let node = &upload.node;
        self.commit(&[Step::Place { node, dir: &dir, name: last_name(&spot.path)?, quiet }], ctx.now)
    }

    fn put_in_place(&self, ctx: &Ctx, spot: &Spot, upload: &Upload, times: &Change) -> Result<Report> {
        let node = &spot.found("write")?.node;
        let content = self.upper("write")?.open_mut(node)?;
        content.copy_from(&*upload.content)?;
        content.sync()?;
        self.commit(&[Step::Set { node, change: times }], ctx.now)?;
        Ok(Report::of(Deed::Modified, &spot.path))
    }

    /// Writes all of `source` into the file at `path`. The file changes at one instant: a clone is written and
    /// takes its place, unless it has several names in the upper. A symbolic link at the end is followed.
    pub fn write(&self, ctx: &Ctx, path: &VPath, at: At, source: &dyn Blob) -> Result<Done> {
        self.edit(ctx, path, |content, size| {
            let start = if let At::Offset(offset) = at { offset } else { size };
            splice(source, content, start)
        })
    }

    /// Sets the length of the file at `path`; all content comes up first (semantics C16).
    pub fn truncate(&self, ctx: &Ctx, path: &VPath, len: u64) -> Result<Done> {
        self.edit(ctx, path, |content, _| content.set_len(len))
    }

    fn edit(&self, ctx: &Ctx, path: &VPath, write: impl Fn(&dyn BlobMut, u64) -> Result<()>) -> Result<Done> {
        let op = "write";
        self.upper(op).map_err(|e| e.or_at(path))?;
        for _ in 0..TRIES {
            let seen = self.resolve(path, Follow::Yes, op)?;
            let there = self.info_at(&seen)?;
            let before = there.as_ref().map(|info| info.tag);
            self.must_hold_for(ctx, before, path, op)?;
            let file = there.ok_or_else(|| Error::new(ErrorKind::NotFound, op).at(&seen.path))?;
            let shared = self.has_names(&file, op)?;
            let copy = if shared { None } else { Some(self.edited_clone(&seen, &write)?) };
            let mut raced = false;
            let done = self.change(path, op, || {
                let mut spot = self.resolve(path, Follow::Yes, op)?;
                raced = self.current(&spot)? != before;
                self.must_hold(ctx, &spot, path, op)?;
                match (&copy, raced) {
                    (_, true) => Err(Error::new(ErrorKind::Busy, op)),
                    (Some(copy), _) => self.place_edited(ctx, &mut spot, copy),
                    (None, _) => self.edit_in_place(ctx, &spot, &write),
                }
            });
            if !raced {
                return done;
            }
        }
        Err(Error::new(ErrorKind::Busy, op).at(path).because("it kept changing"))
    }

    fn edited_clone(&self, seen: &Spot, write: impl Fn(&dyn BlobMut, u64) -> Result<()>) -> Result<Copy> {
        let copy = self.stage_copy(seen, Content::Written, "write")?;
        let content = self.upper("write")?.open_mut(&copy.node)?;
        write(&*content, content.size()?).map_err(|e| e.or_at(&seen.path))?;
        content.sync()?;
        Ok(copy)
    }

    fn place_edited(&self, ctx: &Ctx, spot: &mut Spot, copy: &Copy) -> Result<Report> {
        let from_lower = spot.place.top().is_some_and(|hit| !self.stack.is_upper(hit.layer));
        let dir = self.parents_up(spot, "write")?;
        let change = Change { mtime: Some(ctx.now), ..Change::default() };
        self.commit(&[Step::Set { node: &copy.node, change: &change }], ctx.now)?;
        let step = Step::Place { node: &copy.node, dir: &dir, name: last_name(&spot.path)?, quiet: true };
        self.commit(&[step], ctx.now)?;
        let report = Report::of(Deed::Modified, &spot.path).at(&copy.node);
        if !from_lower {
            return Ok(report);
        }
        Ok(Report { copied_up: copy.bytes, ..report.and(Deed::CopiedUp(copy.bytes), &spot.path) })
    }

    fn edit_in_place(&self, ctx: &Ctx, spot: &Spot, write: impl Fn(&dyn BlobMut, u64) -> Result<()>) -> Result<Report> {
        let node = &spot.found("write")?.node;
        let content = self.upper("write")?.open_mut(node)?;
        write(&*content, content.size()?)?;
        content.sync()?;
        let change = Change { mtime: Some(ctx.now), ..Change::default() };
        self.commit(&[Step::Set { node, change: &change }], ctx.now)?;
        Ok(Report::of(Deed::Modified, &spot.path))
    }
}

/// How often an edit is made anew when others keep changing the same file.
const TRIES: usize = 64;

/// Writes all of `source` at `start`, in pieces of 128 KiB.
fn splice(source: &dyn Blob, to: &dyn BlobMut, start: u64) -> Result<()> {
    let mut buf = vec![0; 128 * 1024];
    let mut done = 0;
    loop {
        let got = source.read_at(&mut buf, done)?;
        if got == 0 {
            return Ok(());
        }
        let at = start.checked_add(done).ok_or_else(|| Error::new(ErrorKind::TooLarge, "write"))?;
        to.write_at(&buf[..got], at)?;
        done += got as u64;
    }
}

/// Bytes in memory as the source of a write.
impl Blob for Vec<u8> {
    fn size(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let count = buf.len().min(self.len() - start);
        buf[..count].copy_from_slice(&self[start..start + count]);
        Ok(count)
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        let size = self.len() as u64;
        Ok((offset < size).then_some(offset..size))
    }

    fn stored(&self) -> Option<Stored> {
        None
    }

    fn stamp(&self) -> Result<u128> {
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
