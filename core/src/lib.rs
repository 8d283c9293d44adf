//! The engine of ovl: a writable layer over folders, archives and memory.
//!
//! The map of the house, arrows pointing down:
//!
//! ```text
//! report                           what the engine tells, as JSON (feature `report`)
//! import                           reads an archive, writes the upper through the overlay
//! diff  digest  export             read the stack, write nothing of it
//! outline                          the lines of a tree as it is drawn
//! verify                           reads an upper of the host and the stack, mends the upper
//! tree  descent                    one walk over the merged view, one over a layer
//! overlay/{mod,resolve,list,why,xray,write,in_place,copy_up}
//!                                  the overlay: knows `layer`, never a concrete layer
//! layers/{memory,zip,host,quota,subtree,data_only}
//!                                  each knows `layer`, none knows another
//! layer                            the vocabulary: Layer, WritableLayer, Blob, Node, Step
//! path  error  sorted              the ground floor
//! testing                          the suite of every layer, drawings of trees (feature `testing`)
//! ```
//!
//! The core is synchronous and has no clock, environment, threads or printing: times and paths come
//! in as arguments, which is what lets it run in a browser.

#![forbid(unsafe_code)]

mod descent;
pub mod diff;
pub mod digest;
mod error;
pub mod export;
pub mod import;
mod layer;
pub mod layers;
pub mod outline;
pub mod overlay;
mod path;
#[cfg(feature = "report")]
pub mod report;
mod sorted;
pub mod tree;
#[cfg(any(unix, windows))]
pub mod verify;

#[cfg(feature = "testing")]
pub mod testing;

pub use error::{Error, ErrorKind, Result};
pub use layer::{
    Allocate, Attrs, Blob, BlobMut, Caps, Change, Device, Entry, Facts, Kind, Layer, Leave, Links, Marks, NameRules,
    New, Node, Omitted, Opaque, Stat, Step, Stored, Time, WritableLayer, Xattr, XattrChange, copy_blob,
};
pub use overlay::Overlay;
pub use path::{DEPTH_MAX, NAME_MAX, Name, NameBuf, PATH_MAX, VPath, printable};
