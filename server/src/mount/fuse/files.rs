//! Open files: what they read and write is what their inode is now, however it has changed since (semantics D01, D07).

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use ovl_core::{
    Allocate, Blob, Result, Time, VPath,
    overlay::{Begin, Ctx, Object, Steady, Writer},
};

use super::{
    notices::Notice,
    pass::{Back, Way},
    table::State,
    tree::Tree,
    unasked,
};

/// An open file.
pub(super) struct File {
    ino: u64,
    writes: bool,
    state: Arc<State>,
    opened: Mutex<Opened>,
    /// The time of its content when it was opened, where a mapping can be written without us.
    since: Option<Time>,
}

/// The content that an open file had when it was last looked for.
#[derive(Clone)]
struct Opened {
    version: u64,
    object: Object,
    content: Content,
}

#[derive(Clone)]
pub(super) enum Content {
    Read(Arc<dyn Blob>),
    Write(Arc<Writer>),
}

impl Content {
    pub(super) fn blob(&self) -> Arc<dyn Blob> {
        match self {
            Self::Read(blob) => blob.clone(),
            Self::Write(writer) => writer.content(),
        }
    }

    /// Returns the version that this content is of, found when it was `before` at first: a copy-up for it counts as one,
    /// and whatever else has come meanwhile lets it be found again.
    fn version(&self, state: &State, before: u64) -> u64 {
        let came_up = matches!(self, Self::Write(writer) if writer.came_up());
        if came_up && state.version() == before + 1 { before + 1 } else { before }
    }
}

/// How a file is opened.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) writes: bool,
    /// Only together with `writes`: the front refuses it alone.
    pub(super) truncates: bool,
}

impl How {
    /// Reads the flags of `open`.
    pub(super) fn of(flags: i32) -> Self {
        let flags = rustix::fs::OFlags::from_bits_retain(flags as u32);
        let writes = flags.intersects(rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::RDWR);
        Self { writes, truncates: flags.contains(rustix::fs::OFlags::TRUNC) }
    }

    fn begin(self) -> Begin {
        if self.truncates { Begin::Empty } else { Begin::Kept }
    }
}

/// A file that was made to be opened, and the overlay's generation then: as long as it is the same, nothing has come in
/// its place.
pub(super) struct Made {
    pub(super) object: Object,
    pub(super) generation: u64,
}

impl Tree {
    /// Opens a file, which may have been `made` for it. To write or empty it copies it up first (semantics C01, C02).
    pub(super) fn open(
        &self,
        ctx: &Ctx,
        ino: u64,
        how: How,
        mut made: Option<Made>,
        back: Option<Back<'_>>,
    ) -> Result<(u64, Way)> {
        let _still = self.still();
        let (file, way) = loop {
            let (path, state) = {
                let table = self.table();
                (table.path(ino), table.state(ino))
            };
            let version = state.version();
            let made = made.take().filter(|made| made.generation == self.overlay.generation());
            let (object, content) = match made {
                Some(made) => self.content_of(ctx, ino, made.object, how)?,
                None => self.find_content(ctx, ino, path.as_ref(), how)?,
            };
            let version = content.version(&state, version);
            let way = self.way(ino, how, &object, &content, back);
            let mapped = matches!(way, Way::Passes { asks: true, .. });
            let since = mapped.then(|| self.overlay.stat_of(&object)).transpose()?.map(|stat| stat.attrs.mtime);
            let opened = Mutex::new(Opened { version, object, content });
            let file = File { ino, writes: how.writes, state, opened, since };
            // Where another object has come to its place meanwhile, this one is without a name.
            if !matches!(way, Way::Passes { .. }) || self.table().path(ino) == path {
                break (file, way);
            }
            self.table().close(ino);
        };
        if how.truncates && ctx.uid != 0 {
            self.take_rights(ctx, ino)?;
        }
        Ok((self.files.add(file), way))
    }

    fn find_content(&self, ctx: &Ctx, ino: u64, path: Option<&VPath>, how: How) -> Result<(Object, Content)> {
        let Some(path) = path else { return self.content_of(ctx, ino, self.nameless(ino)?, how) };
        if how.writes {
            let (object, writer) = self.overlay.open_mut(ctx, path, how.begin())?;
            return Ok((object, Content::Write(Arc::new(writer))));
        }
        let object = self.overlay.object(path)?;
        let content = Content::Read(self.overlay.content_of(&object)?);
        Ok((object, content))
    }

    /// Opens an object whatever its name leads to.
    fn content_of(&self, ctx: &Ctx, ino: u64, mut object: Object, how: How) -> Result<(Object, Content)> {
        if !how.writes {
            let content = Content::Read(self.overlay.content_of(&object)?);
            return Ok((object, content));
        }
        let writer = self.overlay.write_object(ctx, &mut object, how.begin())?;
        if writer.came_up() {
            self.table().renewed(ino, object.clone());
        }
        Ok((object, Content::Write(Arc::new(writer))))
    }

    /// Returns the content of an open file as it is now.
    fn opened(&self, ctx: &Ctx, file: &File) -> Result<Opened> {
        let mut opened = file.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let version = file.state.version();
        if opened.version != version {
            let _still = self.still();
            let (path, how) = (self.table().path(file.ino), How { writes: file.writes, truncates: false });
            let (object, content) = self.find_content(ctx, file.ino, path.as_ref(), how)?;
            self.table().hold(file.ino, object.clone());
            let version = content.version(&file.state, version);
            *opened = Opened { version, object, content };
        }
        Ok(opened.clone())
    }

    /// Returns the content of a file that is open by `handle`, of which `piece` bytes are to be read.
    fn open_content(&self, ctx: &Ctx, ino: u64, handle: u64, piece: usize) -> Result<Arc<dyn Blob>> {
        if handle == unasked::HANDLE && self.unasked.is_allowed() {
            return self.unasked_content(ino, piece);
        }
        let file = self.files.get(handle)?;
        Ok(self.opened(ctx, &file)?.content.blob())
    }

    /// Fills `buf` until the end of the file. Returns the bytes.
    pub(super) fn read(&self, ctx: &Ctx, ino: u64, handle: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let blob = self.open_content(ctx, ino, handle, buf.len())?;
        let mut done = 0;
        while done < buf.len() {
            match blob.read_at(&mut buf[done..], offset + done as u64)? {
                0 => break,
                got => done += got,
            }
        }
        Ok(done)
    }

    /// Writes in place; with `append`, behind what others have put at the end meanwhile.
    pub(super) fn write(&self, ctx: &Ctx, handle: u64, offset: u64, data: &[u8], append: bool) -> Result<()> {
        let file = self.files.get(handle)?;
        self.in_place(ctx, &file, |steady, writer| {
            let start = if append { offset.max(writer.content().size()?) } else { offset };
            steady.write_at(writer, data, start, ctx.now)
        })
    }

    /// Sets room aside in an open file, or gives it back.
    pub(super) fn allocate(&self, ctx: &Ctx, handle: u64, how: Allocate, range: Range<u64>) -> Result<()> {
        let file = self.files.get(handle)?;
        self.in_place(ctx, &file, |steady, writer| steady.allocate(writer, how, range.clone(), ctx.now))
    }

    /// Changes an open file's content in place, as it is while nobody can exchange it.
    fn in_place(&self, ctx: &Ctx, file: &File, change: impl Fn(&Steady<'_>, &Writer) -> Result<()>) -> Result<()> {
        loop {
            let opened = self.opened(ctx, file)?;
            let steady = self.overlay.steady();
            if file.state.version() != opened.version {
                continue;
            }
            let Content::Write(writer) = &opened.content else { return Err(not_writable()) };
            change(&steady, writer)?;
            break;
        }
        self.wrote(file);
        Ok(())
    }

    /// Sets the length of a file, which is open by `handle` or not at all.
    pub(super) fn set_len(&self, ctx: &Ctx, ino: u64, handle: Option<u64>, len: u64) -> Result<()> {
        let file = handle.map(|handle| self.files.get(handle)).transpose()?.filter(|file| file.writes);
        if let Some(file) = file {
            return self.set_open_len(ctx, &file, len);
        }
        // Nothing of a lower's content is wanted.
        let (handle, _) = self.open(ctx, ino, How { writes: true, truncates: len == 0 }, None, None)?;
        let set =
            if len == 0 { Ok(()) } else { self.files.get(handle).and_then(|file| self.set_open_len(ctx, &file, len)) };
        self.release(handle);
        set
    }

    fn set_open_len(&self, ctx: &Ctx, file: &File, len: u64) -> Result<()> {
        self.in_place(ctx, file, |steady, writer| steady.set_len(writer, len, ctx.now))
    }

    /// Tells of the first of many pieces; of the others tells [`Tree::tell_written`].
    fn wrote(&self, file: &File) {
        self.pieces.fetch_add(1, Ordering::AcqRel);
        if file.state.wrote() {
            self.tell(file.ino);
        }
    }

    fn tell_written(&self, file: &File) {
        if file.state.wrote_more() {
            self.tell(file.ino);
        }
    }

    /// Tells of what was written by a mapping that the kernel made without us: of our own pieces it knows the time.
    fn tell_mapped(&self, file: &File) {
        let Some(since) = file.since else { return };
        let object = file.opened.lock().unwrap_or_else(PoisonError::into_inner).object.clone();
        if self.overlay.stat_of(&object).is_ok_and(|stat| stat.attrs.mtime != since) {
            self.notices.push(vec![Notice::Attributes(file.ino)]);
            self.tell(file.ino);
        }
    }

    fn tell(&self, ino: u64) {
        let _still = self.still();
        let path = self.table().path(ino);
        if let Some(path) = path {
            self.overlay.wrote(&path);
        }
    }

    /// Tells others that the file has been written, as a descriptor of it is closed.
    pub(super) fn flush(&self, handle: u64) -> Result<()> {
        self.tell_written(&*self.files.get(handle)?);
        Ok(())
    }

    pub(super) fn sync(&self, ctx: &Ctx, handle: u64) -> Result<()> {
        if self.unasked.is_allowed() {
            return Ok(());
        }
        let file = self.files.get(handle)?;
        self.tell_written(&file);
        self.overlay.sync(&self.opened(ctx, &file)?.object)
    }

    pub(super) fn release(&self, handle: u64) {
        if let Some(file) = self.files.remove(handle) {
            self.tell_written(&file);
            self.tell_mapped(&file);
            self.table().close(file.ino);
        }
    }

    /// Returns the next place at or after `offset` with data (`hole` false) or without; `None` behind the end.
    pub(super) fn seek(&self, ctx: &Ctx, ino: u64, handle: u64, offset: u64, hole: bool) -> Result<Option<u64>> {
        let blob = self.open_content(ctx, ino, handle, 0)?;
        let size = blob.size()?;
        let mut at = offset;
        while at < size {
            match blob.next_data(at)? {
                Some(data) if !hole => return Ok(Some(data.start.max(at)).filter(|start| *start < size)),
                Some(data) if data.start <= at => at = data.end,
                None if !hole => return Ok(None),
                _ => return Ok(Some(at)),
            }
        }
        Ok(Some(size).filter(|_| hole && offset < size))
    }
}

fn not_writable() -> ovl_core::Error {
    ovl_core::Error::new(ovl_core::ErrorKind::InvalidInput, "write")
}
