//! Kind and mode of an entry, out of what its archive's maker wrote.

use crate::Kind;

const TYPE: u16 = 0o170_000;
const REGULAR: u16 = 0o100_000;
const DIRECTORY: u16 = 0o040_000;
const SYMLINK: u16 = 0o120_000;
const FIFO: u16 = 0o010_000;
const SOCKET: u16 = 0o140_000;
const CHARACTER: u16 = 0o020_000;
const BLOCK: u16 = 0o060_000;

const DOS_READ_ONLY: u32 = 1;
const DOS_DIRECTORY: u32 = 0x10;

/// The mode of a directory that an archive implies but does not list.
pub(super) const IMPLIED: u16 = DIRECTORY | 0o755;

/// Returns the Unix mode, type bits always set, of an entry made by `host` with `external` attributes.
///
/// A name that ends in `/` is a directory whatever the attributes say; one that does not is a directory only
/// when they say so and it has no content. Without type bits it is a regular file.
pub(super) fn mode(host: u8, external: u32, slash: bool, size: u64) -> u16 {
    let unix = if writes_unix_modes(host) { (external >> 16) as u16 } else { 0 };
    let is_dir = slash || (size == 0 && (unix & TYPE == DIRECTORY || (unix == 0 && dos_directory(host, external))));
    match (is_dir, unix) {
        (true, 1..) if matches!(unix & TYPE, 0 | DIRECTORY) => DIRECTORY | unix & 0o7777,
        (true, _) => IMPLIED,
        (false, 0) if external & DOS_READ_ONLY != 0 && writes_dos_attributes(host) => REGULAR | 0o444,
        (false, 0) => REGULAR | 0o644,
        (false, _) => file_type(unix) | unix & 0o7777,
    }
}

/// Returns the kind that a mode's type bits name.
pub(super) fn kind(mode: u16) -> Kind {
    match mode & TYPE {
        DIRECTORY => Kind::Dir,
        SYMLINK => Kind::Symlink,
        FIFO => Kind::Fifo,
        SOCKET => Kind::Socket,
        CHARACTER => Kind::Char,
        BLOCK => Kind::Block,
        _ => Kind::File,
    }
}

fn file_type(unix: u16) -> u16 {
    match unix & TYPE {
        bits @ (SYMLINK | FIFO | SOCKET | CHARACTER | BLOCK) => bits,
        _ => REGULAR,
    }
}

/// DOS, Unix, NTFS, VFAT and macOS: makers known to put a Unix mode, or nothing, in the upper half.
fn writes_unix_modes(host: u8) -> bool {
    matches!(host, 0 | 3 | 10 | 14 | 19)
}

fn writes_dos_attributes(host: u8) -> bool {
    matches!(host, 0 | 10 | 14)
}

fn dos_directory(host: u8, external: u32) -> bool {
    writes_dos_attributes(host) && external & DOS_DIRECTORY != 0
}
