//! Stacks as file systems of this machine.

#[cfg(feature = "fuse")]
pub mod fuse;
