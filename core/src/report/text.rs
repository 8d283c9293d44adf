//! Bytes, attributes and times as JSON has them.

use serde::{Deserialize, Serialize};

use super::base64::{decode, decode_from_url, encode, encode_for_url};
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
            Err(_) => Self::Bytes { b64: encode(bytes) },
        }
    }

    /// Returns the bytes, or `None` for what is no Base64.
    pub fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.into_bytes()),
            Self::Bytes { b64 } => decode(&b64),
        }
    }
}

/// Returns bytes as readable text, and in Base64 where the text is not exact.
pub fn readable(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(encode(bytes))),
    }
}

/// Returns a path as readable text with a leading slash, and in Base64 where the text is not exact.
pub fn readable_path(path: &VPath) -> (String, Option<String>) {
    let (text, exact) = readable(path.as_bytes());
    (format!("/{text}"), exact)
}

/// Returns the cursor of a page that ended at a path.
pub fn cursor(path: &VPath) -> String {
    encode_for_url(path.as_bytes())
}

/// Reads what [`cursor`] wrote, `None` for anything else.
pub fn read_cursor(cursor: &str) -> Option<VPath> {
    VPath::parse(&decode_from_url(cursor)?).ok()
}
