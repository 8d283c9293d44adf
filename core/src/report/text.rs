//! Bytes, attributes and times as JSON has them.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize};

use crate::VPath;

/// The value of an extended attribute: a text, or bytes in Base64.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum AttrValue {
    /// A text.
    Text(String),
    /// What is no text.
    Bytes {
        /// The bytes in Base64.
        b64: String,
    },
}

impl AttrValue {
    /// Returns the value for some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { b64: BASE64_STANDARD.encode(bytes) },
        }
    }

    /// Returns the bytes, or `None` for what is no Base64.
    pub fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { b64 } => BASE64_STANDARD.decode(b64).ok(),
        }
    }
}

/// Returns bytes as readable text, and in Base64 where the text is not exact.
pub fn readable(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(BASE64_STANDARD.encode(bytes))),
    }
}

/// Returns a path as readable text with a leading slash, and in Base64 where the text is not exact.
pub fn readable_path(path: &VPath) -> (String, Option<String>) {
    let (text, exact) = readable(path.as_bytes());
    (format!("/{text}"), exact)
}

/// Returns the cursor of a page that ended at a path.
pub fn cursor(path: &VPath) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(path.as_bytes())
}

/// Reads what [`cursor`] wrote, `None` for anything else.
pub fn read_cursor(cursor: &str) -> Option<VPath> {
    VPath::parse(&BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
