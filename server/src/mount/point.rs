//! Where a stack can be mounted.

use std::path::Path;

use crate::cli::{exit::Failure, flags::StackArgs, spec::Medium, stack};

/// Refuses a mount point that a layer holds, and one that holds a layer: the mount would hide it, or show itself.
pub(crate) fn refuse_around(args: &StackArgs, point: &Path) -> Result<(), Failure> {
    let layers = args.lower.iter().chain(&args.upper).filter(|layer| layer.medium != Some(Medium::Memory));
    layers.map(|layer| &*layer.path).chain(args.work.as_deref()).try_for_each(|layer| {
        if !stack::overlap(layer, point)? {
            return Ok(());
        }
        let (point, layer) = (point.display(), layer.display());
        Err(Failure::usage(format!("the mount point {point} and {layer} lie in one another; mount elsewhere")))
    })
}
