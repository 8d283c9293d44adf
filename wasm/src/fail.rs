//! Errors as JavaScript throws them: with `code`, and where they are known `path`, `layer` and `errno`.

use js_sys::{Error as JsError, Reflect};
use ovl_core::{
    Error, VPath, printable,
    report::{code, readable_path},
};
use wasm_bindgen::JsValue;

/// What a method throws.
#[derive(Debug)]
pub struct Failure(JsValue);

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Returns an error of a code and a sentence.
    #[cold]
    pub(crate) fn new(code: &str, message: &str) -> Self {
        let error = JsError::new(message);
        error.set_name("OvlError");
        set(&error, "code", code);
        Self(error.into())
    }

    /// Returns an argument's refusal.
    pub(crate) fn input(message: &str) -> Self {
        Self::new("invalid-body", message)
    }

    /// Returns what a function of the caller's has thrown, as it is.
    pub(crate) fn thrown(value: JsValue) -> Self {
        Self(value)
    }

    /// Names the path unless one is named already.
    pub(crate) fn or_at(self, path: &VPath) -> Self {
        let known = Reflect::has(&self.0, &"path".into()).unwrap_or(true);
        if known { self } else { self.with("path", Some(&readable_path(path).0)) }
    }

    fn with(self, key: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            set(&self.0, key, value);
        }
        self
    }
}

/// Sets a field of an object of our own, which takes every field.
fn set(object: &JsValue, key: &str, value: &str) {
    drop(Reflect::set(object, &key.into(), &value.into()));
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, errno) = code(error.kind());
        let path = error.path().map(|path| format!("/{}", String::from_utf8_lossy(path)));
        let layer = error.layer().map(|layer| printable(layer.as_bytes()));
        let failure = Self::new(code, &error.to_string()).with("path", path.as_deref());
        failure.with("layer", layer.as_deref()).with("errno", errno)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}
