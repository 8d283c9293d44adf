//! The command line: flags, configuration, opening the stack, exit codes. Shared by the programs of this crate.

pub mod banner;
pub mod config;
pub mod exit;
pub mod flags;
#[cfg(not(target_os = "linux"))]
mod no_mount;
pub mod parse;
pub mod serve;
pub(crate) mod service;
mod signals;
pub mod spec;
pub mod stack;
#[cfg(target_os = "linux")]
pub(crate) mod words;
