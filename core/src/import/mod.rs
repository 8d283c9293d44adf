//! Imports: an exported upper becomes the upper that it was; any other archive becomes ordinary changes.
//!
//! An upper's export says so itself: a zip by its comment and manifest, a tar by a record on its first member. It
//! comes with whiteouts, opaque directories, redirects, hard links and times; times of access become those of the
//! content.
//!
//! The entries of any other archive become what a client would make: whiteouts and marks have no meaning there, links
//! are never followed on the way to a name, and what cannot be taken safely is left out and told (trust T1, T4, T8).
//!
//! Either is staged whole and then shown, so that a damaged member, a full disk or a quota changes nothing.

mod json;
mod manifest;
mod plain;
mod tar;
mod tar_header;
mod upper;
mod zip;

use std::sync::Arc;

use crate::{
    Blob, Error, ErrorKind, Omitted, Result, VPath, layers,
    overlay::{Ctx, Item, Overlay},
};

pub use crate::overlay::OnConflict;

/// How an archive is imported.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What becomes of an object whose place is taken; directories in both are merged.
    pub on_conflict: OnConflict,
    /// How names in a zip are read that are neither marked nor valid as UTF-8.
    pub names: layers::zip::Names,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Objects that were taken.
    pub entries: u64,
    /// Content bytes among them.
    pub bytes: u64,
    /// Objects that were left as they were, as [`OnConflict::Keep`] asks.
    pub kept: u64,
    /// Whether it was an exported upper.
    pub is_upper: bool,
    /// What was left out, and why.
    pub omitted: Vec<Omitted>,
}

/// One thing that an archive says.
enum Entry {
    Object(Item),
    /// The directory, which stands before this, is opaque.
    Opaque(VPath),
}

/// An archive being read, entry by entry.
trait Archive {
    /// Returns whether it is an exported upper.
    fn is_upper(&self) -> bool;

    /// Returns the next entry that can be taken.
    fn next(&mut self) -> Result<Option<Entry>>;

    /// Returns what was left out so far.
    fn omitted(&mut self) -> Vec<Omitted>;
}

/// Imports an archive: an exported upper into the upper itself, any other into the directory `into`, which is made
/// when it is missing.
///
/// The condition of `ctx` concerns the root of the merged tree.
///
/// Refuses what is neither zip nor tar (`Unsupported`), archives that contradict themselves or are damaged (`Corrupt`),
/// an upper's export with a directory to go `into` (`InvalidInput`), and what `on_conflict` refuses; then nothing is
/// changed.
pub fn import(
    overlay: &Arc<Overlay>,
    ctx: &Ctx,
    source: Arc<dyn Blob>,
    into: &VPath,
    options: &Options,
) -> Result<Imported> {
    overlay.upper("import")?;
    let mut archive = open(&source, options)?;
    if !archive.is_upper() {
        return plain::import(overlay, ctx, &mut *archive, into, options.on_conflict);
    }
    if !into.is_root() {
        let why = "an exported upper is imported as a whole, not into a directory";
        return Err(Error::new(ErrorKind::InvalidInput, "import").at(into).because(why));
    }
    upper::import(overlay, ctx, &mut *archive, options.on_conflict)
}

fn open(source: &Arc<dyn Blob>, options: &Options) -> Result<Box<dyn Archive>> {
    // A tar may hold a zip's end record at its end, but a zip never begins with a tar's header.
    if tar::sniff(&**source)? {
        return Ok(Box::new(tar::Tar::open(source.clone())?));
    }
    if layers::zip::sniff(&**source)? {
        return Ok(Box::new(zip::Zip::open(source, options)?));
    }
    Err(Error::new(ErrorKind::Unsupported, "import").because("it is neither a zip nor a tar"))
}

fn corrupt(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, "import").because(why.into())
}
