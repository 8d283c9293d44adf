//! A change.

use serde::Serialize;

#[cfg(feature = "schema")]
use super::EntryKind;
use super::{cursor, kind_name, readable_path};
use crate::{
    Kind, Result,
    diff::{Changed, Changes, What},
};

/// A change, seen from the lowers.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = Change))]
pub struct ChangeBody {
    /// Where.
    pub path: String,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// `added`, `modified`, `metadata`, `deleted`, `opaque`, `renamed` or `type_changed`.
    pub what: &'static str,
    /// Where the lowers have it, when it was renamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What the lowers show there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<EntryKind>))]
    pub before: Option<&'static str>,
    /// What stands there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<EntryKind>))]
    pub now: Option<&'static str>,
    /// Content bytes that the upper holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether mode, owner or extended attributes differ.
    pub metadata: bool,
}

/// A page of changes.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChangesPage {
    /// Parents before children, names in order of their bytes.
    pub changes: Vec<ChangeBody>,
    /// What to send as `cursor` for the next page; missing on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Returns what a change is called everywhere in the API.
pub fn word(what: &What) -> &'static str {
    match what {
        What::Added => "added",
        What::Modified => "modified",
        What::Metadata => "metadata",
        What::Deleted => "deleted",
        What::Opaque => "opaque",
        What::Renamed { .. } => "renamed",
        What::TypeChanged => "type_changed",
    }
}

impl ChangeBody {
    /// Describes a change.
    pub fn of(change: &Changed) -> Self {
        let (path, path_b64) = readable_path(&change.path);
        let from = match &change.what {
            What::Renamed { from } => Some(readable_path(from).0),
            _ => None,
        };
        Self {
            path,
            path_b64,
            what: word(&change.what),
            from,
            before: change.before.map(kind_name),
            now: change.now.map(|stat| kind_name(stat.kind)),
            size: change.now.filter(|stat| stat.kind == Kind::File).map(|stat| stat.size),
            metadata: change.metadata,
        }
    }
}

impl ChangesPage {
    /// Takes up to `limit` changes.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn take(mut changes: Changes, limit: usize) -> Result<Self> {
        let found: Vec<Changed> = changes.by_ref().take(limit).collect::<Result<_>>()?;
        let more = found.len() == limit && changes.next().transpose()?.is_some();
        let next_cursor = found.last().filter(|_| more).map(|last| cursor(&last.path));
        Ok(Self { changes: found.iter().map(ChangeBody::of).collect(), next_cursor })
    }
}
