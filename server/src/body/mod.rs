//! Bytes on their way: content, ranges, uploads, listings.

pub(crate) mod coding;
pub(crate) mod content;
pub(crate) mod gzip;
pub(crate) mod lines;
pub(crate) mod media;
pub(crate) mod pull;
pub(crate) mod ranges;
pub(crate) mod upload;
