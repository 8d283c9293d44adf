//! Names: from an archive's bytes to a path, or to the reason why there is none.

use flate2::Crc;

use super::le::u32_at;
use crate::{DEPTH_MAX, NAME_MAX, PATH_MAX};

/// How a name is read that is neither marked nor valid as UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// The first PC's characters, as the format's own text has it.
    #[default]
    Cp437,
    /// Western European Windows.
    Windows1252,
    /// No reading: the bytes are the name.
    Bytes,
}

/// What a backslash in a name is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backslash {
    /// A byte of the name, reported (trust T2).
    #[default]
    Keep,
    /// A separator, as some Windows tools write it.
    Separator,
}

/// Returns the name's bytes: as they are when they are marked as UTF-8, else the Unicode path field's when its
/// CRC fits, else as they are when they are UTF-8, else read by `names`. `scratch` holds what had to be rewritten.
pub(super) fn decode<'a>(
    raw: &'a [u8],
    marked: bool,
    unicode: Option<&'a [u8]>,
    names: Names,
    scratch: &'a mut Vec<u8>,
) -> &'a [u8] {
    if marked {
        return raw;
    }
    if let Some(name) = unicode.and_then(|field| unicode_path(field, raw)) {
        return name;
    }
    if raw.is_ascii() || std::str::from_utf8(raw).is_ok() {
        return raw;
    }
    let upper = match names {
        Names::Cp437 => &CP437,
        Names::Windows1252 => &WINDOWS_1252,
        Names::Bytes => return raw,
    };
    transcode(raw, upper, scratch);
    scratch
}

/// Returns the name in a Unicode path field (version, CRC-32 of the plain name, UTF-8), if it is one for `raw`.
fn unicode_path<'a>(field: &'a [u8], raw: &[u8]) -> Option<&'a [u8]> {
    let name = field.get(5..).filter(|name| !name.is_empty())?;
    let mut crc = Crc::new();
    crc.update(raw);
    let fits = field[0] == 1 && u32_at(field, 1) == Some(crc.sum());
    (fits && std::str::from_utf8(name).is_ok()).then_some(name)
}

fn transcode(raw: &[u8], upper: &[char; 128], into: &mut Vec<u8>) {
    into.clear();
    for byte in raw {
        let c = if byte.is_ascii() { char::from(*byte) } else { upper[usize::from(byte - 128)] };
        into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Returns why `path` cannot be a place in a tree, or `None` if it can (trust T1, T15).
pub(super) fn refusal(path: &[u8]) -> Option<&'static str> {
    if path.starts_with(b"/") {
        return Some("its name begins with `/`");
    }
    if path.len() > PATH_MAX {
        return Some("its name is longer than 4,096 bytes");
    }
    if path.split(|b| *b == b'/').count() > DEPTH_MAX {
        return Some("its name is deeper than 255 levels");
    }
    path.split(|b| *b == b'/').find_map(part_refusal)
}

/// Returns why `part` cannot be a name in a directory, or `None` if it can.
pub(super) fn part_refusal(part: &[u8]) -> Option<&'static str> {
    match part {
        b"" => Some("its name has an empty part"),
        b"." => Some("its name has a part `.`"),
        b".." => Some("its name has a part `..`"),
        _ if part.len() > NAME_MAX => Some("its name has a part longer than 255 bytes"),
        _ if part.contains(&0) => Some("its name has a NUL byte"),
        _ => None,
    }
}

/// The upper half of code page 437.
const CP437: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ', 'ô', 'ö', 'ò', 'û',
    'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ', 'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡',
    '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕', '╣', '║', '╗', '╝', '╜', '╛', '┐', '└', '┴', '┬', '├', '─',
    '┼', '╞', '╟', '╚', '╔', '╩', '╦', '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█',
    '▄', '▌', '▐', '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±', '≥',
    '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// The upper half of Windows-1252; its five unassigned bytes stand for the control characters of that number.
const WINDOWS_1252: [char; 128] = {
    const LOW: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let mut table = ['\0'; 128];
    let mut at = 0;
    while at < 128 {
        table[at] = if at < 32 { LOW[at] } else { (at as u8 + 128) as char };
        at += 1;
    }
    table
};
