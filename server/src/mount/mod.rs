//! Mounting a stack as a file system of this machine (Linux).
//!
//! ```text
//! driver    who mounts, and why
//! point     where
//! kernel/   the kernel's own overlay, for stacks of directories
//! fuse/     the engine itself, for every stack
//! cache/    zips as directories, for the kernel
//! live      the mount of a server
//! standing  what holds it up, and its end
//! leave     taking a mount away
//! left      what a killed server has left to the kernel
//! listed    what is mounted
//! quiet     layers that are read without a trace
//! record    what a mount by FUSE tells of itself
//! private   mounts that one process and its children see alone, without root too
//! ```

pub(crate) mod cache;
mod driver;
#[cfg(feature = "fuse")]
pub mod fuse;
pub(crate) mod kernel;
pub mod leave;
mod left;
pub(crate) mod listed;
pub(crate) mod live;
mod point;
pub(crate) mod private;
#[cfg(feature = "fuse")]
pub(crate) mod quiet;
pub(crate) mod record;
mod standing;

pub(crate) use driver::{Driver, DriverArg, by_kernel, choose};
#[cfg(feature = "fuse")]
pub(crate) use point::fuse_failure;
pub(crate) use point::refuse_around;
