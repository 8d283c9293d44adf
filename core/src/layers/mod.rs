//! The layers: each knows the vocabulary in `layer`, none knows another.

pub mod memory;
