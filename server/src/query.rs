//! The query of a request.

use axum::extract::FromRequestParts;
use http::request::Parts;
use ovl_core::{Error, VPath};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::problem::{INVALID_QUERY, Problem};

/// Reads a switch of a query: 0 or 1, nothing else.
pub(crate) fn switch<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    match u8::deserialize(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(serde::de::Error::custom("a switch is 0 or 1")),
    }
}

/// Reads a path of a query, the root when there is none; a slash in front and one behind may stand or be left out.
///
/// # Errors
/// What [`VPath::parse`] refuses.
pub(crate) fn path(text: Option<&str>) -> Result<VPath, Error> {
    let text = text.unwrap_or_default();
    let bare = text.strip_prefix('/').unwrap_or(text);
    VPath::parse(bare.strip_suffix('/').unwrap_or(bare).as_bytes())
}

/// The query's parameters; unknown ones are refused where `T` refuses them.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Problem::new(&INVALID_QUERY, ovl_core::printable(reason.as_bytes()))
        })
    }
}
