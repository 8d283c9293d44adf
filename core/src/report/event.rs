//! An event.

use serde::Serialize;

use super::readable_path;
use crate::{
    VPath,
    overlay::{Deed, Event},
};

/// One thing that happened.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EventBody {
    /// `created`, `modified`, `metadata`, `removed`, `copied_up`, `whiteout`, `opaque`, `moved`, `discarded`, `restored` or `overflow`.
    pub kind: &'static str,
    /// Where, with a leading slash.
    pub path: String,
    /// The exact bytes of the path, in Base64, where they are no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_b64: Option<String>,
    /// The generation that includes it.
    pub generation: u64,
    /// Where it came from, when it was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Content bytes that were copied up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What the kernel's overlay leaves in its upper for this; missing where it leaves nothing, or does no such thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<&'static str>,
}

impl EventBody {
    /// Returns an event of a kind alone.
    pub fn new(kind: &'static str, path: &VPath, generation: u64) -> Self {
        let (path, path_b64) = readable_path(path);
        Self { kind, path, path_b64, generation, from: None, bytes: None, kernel: None }
    }

    /// Describes an event.
    pub fn of(event: &Event) -> Self {
        let kind = match &event.deed {
            Deed::Created => "created",
            Deed::Modified => "modified",
            Deed::Metadata => "metadata",
            Deed::Removed => "removed",
            Deed::CopiedUp(_) => "copied_up",
            Deed::Whiteout => "whiteout",
            Deed::Opaque => "opaque",
            Deed::Moved(_) => "moved",
            Deed::Discarded => "discarded",
            Deed::Restored => "restored",
        };
        let mut body = Self::new(kind, &event.path, event.generation);
        match &event.deed {
            Deed::CopiedUp(bytes) => body.bytes = Some(*bytes),
            Deed::Moved(from) => body.from = Some(readable_path(from).0),
            _ => (),
        }
        body.kernel = kernel(&event.deed);
        body
    }
}

/// Returns what the kernel leaves in its upper (semantics 2.4 to 2.10).
fn kernel(deed: &Deed) -> Option<&'static str> {
    match deed {
        Deed::Created => Some("the object"),
        Deed::CopiedUp(_) => Some("a copy, with trusted.overlay.origin"),
        Deed::Whiteout => Some("a character device 0/0"),
        Deed::Opaque => Some("trusted.overlay.opaque=y on the directory"),
        Deed::Moved(_) => Some("the object, with trusted.overlay.redirect if it is a directory that a lower has"),
        Deed::Modified | Deed::Metadata | Deed::Removed | Deed::Discarded | Deed::Restored => None,
    }
}
