//! Random operations on an overlay and on one plain tree with the same content: both show the same throughout.

#![allow(clippy::disallowed_macros, reason = "a failing seed is printed")]

use ovl_core::testing::{drawing::memory, history::Rng, twin};

const HISTORIES: u64 = 150;
const STEPS: usize = 40;

#[test]
fn an_overlay_behaves_like_a_plain_tree() {
    for seed in 1..=HISTORIES {
        println!("seed {seed}");
        twin::check(&mut Rng(seed), STEPS, memory("upper", ""));
    }
}
