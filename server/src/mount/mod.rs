//! Mounting a stack as a file system of this machine (Linux).
//!
//! ```text
//! driver    who mounts, and why
//! kernel/   the kernel's own overlay, for stacks of directories
//! ```

mod driver;
pub(crate) mod kernel;

pub(crate) use driver::{Driver, choose};
