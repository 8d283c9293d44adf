//! The layers: each knows the vocabulary in `layer`, none knows another.

#[cfg(target_os = "linux")]
pub mod host;
pub mod memory;
pub mod zip;
