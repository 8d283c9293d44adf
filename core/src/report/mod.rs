//! What the engine tells, in the words and fields of the API: one meaning for every front end (feature `report`).
//!
//! ```text
//! entry    what stands at a path
//! why      what every layer says about it
//! change   what the upper changes
//! event    what the overlay did, and what the kernel would leave for it
//! import   what an import did, and what an archive holds that is not shown
//! code     the word and the errno of a failure
//! base64   bytes in Base64
//! text     bytes, attributes and cursors as JSON has them
//! time     points in time as RFC 3339 has them
//! ```
//!
//! With the feature `schema` the types describe themselves for OpenAPI.

mod base64;
mod change;
mod code;
mod entry;
mod event;
mod import;
mod text;
mod time;
mod why;

pub use change::{ChangeBody, ChangesPage, word};
pub use code::code;
#[cfg(feature = "schema")]
pub use entry::EntryKind;
pub use entry::{EntryBody, View, kind_name};
pub use event::EventBody;
pub use import::{ImportBody, Omission, omission};
pub use text::{AttrValue, cursor, read_cursor, readable, readable_path};
pub use time::{parse_time, rfc3339};
pub use why::{VerdictBody, WhyBody};
