//! Names and paths: the only door through which outside bytes become a place in a tree.
//!
//! A name is bytes, as on Linux, in zips and in tars. Nothing is rewritten: no case folding, no
//! normalisation, no separator but `/`. What a host cannot hold is refused by that host's layer.

use std::{
    borrow::{Borrow, Cow},
    fmt,
};

use crate::error::{Error, ErrorKind, Result};

/// The longest name in bytes (semantics L17).
pub const NAME_MAX: usize = 255;
/// The longest path in bytes.
pub const PATH_MAX: usize = 4096;
/// The deepest path in names.
pub const DEPTH_MAX: usize = 255;

/// One component of a path, borrowed: never empty, `.` or `..`, without `/` and NUL, at most 255 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Returns `bytes` as a name.
    ///
    /// Refuses an empty name, `.`, `..`, a name with `/` or NUL (`InvalidPath`), and one over 255
    /// bytes (`NameTooLong`).
    ///
    /// ```
    /// use ovl_core::Name;
    /// assert_eq!(Name::new(b"caf\xe9").unwrap().as_bytes(), b"caf\xe9");
    /// assert!(Name::new(b"..").is_err());
    /// ```
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let forbidden = matches!(bytes, b"" | b"." | b"..") || bytes.iter().any(|b| matches!(b, 0 | b'/'));
        if forbidden {
            return Err(Error::new(ErrorKind::InvalidPath, "read name").at_bytes(bytes));
        }
        if bytes.len() > NAME_MAX {
            return Err(Error::new(ErrorKind::NameTooLong, "read name").at_bytes(bytes));
        }
        Ok(Self(bytes))
    }

    /// Returns the name's bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Returns an owned copy.
    pub fn to_owned(self) -> NameBuf {
        NameBuf(self.0.into())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// One component of a path, owned.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameBuf(Box<[u8]>);

impl NameBuf {
    /// Returns `bytes` as a name, or what [`Name::new`] refuses.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        Name::new(&bytes)?;
        Ok(Self(bytes))
    }

    /// Returns the borrowed form.
    pub fn as_name(&self) -> Name<'_> {
        Name(&self.0)
    }

    /// Returns the name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_name().fmt(f)
    }
}

impl Borrow<[u8]> for NameBuf {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// A path from the root of a tree: names joined by `/`, without a leading slash; the root is empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VPath(Vec<u8>);

impl VPath {
    /// Returns the root.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Parses `bytes`, the only way from outside bytes to a path; empty bytes are the root.
    ///
    /// Refuses a leading slash, empty parts, `.`, `..` and NUL (`InvalidPath`); a part over 255 bytes,
    /// more than 4,096 bytes or more than 255 parts (`NameTooLong`).
    ///
    /// ```
    /// use ovl_core::VPath;
    /// assert_eq!(VPath::parse(b"a/b").unwrap().to_string(), "/a/b");
    /// assert_eq!(VPath::parse(b"").unwrap(), VPath::root());
    /// for bad in ["/a", "a//b", "a/../b", "./a", "a/", "a\0"] {
    ///     assert!(VPath::parse(bad.as_bytes()).is_err(), "{bad:?}");
    /// }
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        let mut depth = 0;
        for part in bytes.split(|b| *b == b'/') {
            Name::new(part).map_err(|e| e.at_bytes(bytes))?;
            depth += 1;
        }
        if bytes.len() > PATH_MAX || depth > DEPTH_MAX {
            return Err(Error::new(ErrorKind::NameTooLong, "read path").at_bytes(bytes));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the names from the root down.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = Name<'_>> {
        self.0.split(|b| *b == b'/').filter(|part| !part.is_empty()).map(Name)
    }

    /// Returns the parent and the last name, or `None` for the root.
    pub fn split(&self) -> Option<(VPath, Name<'_>)> {
        if self.is_root() {
            return None;
        }
        let at = self.0.iter().rposition(|b| *b == b'/');
        let (parent, name) = at.map_or((&[][..], &self.0[..]), |at| (&self.0[..at], &self.0[at + 1..]));
        Some((Self(parent.to_vec()), Name(name)))
    }

    /// Returns the last name, or `None` for the root.
    pub fn last(&self) -> Option<Name<'_>> {
        self.names().next_back()
    }

    /// Returns the path of `name` in this directory. The result may be longer than [`VPath::parse`] takes.
    pub fn join(&self, name: Name<'_>) -> VPath {
        let mut path = Self(Vec::with_capacity(self.0.len() + 1 + name.0.len()));
        path.0.extend_from_slice(&self.0);
        path.push(name);
        path
    }

    /// Goes down into `name`.
    pub fn push(&mut self, name: Name<'_>) {
        if !self.is_root() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name.0);
    }

    /// Goes up to the parent; the root stays the root.
    pub fn pop(&mut self) {
        let at = self.0.iter().rposition(|b| *b == b'/').unwrap_or(0);
        self.0.truncate(at);
    }

    /// Returns whether this is `other` or lies beneath it.
    pub fn is_within(&self, other: &VPath) -> bool {
        self.0.strip_prefix(&other.0[..]).is_some_and(|rest| other.is_root() || matches!(rest, [] | [b'/', ..]))
    }
}

/// Writes the path with a leading slash, its unprintable and non-UTF-8 bytes escaped: fit for messages and logs.
impl fmt::Display for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", printable(&self.0))
    }
}

impl fmt::Debug for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns `bytes` as text without control, bidirectional or undecodable characters, each escaped instead.
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let text = if plain { std::str::from_utf8(bytes).ok() } else { None };
    text.map_or_else(|| escaped(bytes).into(), Cow::Borrowed)
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_bidi(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    text
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
