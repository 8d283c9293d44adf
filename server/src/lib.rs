//! The REST server of ovl: it translates between HTTP and the overlay, and decides nothing.
//!
//! ```text
//! cli/                 flags, configuration, opening the stack, exit codes, the start
//! accept/              connections: timeouts, limits, graceful stop
//! app                  one request: guard, router, panics, what every answer carries
//! access               the log of requests
//! guard  cors          who may ask
//! router               the table of routes
//! handlers/            parse, one call of the engine, translate
//! body/                bytes on their way: content, ranges, uploads, listings
//! raw_path  etag  when  from the head of a request to values of the engine
//! problem/             every error, from one table
//! events  counters     what happened
//! ovl/                 the other program: the engine without a server
//! mount/               the stack as a file system (Linux)
//! mounts  mount_table  graphdriver   what is told of a mount
//! ```

#![forbid(unsafe_code)]

pub mod accept;
mod access;
pub mod app;
mod body;
pub mod cli;
mod compress;
mod conditions;
mod cors;
mod counters;
pub mod events;
pub mod graphdriver;
pub mod guard;
mod handlers;
mod json;
#[cfg(target_os = "linux")]
pub mod mount;
pub mod mount_table;
pub mod mounts;
pub mod openapi;
pub mod ovl;
pub mod problem;
mod query;
pub mod raw_path;
mod router;
pub mod settings;
pub mod state;
mod time;
