//! Importing an archive that is no export of an upper: its entries become ordinary objects, all of them or none.

use super::{Archive, Entry, Imported};
use crate::{
    Attrs, ErrorKind, Kind, Omitted, Result, VPath,
    overlay::{Ctx, Item, OnConflict, Overlay, Unpack},
};

pub(super) fn import(
    overlay: &Overlay,
    ctx: &Ctx,
    archive: &mut dyn Archive,
    into: &VPath,
    on_conflict: OnConflict,
) -> Result<Imported> {
    let mut unpack = Unpack::new(overlay, ctx, into, on_conflict)?;
    let mut imported = Imported::default();
    while let Some(entry) = archive.next()? {
        let Entry::Object(item) = entry else { continue };
        let item = plain(item, ctx);
        match unpack.add(&item) {
            Err(e) if e.kind() == ErrorKind::UnsupportedEntry => {
                imported.omit(&item, e.cause().unwrap_or_else(|| e.kind().reason().to_owned()));
            }
            added => added?,
        }
    }
    let unpacked = unpack.show(ctx)?;
    imported.omitted.extend(archive.omitted());
    Ok(Imported { entries: unpacked.taken.entries, bytes: unpacked.taken.bytes, kept: unpacked.kept, ..imported })
}

/// Returns an object as a client would make it now: with the archive's mode, owner and time of content.
fn plain(item: Item, ctx: &Ctx) -> Item {
    let mode = if item.kind == Kind::Symlink { 0o777 } else { item.attrs.mode & 0o7777 };
    Item { attrs: Attrs { mode, atime: ctx.now, ..item.attrs }, ..item }
}

impl Imported {
    fn omit(&mut self, item: &Item, reason: String) {
        self.omitted.push(Omitted { name: item.path.as_bytes().into(), reason, shown: false });
    }
}
