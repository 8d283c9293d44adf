//! The layers: each knows the vocabulary in `layer`, none knows another.

pub mod data_only;
#[cfg(any(unix, windows))]
pub mod host;
pub mod memory;
pub mod quota;
pub mod subtree;
pub mod zip;
