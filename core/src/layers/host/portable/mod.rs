//! The portable form: whiteouts, attributes and names that a host cannot hold are files of ours (semantics 1).
//!
//! It needs nothing of a host but files, directories and renames, and loses nothing. Each change is
//! decided by one rename, link or unlink; what is written before it means nothing alone, and what is
//! tidied up after it means nothing any more:
//!
//! - A name that stands beside its whiteout marker exists; a directory that does is opaque.
//! - A record is bound to its object's number. While one object takes another's place, the file of the
//!   name holds the records of both.

mod item;
mod names;
mod steps;
mod store;
mod tree;

pub(super) use self::{store::Portable, tree::Tree};
