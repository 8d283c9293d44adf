//! What a user sees of host layers: folders read and written, by us and by the kernel.
#![cfg(target_os = "linux")]
// The tests prepare and inspect the machine's files from outside the core.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

mod changes;
mod data_only;
mod differential;
mod imports;
mod kernel;
mod lower;
mod options;
mod place;
mod stops;
mod suites;
mod upper;
mod verify;
