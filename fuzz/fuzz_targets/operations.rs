//! Layers and operations out of bytes: the overlay and its twin, one plain tree, stay the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ovl_core::testing::{drawing::memory, history::Bytes, twin};

fuzz_target!(|data: &[u8]| {
    twin::check(&mut Bytes(data), data.len() / 4, memory("upper", ""));
});
