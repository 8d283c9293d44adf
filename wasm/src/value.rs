//! What comes from JavaScript and what goes there. Objects go by way of JSON, with the fields of the REST API.

use js_sys::{Date, Function, JSON, JsString, Reflect, Uint8Array};
use ovl_core::{
    Time, VPath,
    overlay::Ctx,
    report::{AttrValue, parse_time, read_cursor},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};

use crate::fail::{Failure, Result};

const LIMIT: usize = 1000;
const LIMIT_MAX: usize = 10_000;
/// What is created is writable for its owner alone, as on the server.
const UMASK: u32 = 0o022;
/// Whole numbers beyond are not exact in JavaScript.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// Writes an answer.
pub(crate) fn answer<T: Serialize>(value: &T) -> Result<JsValue> {
    let text = serde_json::to_string(value).map_err(|error| Failure::new("internal", &error.to_string()))?;
    JSON::parse(&text).map_err(Failure::thrown)
}

/// Reads options; none are the default ones. Functions among them are read apart.
pub(crate) fn options<T: DeserializeOwned + Default>(value: &JsValue) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    let text = JSON::stringify(value).map_err(Failure::thrown)?;
    let text = JsValue::from(text).as_string().ok_or_else(|| Failure::input("options are an object"))?;
    serde_json::from_str(&text).map_err(|error| Failure::new("invalid-query", &error.to_string()))
}

/// Reads a path: a text or bytes, with or without a slash in front.
pub(crate) fn path(value: &JsValue) -> Result<VPath> {
    let bytes = bytes(value).ok_or_else(|| Failure::new("invalid-path", "a path is a text or a Uint8Array"))?;
    Ok(VPath::parse(bytes.strip_prefix(b"/").unwrap_or(&bytes))?)
}

/// Reads a text or bytes.
pub(crate) fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    text(value).or_else(|| value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec))
}

/// Reads a field of an object.
pub(crate) fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

/// Reads a listener of long work.
pub(crate) fn function(value: &JsValue) -> Result<Option<Function>> {
    match value.dyn_ref::<Function>() {
        None if value.is_undefined() || value.is_null() => Ok(None),
        None => Err(Failure::input("a function is needed here")),
        Some(function) => Ok(Some(function.clone())),
    }
}

/// Reads a number of bytes.
pub(crate) fn whole(number: f64) -> Result<u64> {
    match (0.0..=LARGEST).contains(&number) && number.fract() == 0.0 {
        true => Ok(number as u64),
        false => Err(Failure::input("a place in a file is a whole number, 0 or more")),
    }
}

/// Reads how long a page is.
pub(crate) fn limit(limit: Option<usize>) -> Result<usize> {
    match limit.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(Failure::new("invalid-query", "limit is from 1 to 10000")),
    }
}

/// Reads where a page goes on.
pub(crate) fn after(cursor: Option<&str>) -> Result<Option<VPath>> {
    let no_such = || Failure::new("invalid-query", "no such cursor");
    cursor.map(|cursor| read_cursor(cursor).ok_or_else(no_such)).transpose()
}

/// Permission bits: octal as a text, or a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Mode {
    Text(String),
    Number(u32),
}

impl Mode {
    pub(crate) fn bits(&self) -> Result<u32> {
        let bits = match self {
            Self::Number(bits) => Some(*bits),
            Self::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                u32::from_str_radix(text, 8).ok()
            }
            Self::Text(_) => None,
        };
        bits.filter(|bits| *bits <= 0o7777).ok_or_else(|| Failure::input("a mode is octal, from 0 to 7777"))
    }
}

/// Returns the bits of a mode, if there is one.
pub(crate) fn bits(mode: Option<&Mode>) -> Result<Option<u32>> {
    mode.map(Mode::bits).transpose()
}

/// A time: RFC 3339, or milliseconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Instant {
    Text(String),
    Millis(f64),
}

impl Instant {
    pub(crate) fn time(&self) -> Result<Time> {
        match self {
            Self::Text(text) => {
                parse_time(text).ok_or_else(|| Failure::input("a time looks like 2026-01-31T12:00:00.5Z"))
            }
            Self::Millis(millis) => Ok(of_millis(*millis)),
        }
    }
}

/// Returns the time, if there is one.
pub(crate) fn time(instant: Option<&Instant>) -> Result<Option<Time>> {
    instant.map(Instant::time).transpose()
}

fn of_millis(millis: f64) -> Time {
    let (secs, rest) = ((millis / 1000.0).floor(), millis.rem_euclid(1000.0));
    Time { secs: secs as i64, nanos: (rest * 1e6) as u32 % 1_000_000_000 }
}

/// Returns who changes something, now.
pub(crate) fn ctx() -> Ctx {
    Ctx { umask: UMASK, now: of_millis(Date::now()), ..Ctx::default() }
}

/// Returns a number that no earlier layer had.
pub(crate) fn nonce() -> u64 {
    (js_sys::Math::random() * LARGEST) as u64
}

/// Returns the bytes of an attribute's value.
pub(crate) fn attribute(value: AttrValue) -> Result<Box<[u8]>> {
    let bytes = value.bytes().ok_or_else(|| Failure::input("the value of an attribute is no Base64"))?;
    Ok(bytes.into())
}

/// Returns a text's bytes, or `None` for what is no text.
pub(crate) fn text(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<JsString>().map(|text| String::from(text).into_bytes())
}
