//! The host on Windows, by directory handles (`cap-std`): a lookup is one name, and follows nothing.
//!
//! Type-checked, not yet run. Directories and files are held open; a symlink is known by its directory and
//! name alone. Directories cannot be made durable one by one there: the file system's journal orders them.

mod change;
mod handle;
mod meta;

use std::io;

pub(super) use self::{change::*, handle::*, meta::stat_file};
pub(super) use super::{raw::Raw, sys_foreign::*};
use crate::ErrorKind;

/// Whether any process may make symlinks: here only privileged ones, so they are kept as files.
pub(super) const HAS_SYMLINKS: bool = false;

/// Returns what a caller can act on for an error of the system.
pub(super) fn error_kind(error: &io::Error) -> ErrorKind {
    crate::Error::from(io::Error::from(error.kind())).kind()
}

/// Returns the owner and group of what this process makes: Windows has no such numbers.
pub(super) fn own_ids() -> (u32, u32) {
    (0, 0)
}

/// Returns whether the host can hold a name as it is.
pub(super) fn holds_name(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return false };
    let reserved = |c: char| c < ' ' || r#"<>:"/\|?*"#.contains(c);
    !text.contains(reserved) && !text.ends_with(['.', ' ']) && !is_device(text)
}

/// Returns whether a name means a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered
            .is_some_and(|n| matches!(n, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"))
}

/// Returns a name as Windows takes it; `InvalidFilename` for bytes that are no text.
fn text(name: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(name).map_err(|_| io::ErrorKind::InvalidFilename.into())
}
