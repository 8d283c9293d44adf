//! Validators and conditions: ETags, `If-Match`, `If-None-Match` (RFC 9110 section 13).

use http::{HeaderMap, HeaderValue, header};
use ovl_core::overlay::{Tag, When};

use crate::problem::{INVALID_BODY, PRECONDITION_FAILED, PRECONDITION_REQUIRED, Problem};

/// What a coded answer's tag ends with; conditions take the tag with and without it.
const SUFFIXES: [&str; 3] = ["-gzip", "-br", "-zstd"];

/// Returns the strong ETag of an opaque text.
pub(crate) fn etag(opaque: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{opaque}\"")).expect("tags are made of letters, digits and dashes")
}

/// The tags of one header.
enum Tags<'a> {
    Any,
    /// The opaque parts of the strong ones, without the suffix of a coding; weak ones never match.
    These(Vec<&'a str>),
}

impl Tags<'_> {
    fn has(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.contains(&opaque),
        }
    }
}

fn tags<'a>(headers: &'a HeaderMap, name: &header::HeaderName, weak: bool) -> Result<Option<Tags<'a>>, Problem> {
    let mut found = None;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| unreadable(name))?.trim();
        if text == "*" {
            return Ok(Some(Tags::Any));
        }
        let these = found.get_or_insert_with(Vec::new);
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let (is_weak, quoted) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
            let opaque =
                quoted.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).ok_or_else(|| unreadable(name))?;
            if weak || !is_weak {
                these.push(SUFFIXES.iter().find_map(|suffix| opaque.strip_suffix(suffix)).unwrap_or(opaque));
            }
        }
    }
    Ok(found.map(Tags::These))
}

fn unreadable(name: &header::HeaderName) -> Problem {
    Problem::new(&INVALID_BODY, format!("{name} is '*' or a list of tags in double quotes"))
}

/// What a conditional read comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Answer.
    Go,
    /// Answer 304: the client has it.
    Unchanged,
}

/// Compares the conditions of a read with the tag of what would be answered, without the suffix of its coding.
///
/// # Errors
/// 412 when `If-Match` does not name it, 400 for headers that cannot be read.
pub(crate) fn read(headers: &HeaderMap, opaque: &str) -> Result<Read, Problem> {
    if tags(headers, &header::IF_MATCH, false)?.is_some_and(|tags| !tags.has(opaque)) {
        let current = Some(format!("\"{opaque}\""));
        return Err(Problem::new(&PRECONDITION_FAILED, "it is not what If-Match names").current(current));
    }
    // A cache may compare weakly here, so a tag that a proxy has weakened counts.
    let known = tags(headers, &header::IF_NONE_MATCH, true)?.is_some_and(|tags| tags.has(opaque));
    Ok(if known { Read::Unchanged } else { Read::Go })
}

/// Returns the condition of a write, which the engine checks at the instant of the change.
///
/// # Errors
/// 428 without a condition where one is required, 400 for headers that cannot be read, or for both at once.
pub(crate) fn write(headers: &HeaderMap, required: bool) -> Result<When, Problem> {
    let (is, is_not) = (tags(headers, &header::IF_MATCH, false)?, tags(headers, &header::IF_NONE_MATCH, true)?);
    match (is, is_not) {
        (Some(_), Some(_)) => Err(Problem::new(&INVALID_BODY, "either If-Match or If-None-Match, not both")),
        (Some(Tags::Any), None) => Ok(When::Exists),
        (Some(Tags::These(tags)), None) => Ok(When::Is(known(&tags))),
        (None, Some(Tags::Any)) => Ok(When::Absent),
        (None, Some(Tags::These(tags))) => Ok(When::IsNot(known(&tags))),
        (None, None) if required => {
            Err(Problem::new(&PRECONDITION_REQUIRED, "this server wants If-Match or If-None-Match on every write"))
        }
        (None, None) => Ok(When::Always),
    }
}

/// Returns the tags that can be of ours; others match nothing.
fn known(tags: &[&str]) -> Vec<Tag> {
    tags.iter().filter_map(|tag| Tag::parse(tag)).collect()
}

/// Returns the condition of a change of the whole overlay: `If-Match` names generations, which `read` tells from other
/// tags. The engine checks it at the instant of the change.
///
/// # Errors
/// 428 without a condition where one is required, 400 for a header that cannot be read.
pub(crate) fn whole(headers: &HeaderMap, required: bool, read: impl Fn(&str) -> Option<u64>) -> Result<When, Problem> {
    match tags(headers, &header::IF_MATCH, false)? {
        Some(Tags::These(tags)) => Ok(When::Generation(tags.into_iter().filter_map(read).collect())),
        Some(Tags::Any) => Ok(When::Always),
        None if required => {
            let detail = "this needs If-Match with the ETag of /v1/changes or /v1/overlay";
            Err(Problem::new(&PRECONDITION_REQUIRED, detail))
        }
        None => Ok(When::Always),
    }
}
