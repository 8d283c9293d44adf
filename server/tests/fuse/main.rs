//! What a user sees of a stack mounted by FUSE. Each test mounts in a namespace of its own, which takes its mounts
//! along when it ends, however it ends.
#![cfg(all(target_os = "linux", feature = "fuse"))]

mod coherence;
mod differential;
mod passing;
mod place;
mod posix;
mod reading;
mod writing;
