//! Importing an exported upper: staged whole, then shown.

use super::{Archive, Entry, Imported};
use crate::{
    Result,
    overlay::{Ctx, Graft, OnConflict, Overlay},
};

pub(super) fn import(
    overlay: &Overlay,
    ctx: &Ctx,
    archive: &mut dyn Archive,
    on_conflict: OnConflict,
) -> Result<Imported> {
    let mut graft = Graft::new(overlay, ctx)?;
    let mut imported = Imported { is_upper: true, ..Imported::default() };
    while let Some(entry) = archive.next()? {
        match entry {
            Entry::Object(item) => {
                imported.bytes += graft.add(&item)?;
                imported.entries += 1;
            }
            Entry::Opaque(dir) => graft.make_opaque(&dir)?,
        }
    }
    (_, imported.kept) = graft.show(ctx, on_conflict)?;
    imported.omitted = archive.omitted();
    Ok(imported)
}
