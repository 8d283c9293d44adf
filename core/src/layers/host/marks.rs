//! The kernel's overlay marks: names and values of `trusted.overlay.*` and `user.overlay.*` (semantics 3).

use std::borrow::Cow;

use crate::{Error, ErrorKind, Name, Opaque, Result};

/// Which extended attributes carry a tree's marks: a mount uses exactly one of the two (X04).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// `trusted.overlay.*`, which only a privileged process sees.
    Trusted,
    /// `user.overlay.*`, the kernel's `userxattr`.
    User,
}

/// The names of one namespace's marks.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) prefix: &'static str,
    pub(super) opaque: &'static str,
    pub(super) whiteout: &'static str,
    pub(super) redirect: &'static str,
    pub(super) metacopy: &'static str,
    pub(super) origin: &'static str,
    pub(super) impure: &'static str,
    /// On the index: the upper that it belongs to.
    pub(super) upper: &'static str,
    /// On what the index holds: how many names it has.
    pub(super) nlink: &'static str,
    /// The form of an upper of ours; the kernel hides it.
    pub(super) form: &'static str,
    /// What the host's object does not hold itself, as a [`super::record::Record`]; the kernel hides it.
    pub(super) meta: &'static str,
    /// The beginning of what a directory keeps for those in it that cannot carry their own, if that is needed.
    pub(super) links: Option<&'static str>,
}

macro_rules! keys {
    ($namespace:literal, $links:expr) => {
        Keys {
            prefix: concat!($namespace, ".overlay."),
            opaque: concat!($namespace, ".overlay.opaque"),
            whiteout: concat!($namespace, ".overlay.whiteout"),
            redirect: concat!($namespace, ".overlay.redirect"),
            metacopy: concat!($namespace, ".overlay.metacopy"),
            origin: concat!($namespace, ".overlay.origin"),
            impure: concat!($namespace, ".overlay.impure"),
            upper: concat!($namespace, ".overlay.upper"),
            nlink: concat!($namespace, ".overlay.nlink"),
            form: concat!($namespace, ".overlay.ovl_form"),
            meta: concat!($namespace, ".overlay.ovl_meta"),
            links: $links,
        }
    };
}

static TRUSTED: Keys = keys!("trusted", None);
static USER: Keys = keys!("user", Some("user.overlay.ovl_link."));
/// What escapes a nested overlay's mark, after the prefix (X02).
const NESTED: &[u8] = b"overlay.";

impl Namespace {
    pub(super) fn keys(self) -> &'static Keys {
        match self {
            Self::Trusted => &TRUSTED,
            Self::User => &USER,
        }
    }
}

impl Keys {
    /// Returns the name under which the host stores what users call `name` (X02), or `UnsupportedName`
    /// when escaping makes it too long (X09).
    pub(super) fn escape<'a>(&self, name: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        let Some(rest) = name.strip_prefix(self.prefix.as_bytes()) else { return Ok(name.into()) };
        let escaped = [self.prefix.as_bytes(), NESTED, rest].concat();
        if escaped.len() > crate::NAME_MAX {
            return Err(Error::new(ErrorKind::Unsupported, "escape attribute").because("its name grows over 255 bytes"));
        }
        Ok(escaped.into())
    }

    /// Returns whether a stored name says nothing to a reader: marks that only the kernel and the one who writes need.
    pub(super) fn is_silent(&self, name: &[u8]) -> bool {
        [self.origin, self.impure, self.form].iter().any(|mark| mark.as_bytes() == name)
    }

    /// Returns what users call the stored `name`, or `None` for a mark (X01, X02).
    pub(super) fn unescape<'a>(&self, name: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let Some(rest) = name.strip_prefix(self.prefix.as_bytes()) else { return Some(name.into()) };
        let inner = rest.strip_prefix(NESTED)?;
        Some([self.prefix.as_bytes(), inner].concat().into())
    }
}

/// Reads the opaque mark: one byte, `y` or `x`, and nothing else (L08).
pub(super) fn opaque(value: &[u8]) -> Opaque {
    match value {
        b"y" => Opaque::Yes,
        b"x" => Opaque::Xwhiteouts,
        _ => Opaque::No,
    }
}

/// Checks a redirect: a name, or a path with a leading slash. Refuses the rest as `BadMark` (N13).
pub(super) fn redirect(value: Vec<u8>) -> Result<Box<[u8]>> {
    let valid = match value.strip_prefix(b"/") {
        Some(path) => path.split(|b| *b == b'/').all(|part| Name::new(part).is_ok()),
        None => Name::new(&value).is_ok(),
    };
    if valid {
        return Ok(value.into());
    }
    Err(Error::new(ErrorKind::BadMark, "read redirect").because(format!("{:?}", value.escape_ascii().to_string())))
}

/// Checks a metacopy mark: empty, or version 0 with its own length. The rest is `Corrupt` (Y06, Y07).
pub(super) fn metacopy(value: &[u8]) -> Result<()> {
    match value {
        [] => Ok(()),
        [0, len, _, _, ..] if usize::from(*len) == value.len() => Ok(()),
        _ => Err(Error::new(ErrorKind::Corrupt, "read metacopy mark")),
    }
}
