//! JSON bodies, in and out.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    accept::TooSlow,
    problem::{INVALID_BODY, Problem, TIMEOUT, TOO_LARGE, UNSUPPORTED_MEDIA},
};

/// The most bytes of a JSON body (trust T26).
pub(crate) const MAX: usize = 1 << 20;

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let bytes = serde_json::to_vec(&self.0).expect("answers hold nothing that JSON cannot");
        let mut response = Response::new(Body::from(bytes));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Reads a JSON object: 415 for another type, 413 beyond 1 MiB, 400 for what does not fit.
impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(&UNSUPPORTED_MEDIA, "the body must be JSON: Content-Type: application/json"));
        }
        let body = Limited::new(request.into_body(), MAX).collect().await.map_err(|error| unreadable(&*error))?;
        // An object first: the members of a plain list would be taken for fields in their order.
        let object = serde_json::from_slice::<Map<String, Value>>(&body.to_bytes());
        let value = object.and_then(|object| T::deserialize(Value::Object(object)));
        value.map(Self).map_err(|error| Problem::new(&INVALID_BODY, error.to_string()))
    }
}

/// Reads a number without a sign, or null. `7.0` is the same number as `7` in JSON.
pub(crate) fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(value)? else { return Ok(None) };
    if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
        return Err(serde::de::Error::custom(format!("{number} is no number from 0 to {}", u32::MAX)));
    }
    Ok(Some(number as u32))
}

fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = essence.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "application/merge-patch+json"
}

/// Tells why a body could not be read: too long, too slow, or broken off.
pub(crate) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Problem {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if causes.clone().any(|cause| cause.is::<LengthLimitError>()) {
        return Problem::new(&TOO_LARGE, "the body is larger than allowed");
    }
    if causes.any(|cause| cause.is::<TooSlow>()) {
        return Problem::new(&TIMEOUT, "the body came too slowly")
            .with(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Problem::new(&INVALID_BODY, "the body broke off")
}
