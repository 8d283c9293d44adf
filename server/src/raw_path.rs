//! The path of a request: from the raw bytes of the address to a `VPath`, decoded once (trust T17).
//!
//! The framework's own extractor decodes before we can look, answers invalid UTF-8 in plain text and lets
//! `a/../b` pass; so it is not used for paths.

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::request::Parts,
};
use ovl_core::{Error, ErrorKind, VPath};

use crate::problem::{INTERNAL, NOT_A_DIRECTORY, Problem};

/// The path after the name of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawPath {
    /// The path.
    pub path: VPath,
    /// Whether one trailing slash asserts that a directory stands there.
    pub dir: bool,
}

impl RawPath {
    /// Decodes the raw bytes that follow the name of a resource and its slash.
    ///
    /// `%2F` counts as `/`; one slash at the end is an assertion. One escaped slash in front is left out, so that a
    /// path as answers tell it, `/a/b`, can be sent back by a client that escapes it. Refuses an escape without two
    /// hexadecimal digits, and what [`VPath::parse`] refuses.
    ///
    /// ```
    /// use ovl_server::raw_path::RawPath;
    /// let raw = RawPath::decode(b"a%2Fb%20c/").unwrap();
    /// assert_eq!((raw.path.as_bytes(), raw.dir), (&b"a/b c"[..], true));
    /// assert_eq!(RawPath::decode(b"%2Fa%2Fb").unwrap().path.as_bytes(), b"a/b");
    /// assert!(RawPath::decode(b"a/%2e%2e/b").is_err());
    /// ```
    pub fn decode(raw: &[u8]) -> Result<Self, Error> {
        let told = raw.strip_prefix(b"%2F").or_else(|| raw.strip_prefix(b"%2f"));
        let bytes = unescape(told.unwrap_or(raw))?;
        let (path, dir) = match &bytes[..] {
            [] => (&bytes[..], true),
            [path @ .., b'/'] if !path.is_empty() => (path, true),
            path => (path, false),
        };
        Ok(Self { path: VPath::parse(path)?, dir })
    }

    /// Refuses the assertion of a directory for something that is none.
    pub fn refuse_slash(&self) -> Result<(), Problem> {
        if self.dir && !self.path.is_root() {
            let detail = format!("{} is meant as a file, but the path ends in '/'", self.path);
            return Err(Problem::new(&NOT_A_DIRECTORY, detail).at(self.path.as_bytes()));
        }
        Ok(())
    }
}

fn unescape(raw: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (escaped(*high, *low), tail),
            (b'%', _) => (None, tail),
            (byte, tail) => (Some(*byte), tail),
        };
        let bad = || Error::new(ErrorKind::InvalidPath, "read path").at_bytes(raw).because("bad percent escape");
        bytes.push(byte.ok_or_else(bad)?);
        rest = tail;
    }
    Ok(bytes)
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Writes a path as it stands in an address: every byte that is not plainly safe is escaped.
pub fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for &byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Takes what follows the part of the route that has no wildcard.
impl<S: Sync> FromRequestParts<S> for RawPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let route = parts.extensions.get::<MatchedPath>().ok_or_else(|| Problem::new(&INTERNAL, "no route"))?;
        let slashes =
            route.as_str().trim_end_matches('/').split("/{*").next().map_or(0, |fixed| fixed.matches('/').count());
        let raw = parts.uri.path().splitn(slashes + 2, '/').nth(slashes + 1).unwrap_or_default();
        Ok(Self::decode(raw.as_bytes())?)
    }
}
