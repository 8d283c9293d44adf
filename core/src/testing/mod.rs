//! What tests share: drawings of trees, the suites that every layer passes, a layer that fails on demand, zips
//! written byte by byte, the kernel's overlay as judge.
//!
//! Nothing here is part of the product; the feature `testing` turns it on.

pub mod crash;
pub mod drawing;
pub mod failing;
pub mod history;
#[cfg(target_os = "linux")]
pub mod kernel;
pub mod source;
pub mod suite;
pub mod twin;
pub mod upper_suite;
pub mod zip_builder;
