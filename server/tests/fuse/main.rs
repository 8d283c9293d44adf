//! What a user sees of a stack mounted by FUSE. Each test mounts in a namespace of its own, which takes its mounts
//! along when it ends, however it ends.
#![cfg(all(target_os = "linux", feature = "fuse"))]

mod archives;
mod coherence;
mod differential;
mod handover;
mod passing;
mod place;
mod posix;
mod reading;
#[path = "../http/support.rs"]
#[expect(dead_code, reason = "the tests of HTTP use the rest")]
mod site;
mod writing;
