//! The classes of failure: slug, status and what they mean. The only place that names a status of an error.

use ovl_core::{ErrorKind, report::code};

/// A class of failure that a client can act on: a row of the contract.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    /// The last part of the problem's `type`.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The summary, the same for every occurrence.
    pub title: &'static str,
    /// What it means and what to do, for `/problems/<slug>`.
    pub help: &'static str,
}

macro_rules! classes {
    ($($name:ident $status:literal $slug:literal $title:literal $help:literal)*) => {
        $(#[doc = concat!("`", $slug, "`: ", $title, ".")]
        pub static $name: Class = Class { slug: $slug, status: $status, title: $title, help: $help };)*

        /// Every class, in the order of their statuses.
        pub static ALL: &[&Class] = &[$(&$name),*];
    };
}

classes! {
    INVALID_PATH 400 "invalid-path" "The path is not valid"
        "A path is names joined by '/': no empty part, no '.', no '..', no NUL, and every '%' followed by two hexadecimal digits. '%2F' counts as '/', and one in front is left out."
    INVALID_QUERY 400 "invalid-query" "The query is not valid"
        "A parameter is unknown, missing or out of its range; the detail names it."
    INVALID_BODY 400 "invalid-body" "The body or a header is not valid"
        "The body is not the JSON that this operation takes, or a header cannot be read; the detail says where."
    DIGEST_MISMATCH 400 "digest-mismatch" "The content does not have the stated digest"
        "The bytes that arrived do not have the digest of 'Content-Digest' or 'Repr-Digest'. Nothing was changed; send them again."
    UNAUTHORIZED 401 "unauthorized" "A token is needed"
        "Send 'Authorization: Bearer TOKEN' with the token that the server was started with."
    FORBIDDEN 403 "forbidden" "Not from this page"
        "A web page of another origin may not change anything. '--cors-origin' names pages that may."
    PERMISSION_DENIED 403 "permission-denied" "Permission denied"
        "The entry cannot be changed in this way, or the server's user may not do it."
    READ_ONLY 403 "read-only" "The upper layer is read-only"
        "The upper takes no more changes, for instance after a disk error. Look at the server's log and restart it."
    NO_UPPER 403 "no-upper" "The overlay has no upper layer"
        "The server was started without '--upper', so nothing can be changed. '--upper DIR' keeps changes, '--upper mem:' forgets them."
    PATHS_NOT_TOLD 403 "paths-not-told" "Paths of the host are not told"
        "What was asked for is made of paths on the server's machine, which clients are told only when it was started with '--tell-paths'."
    NOT_FOUND 404 "not-found" "Not found"
        "Nothing stands at this path. 'GET /v1/why/PATH' tells what each layer holds there."
    METHOD_NOT_ALLOWED 405 "method-not-allowed" "The method is not allowed here"
        "The 'Allow' header lists what this address takes."
    NOT_ACCEPTABLE 406 "not-acceptable" "No acceptable format"
        "None of the formats in 'Accept' or 'format' can be made here."
    TIMEOUT 408 "timeout" "The request took too long"
        "The body arrived too slowly. Send it again."
    ALREADY_EXISTS 409 "already-exists" "Already exists"
        "Something stands at this path. Remove it first, or ask for it to be overwritten where the operation offers that."
    NOT_A_DIRECTORY 409 "not-a-directory" "Not a directory"
        "A directory is needed here, or the path ends in '/' and names something else."
    IS_A_DIRECTORY 409 "is-a-directory" "Is a directory"
        "Use '/v1/entries/PATH' for directories."
    DIRECTORY_NOT_EMPTY 409 "directory-not-empty" "The directory is not empty"
        "It still shows entries. '?recursive=true' removes it with everything beneath it."
    CROSS_LAYER_RENAME 409 "cross-layer-rename" "A directory of a lower layer cannot be moved"
        "This upper cannot record such a move. Copy the directory and remove the old one."
    BUSY 409 "busy" "In use"
        "Another process holds it, or it kept changing. Try again."
    MOUNTED 409 "mounted" "The kernel has the upper mounted"
        "Changes are made through the mount, on the server's machine; reading, listing, 'why', changes and exports work as ever. Started with '--driver fuse', the server and the mount both change the tree; without '--mount', the server does."
    GONE_CURSOR 410 "gone-cursor" "The cursor is too old"
        "What followed it is no longer kept. Start afresh."
    PRECONDITION_FAILED 412 "precondition-failed" "The condition of the request does not hold"
        "The entry is not the one that 'If-Match' or 'If-None-Match' asks for. 'current_etag' is what stands there now; nothing was changed."
    TOO_LARGE 413 "too-large" "Too large"
        "The body, or what it would become, is larger than this server allows ('--max-body')."
    UNSUPPORTED_MEDIA 415 "unsupported-media" "The media type is not supported"
        "Send the media type that the operation names: 'application/json', or 'application/merge-patch+json' for PATCH."
    RANGE_NOT_SATISFIABLE 416 "range-not-satisfiable" "The range is not satisfiable"
        "The content is shorter than the range; 'Content-Range' tells its length."
    HOST_NOT_ALLOWED 421 "host-not-allowed" "This host name is not served"
        "The 'Host' header names another server. Use the address that the server printed, or start it with '--allow-host NAME'."
    UNSUPPORTED_NAME 422 "unsupported-name" "The upper cannot hold this name"
        "The place where changes are kept has rules for names that this one breaks."
    LOOP 422 "loop" "Too many symbolic links"
        "More than 40 symbolic links had to be followed: they probably point at each other."
    NAME_TOO_LONG 422 "name-too-long" "The name or path is too long"
        "A name has at most 255 bytes, a path at most 4,096 bytes and 255 names."
    UNSUPPORTED_ENTRY 422 "unsupported-entry" "This kind of entry does not support the operation"
        "Fifos, sockets and devices have no content here, and some members of archives cannot be read; the detail says why."
    PRECONDITION_REQUIRED 428 "precondition-required" "A condition is required"
        "Send 'If-Match' with the ETag that you know, or 'If-None-Match: *' to create."
    RATE_LIMITED 429 "rate-limited" "Too many requests"
        "Wait a moment and try again."
    CORRUPT_LAYER 500 "corrupt-layer" "A layer is damaged"
        "A layer contradicts itself or does not hold what it declares. The rest of the tree is still served."
    IO_ERROR 500 "io-error" "Reading or writing failed"
        "The server's disk answered with an error. Its log tells more."
    INTERNAL 500 "internal" "The server made a mistake"
        "This is a defect of the server. Other requests are not affected."
    NOT_IMPLEMENTED 501 "not-implemented" "Not supported by this layer"
        "The layer that holds the entry cannot do this."
    LAYER_CHANGED 503 "layer-changed" "A layer changed underneath"
        "A layer's file was exchanged or modified while it was served. Restart the server to serve its new state."
    BACKEND_UNAVAILABLE 503 "backend-unavailable" "Not ready"
        "The server cannot answer this now. Try again."
    INSUFFICIENT_STORAGE 507 "insufficient-storage" "No space left"
        "The disk or the quota ('--quota') is full. Nothing was changed; removing still works."
}

/// Returns the class and the errno of a failure of the engine.
pub(super) fn of_kind(kind: ErrorKind) -> (&'static Class, Option<&'static str>) {
    let (slug, errno) = code(kind);
    let class = ALL.iter().find(|class| class.slug == slug);
    (class.expect("every code of the engine is a class, as a test checks"), errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_engine_is_a_class() {
        for kind in ErrorKind::ALL {
            assert!(ALL.iter().any(|class| class.slug == code(*kind).0), "{kind:?}");
        }
    }
}
