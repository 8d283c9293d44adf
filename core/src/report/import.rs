//! What an import did, and what of an archive is left out.

use serde::Serialize;

use super::readable;
use crate::{Omitted, import::Imported};

/// An entry of an archive that is not shown as it stands.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Omission {
    /// The name in the archive.
    pub name: String,
    /// Its exact bytes, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_b64: Option<String>,
    /// Why.
    pub reason: String,
    /// Whether it is shown all the same.
    pub shown: bool,
}

/// Tells what was left out.
pub fn omission(omitted: &Omitted) -> Omission {
    let (name, name_b64) = readable(&omitted.name);
    Omission { name, name_b64, reason: omitted.reason.clone(), shown: omitted.shown }
}

/// What an import did.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = Import))]
pub struct ImportBody {
    /// Entries that were taken.
    pub entries: u64,
    /// Content bytes among them.
    pub bytes: u64,
    /// Entries whose place was taken and stayed as it was.
    pub kept: u64,
    /// Whether it was an exported upper.
    pub is_upper: bool,
    /// What was left out, and why.
    pub omissions: Vec<Omission>,
}

impl ImportBody {
    /// Describes what was done.
    pub fn of(imported: &Imported) -> Self {
        Self {
            entries: imported.entries,
            bytes: imported.bytes,
            kept: imported.kept,
            is_upper: imported.is_upper,
            omissions: imported.omitted.iter().map(omission).collect(),
        }
    }
}
