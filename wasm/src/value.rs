//! What comes from JavaScript and what goes there. Objects go by way of JSON, with the fields of the REST API.

use js_sys::{Date, Function, JSON, JsString, Object, Reflect, Uint8Array};
use ovl_core::{
    Time, VPath, XattrChange,
    overlay::Ctx,
    report::{AttrValue, parse_time, read_cursor},
};
use serde::Serialize;
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
    parsed(serde_json::to_string(value))
}

#[inline(never)]
fn parsed(text: serde_json::Result<String>) -> Result<JsValue> {
    let text = text.map_err(|error| Failure::new("internal", &error.to_string()))?;
    JSON::parse(&text).map_err(Failure::thrown)
}

/// Options that a caller gives: an object, or nothing. Each is read by its name; derived readers would be ten times the code.
pub(crate) struct Options(JsValue);

impl Options {
    /// Takes options of which only some are `known`.
    ///
    /// # Errors
    /// `invalid-query` for what is no object, and for an unknown option.
    pub(crate) fn read(value: JsValue, known: &[&str]) -> Result<Self> {
        if value.is_undefined() || value.is_null() {
            return Ok(Self(JsValue::UNDEFINED));
        }
        let object = value.dyn_ref::<Object>().ok_or_else(|| refused("options are an object"))?;
        for key in Object::keys(object).iter().filter_map(|key| key.as_string()) {
            if !known.contains(&&*key) {
                return Err(refused(&format!("no option {key}; there are {}", known.join(", "))));
            }
        }
        Ok(Self(value))
    }

    /// Returns the value of an option, `None` where it is left out.
    pub(crate) fn get(&self, name: &str) -> Option<JsValue> {
        Some(field(&self.0, name)).filter(|value| !value.is_undefined())
    }

    fn typed<T>(&self, name: &str, what: &str, read: impl FnOnce(&JsValue) -> Option<T>) -> Result<Option<T>> {
        let wrong = || refused(&format!("{name} is {what}"));
        self.get(name).map(|value| read(&value).ok_or_else(wrong)).transpose()
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.typed(name, "true or false", JsValue::as_bool)?.unwrap_or(default))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>> {
        self.typed(name, "a text", JsValue::as_string)
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, "a number", JsValue::as_f64)
    }

    /// Returns a whole number.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>> {
        self.number(name)?.map(|number| Ok(whole(number)? as usize)).transpose()
    }

    pub(crate) fn path(&self, name: &str) -> Result<VPath> {
        self.get(name).map_or(Ok(VPath::root()), |value| path(&value))
    }

    /// Returns permission bits: octal as a text, or a number.
    pub(crate) fn mode(&self, name: &str) -> Result<Option<u32>> {
        self.get(name).map(|value| mode(&value)).transpose()
    }

    /// Returns a time: RFC 3339, or milliseconds since 1970.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Time>> {
        self.get(name).map(|value| time(&value)).transpose()
    }

    /// Returns how long a page is.
    pub(crate) fn limit(&self) -> Result<usize> {
        match self.count("limit")?.unwrap_or(LIMIT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(refused("limit is from 1 to 10000")),
        }
    }

    /// Returns where a page goes on.
    pub(crate) fn cursor(&self) -> Result<Option<VPath>> {
        let no_such = || refused("no such cursor");
        self.text("cursor")?.map(|cursor| read_cursor(&cursor).ok_or_else(no_such)).transpose()
    }

    /// Returns a word's meaning; without it, the first one's.
    pub(crate) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<T> {
        let given = self.text(name)?;
        let found = words.iter().find(|(word, _)| given.as_deref().is_none_or(|given| given == *word));
        let all = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        found.map(|(_, meaning)| *meaning).ok_or_else(|| refused(&format!("{name} is {}", all())))
    }
}

#[cold]
pub(crate) fn refused(what: &str) -> Failure {
    Failure::new("invalid-query", what)
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

/// Reads permission bits.
pub(crate) fn mode(value: &JsValue) -> Result<u32> {
    let bits = match value.as_string() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            u32::from_str_radix(&text, 8).ok()
        }
        Some(_) => None,
        None => value.as_f64().filter(|bits| bits.fract() == 0.0 && *bits >= 0.0).map(|bits| bits as u32),
    };
    bits.filter(|bits| *bits <= 0o7777).ok_or_else(|| Failure::input("a mode is octal, from 0 to 7777"))
}

/// Reads a time.
pub(crate) fn time(value: &JsValue) -> Result<Time> {
    let time = match value.as_string() {
        Some(text) => parse_time(&text),
        None => value.as_f64().filter(|millis| millis.is_finite()).map(of_millis),
    };
    time.ok_or_else(|| Failure::input("a time looks like 2026-01-31T12:00:00.5Z, or is a number of milliseconds"))
}

fn of_millis(millis: f64) -> Time {
    let secs = (millis / 1000.0).floor();
    Time { secs: secs as i64, nanos: ((millis - secs * 1000.0) * 1e6) as u32 % 1_000_000_000 }
}

/// Returns who changes something, now.
pub(crate) fn ctx() -> Ctx {
    Ctx { umask: UMASK, now: of_millis(Date::now()), ..Ctx::default() }
}

/// Returns a number that no earlier layer had.
pub(crate) fn nonce() -> u64 {
    (js_sys::Math::random() * LARGEST) as u64
}

/// Reads changes of extended attributes: a text, bytes in Base64, or null to remove one.
pub(crate) fn attributes(value: &JsValue) -> Result<Vec<XattrChange>> {
    let object = value.dyn_ref::<Object>().ok_or_else(|| Failure::input("xattrs is an object"))?;
    let change = |key: JsValue| {
        let value = Reflect::get(object, &key).unwrap_or_default();
        let wrong = || Failure::input("the value of an attribute is a text, { b64 } or null");
        let value = match field(&value, "b64").as_string() {
            Some(b64) => Some(AttrValue::Bytes { b64 }.bytes().ok_or_else(wrong)?),
            None if value.is_null() => None,
            None => Some(text(&value).ok_or_else(wrong)?),
        };
        Ok((text(&key).unwrap_or_default().into(), value.map(Into::into)))
    };
    Object::keys(object).iter().map(change).collect()
}

/// Returns a text's bytes, or `None` for what is no text.
pub(crate) fn text(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<JsString>().map(|text| String::from(text).into_bytes())
}
