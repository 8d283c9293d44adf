//! Importing an archive that is no export of an upper: its entries become ordinary changes.

use super::{Archive, Entry, Imported, corrupt};
use crate::{
    Change, Error, ErrorKind, Kind, Omitted, Result, Time, VPath,
    overlay::{Ctx, Follow, Item, OnConflict, Overlay, PutOptions, Removal, When},
};

/// Writes the entries of the archive that `open` opens. It is read twice: first to find conflicts and damage in its
/// structure, so that those change nothing.
pub(super) fn import(
    overlay: &Overlay,
    ctx: &Ctx,
    open: &dyn Fn() -> Result<Box<dyn Archive>>,
    into: &VPath,
    on_conflict: OnConflict,
) -> Result<Imported> {
    let ctx = Ctx { when: When::Always, ..ctx.clone() };
    overlay.make_dirs(&ctx, into)?;
    let base = overlay.entry(into, Follow::Yes)?.path;
    let mut writer = Writer { overlay, ctx, base, on_conflict, imported: Imported::default(), dirs: Vec::new() };
    writer.each(&mut *open()?, Writer::check)?;
    let mut archive = open()?;
    writer.each(&mut *archive, Writer::write)?;
    writer.finish_dirs()?;
    writer.imported.omitted.extend(archive.omitted());
    Ok(writer.imported)
}

struct Writer<'a> {
    overlay: &'a Overlay,
    ctx: Ctx,
    /// The directory that takes the entries.
    base: VPath,
    on_conflict: OnConflict,
    imported: Imported,
    /// Directories that were made, to get their times when they are whole.
    dirs: Vec<(VPath, Time)>,
}

/// What stands where an entry is to go.
enum Place {
    Free,
    /// A directory for a directory.
    Merges,
    Taken(Kind),
}

impl Writer<'_> {
    fn each(&mut self, archive: &mut dyn Archive, act: fn(&mut Self, &Item) -> Result<()>) -> Result<()> {
        while let Some(entry) = archive.next()? {
            let Entry::Object(mut item) = entry else { continue };
            item.path = self.below_base(&item.path)?;
            item.link = item.link.map(|link| self.below_base(&link)).transpose()?;
            act(self, &item).map_err(|e| e.or_at(&item.path))?;
        }
        Ok(())
    }

    fn below_base(&self, path: &VPath) -> Result<VPath> {
        let mut whole = self.base.clone();
        path.names().for_each(|name| whole.push(name));
        VPath::parse(whole.as_bytes())
    }

    /// Refuses an entry that will be refused, as long as nothing is written.
    fn check(&mut self, item: &Item) -> Result<()> {
        if self.on_conflict != OnConflict::Error {
            return self.must_be_straight(&item.path);
        }
        match self.place(item)? {
            Place::Taken(_) => Err(Error::new(ErrorKind::AlreadyExists, "import").at(&item.path)),
            _ => Ok(()),
        }
    }

    fn place(&self, item: &Item) -> Result<Place> {
        self.must_be_straight(&item.path)?;
        let kind = match self.overlay.entry(&item.path, Follow::No) {
            Ok(info) => info.stat.kind,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Place::Free),
            Err(e) if e.kind() == ErrorKind::NotADirectory && self.on_conflict == OnConflict::Keep => {
                return Ok(Place::Taken(Kind::File));
            }
            Err(e) => return Err(e),
        };
        Ok(if kind == Kind::Dir && item.kind == Kind::Dir { Place::Merges } else { Place::Taken(kind) })
    }

    /// Refuses a name that a symbolic link leads elsewhere (trust T4).
    fn must_be_straight(&self, path: &VPath) -> Result<()> {
        let Some((parent, _)) = path.split() else { return Ok(()) };
        match self.overlay.entry(&parent, Follow::Yes) {
            Ok(info) if info.path != parent => Err(corrupt("a symbolic link stands on the way to it").at(path)),
            Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Err(e),
            _ => Ok(()),
        }
    }

    fn write(&mut self, item: &Item) -> Result<()> {
        match self.place(item)? {
            Place::Merges => return Ok(()),
            Place::Taken(_) if self.on_conflict == OnConflict::Keep => {
                self.imported.kept += 1;
                return Ok(());
            }
            Place::Taken(Kind::File) if item.kind == Kind::File && item.link.is_none() => {}
            Place::Taken(_) => drop(self.overlay.remove(&self.ctx, &item.path, Removal::Tree)?),
            Place::Free => {}
        }
        if let Some((parent, _)) = item.path.split() {
            self.overlay.make_dirs(&self.ctx, &parent)?;
        }
        match self.make(item) {
            Err(e) if e.kind() == ErrorKind::UnsupportedEntry => {
                self.omit(item, e.cause().unwrap_or_else(|| e.kind().reason().to_owned()));
                Ok(())
            }
            made => made,
        }
    }

    fn omit(&mut self, item: &Item, reason: String) {
        let name = item.path.as_bytes()[self.base.as_bytes().len()..].into();
        self.imported.omitted.push(Omitted { name, reason, shown: false });
    }

    fn make(&mut self, item: &Item) -> Result<()> {
        let (overlay, ctx, path) = (self.overlay, &self.ctx, &item.path);
        // The mode is the archive's, whatever the umask.
        let exact = Ctx { umask: 0, ..ctx.clone() };
        let mode = Some(item.attrs.mode);
        match (&item.link, item.kind) {
            (Some(first), _) => drop(overlay.link(ctx, first, path)?),
            (_, Kind::File) => return self.put(item),
            (_, Kind::Dir) => {
                overlay.mkdir(&exact, path, mode)?;
                self.dirs.push((path.clone(), item.attrs.mtime));
            }
            (_, Kind::Symlink) => drop(overlay.symlink(ctx, path, &item.target)?),
            (_, kind) => drop(overlay.mknod(&exact, path, kind, item.rdev, mode)?),
        }
        self.imported.entries += 1;
        if item.link.is_none() { self.set_rest(item) } else { Ok(()) }
    }

    fn put(&mut self, item: &Item) -> Result<()> {
        let Some(content) = &item.content else { return Ok(()) };
        let upload = self.overlay.upload(&self.ctx)?;
        let bytes = upload.copy_from(&**content)?;
        let options = PutOptions { mode: Some(item.attrs.mode), mtime: Some(item.attrs.mtime) };
        self.overlay.put(&self.ctx, &item.path, &upload, &options)?;
        self.imported.entries += 1;
        self.imported.bytes += bytes;
        self.set_rest(item)
    }

    /// Sets owner, time and extended attributes where they are others than the creation gave.
    fn set_rest(&self, item: &Item) -> Result<()> {
        let of = |new: u32, has: u32| (new != has).then_some(new);
        let times = item.kind != Kind::Dir && item.kind != Kind::File;
        let change = Change {
            uid: of(item.attrs.uid, self.ctx.uid),
            gid: of(item.attrs.gid, self.ctx.gid),
            mtime: times.then_some(item.attrs.mtime),
            xattrs: item.xattrs.iter().map(|x| (x.name.clone(), Some(x.value.clone()))).collect(),
            ..Change::default()
        };
        if change == Change::default() {
            return Ok(());
        }
        self.overlay.set(&self.ctx, &item.path, Follow::No, &change).map(drop)
    }

    /// Gives the new directories their times, inner ones first.
    fn finish_dirs(&mut self) -> Result<()> {
        while let Some((path, mtime)) = self.dirs.pop() {
            let change = Change { mtime: Some(mtime), ..Change::default() };
            self.overlay.set(&self.ctx, &path, Follow::No, &change)?;
        }
        Ok(())
    }
}
