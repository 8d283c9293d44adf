//! The engine in JavaScript: translates, decides nothing.
//!
//! ```text
//! stack      the layers: adding, arranging, freezing; who may call
//! look       reading: entries, pages, content, why, digests
//! change     writing, and taking back
//! tell       changes and events
//! tree       trees that are handed over
//! archive    exports and imports
//! outline    the tree as it is drawn
//! value      what comes from JavaScript and what goes there
//! source     bytes that lie in JavaScript, read piece by piece
//! progress   how far long work is, and whether it goes on
//! fail       errors
//! ```
//!
//! There is one thread. A function of JavaScript's that is called during work may call another stack, never the same.

mod archive;
mod change;
mod fail;
mod look;
mod outline;
mod progress;
mod source;
mod stack;
mod tell;
mod tree;
mod value;

pub use fail::Failure;
pub use stack::Stack;

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");
