//! Mounted stacks, as a user of `ovl` sees them. Each test has a mount namespace and a file system of its own,
//! which go away with it; where this machine has none to give, the test says so and does nothing.
#![cfg(target_os = "linux")]

mod cache;
mod data_only;
#[cfg(feature = "fuse")]
mod fuse;
#[cfg(feature = "fuse")]
mod helper;
mod kernel;
mod place;
mod run;
mod served;
mod server;
#[cfg(feature = "fuse")]
mod stay;
mod stops;
mod table;
mod verify;
