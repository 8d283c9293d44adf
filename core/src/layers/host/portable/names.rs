//! How names stand in a portable upper (semantics 1).
//!
//! | host name | meaning |
//! |---|---|
//! | `NAME` | the object |
//! | `.ovl.w.NAME` | a whiteout; beside a directory, what makes it opaque unless its record says otherwise |
//! | `.ovl.m.NAME` | the record of the object |
//! | `.ovl.n.KEY`, `.ovl.nw.KEY`, `.ovl.nm.KEY` | the same three for a name that cannot stand as it is |
//! | `.ovl.nl.KEY` | the whole name, where the key is a hash of it |
//! | `.ovl.l` | on the root: the records of objects with several names |
//!
//! A name cannot stand as it is when it begins with `.ovl.`, is `.ovl-form`, is one that the host cannot
//! hold, or grows over 255 bytes with a marker. Its key is its bytes in hexadecimal, or `=` and 32 digits
//! of their BLAKE3 hash when these would be too many.

use super::super::{form::FORM_FILE, sys};
use crate::{NAME_MAX, Name};

/// The prefix that is ours.
const OURS: &[u8] = b".ovl.";
/// The directory of the records of objects with several names.
pub(super) const LINKS: &[u8] = b".ovl.l";
/// The record of the root.
pub(super) const ROOT_RECORD: &[u8] = b".ovl.m.";
/// The longest addition to a name or key.
const MARKER: usize = b".ovl.nw.".len();

/// What a host name says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Object,
    Whiteout,
    Record,
}

/// A host name, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// The role for a name that is known.
    Known(Role, Box<[u8]>),
    /// The role for a name that stands in the file of this key.
    Hashed(Role, Box<[u8]>),
    /// Nothing that shows.
    Hidden,
}

/// The host names of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) object: Vec<u8>,
    pub(super) whiteout: Vec<u8>,
    pub(super) record: Vec<u8>,
    /// The file that holds the whole name, and must be there before the others.
    pub(super) long: Option<Vec<u8>>,
}

impl Names {
    /// Returns the host names of `name`.
    pub(super) fn of(name: Name<'_>) -> Self {
        let bytes = name.as_bytes();
        if is_plain(bytes) {
            let marked = |marker: &[u8]| [OURS, marker, bytes].concat();
            return Self { object: bytes.to_vec(), whiteout: marked(b"w."), record: marked(b"m."), long: None };
        }
        let (key, hashed) = key(bytes);
        let marked = |marker: &[u8]| [OURS, marker, &key].concat();
        let long = hashed.then(|| marked(b"nl."));
        Self { object: marked(b"n."), whiteout: marked(b"nw."), record: marked(b"nm."), long }
    }
}

fn is_plain(name: &[u8]) -> bool {
    !name.starts_with(OURS) && name != FORM_FILE && name.len() + MARKER <= NAME_MAX && sys::holds_name(name)
}

fn key(name: &[u8]) -> (Vec<u8>, bool) {
    if name.len() * 2 + MARKER <= NAME_MAX {
        return (hex(name), false);
    }
    let hash = blake3::hash(name);
    ([b"=", &hex(&hash.as_bytes()[..16])[..]].concat(), true)
}

/// Returns bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

fn unhex(text: &[u8]) -> Option<Box<[u8]>> {
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pair = |pair: &[u8]| Some(value(pair[0])? << 4 | value(pair[1])?);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(pair).collect()
}

/// Reads a host name. What begins with our prefix and means nothing shows nowhere.
pub(super) fn parse(host: &[u8]) -> Parsed {
    let Some(rest) = host.strip_prefix(OURS) else {
        return if host == FORM_FILE { Parsed::Hidden } else { Parsed::Known(Role::Object, host.into()) };
    };
    let plain = [(&b"w."[..], Role::Whiteout), (b"m.", Role::Record)];
    for (marker, role) in plain {
        match rest.strip_prefix(marker) {
            Some(name) if is_plain(name) && !name.is_empty() => return Parsed::Known(role, name.into()),
            _ => {}
        }
    }
    let keyed = [(&b"n."[..], Role::Object), (b"nw.", Role::Whiteout), (b"nm.", Role::Record)];
    keyed.iter().find_map(|(marker, role)| read_key(*role, rest.strip_prefix(*marker)?)).unwrap_or(Parsed::Hidden)
}

fn read_key(role: Role, key: &[u8]) -> Option<Parsed> {
    if key.starts_with(b"=") {
        return Some(Parsed::Hashed(role, [OURS, b"nl.", key].concat().into()));
    }
    let name = unhex(key).filter(|name| Name::new(name).is_ok())?;
    Some(Parsed::Known(role, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back_from_its_host_names() {
        let long = [b'n'; 255];
        for name in [&b"a"[..], b".ovl.w.a", b".ovl-form", b".ovl.n.61", b"caf\xe9", &long[..248], &long[..247], &long]
        {
            let names = Names::of(Name::new(name).unwrap());
            for (host, role) in
                [(&names.object, Role::Object), (&names.whiteout, Role::Whiteout), (&names.record, Role::Record)]
            {
                assert!(host.len() <= NAME_MAX);
                match (parse(host), &names.long) {
                    (Parsed::Known(found, of), None) => assert_eq!((found, &*of), (role, name)),
                    (Parsed::Hashed(found, file), Some(long)) => assert_eq!((found, &*file), (role, &**long)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn two_host_names_never_mean_one_name() {
        for host in [&b".ovl.w."[..], b".ovl.w..ovl.x", b".ovl.n.zz", b".ovl.n.", b".ovl.n.2f", b".ovl.x", b".ovl-form"]
        {
            assert_eq!(parse(host), Parsed::Hidden, "{}", host.escape_ascii());
        }
        // A plain name has no key form of its own.
        assert_eq!(Names::of(Name::new(b"a").unwrap()).object, b"a");
    }
}
