//! A server that mounts nothing: only Linux has the means.

use clap::Args;

use super::{
    exit::Failure,
    flags::StackArgs,
    stack::{self, Observer, Opened},
};

/// No flags.
#[derive(Args, Clone, Debug)]
pub struct MountArgs {}

/// No mount.
#[derive(Debug)]
pub(crate) struct Live;

/// Opens a stack to be served.
///
/// # Errors
/// What [`stack::open`] refuses.
pub(crate) fn open(
    _: &MountArgs,
    stack: &StackArgs,
    nonce: u64,
    observer: Observer,
    _is_dry: bool,
) -> Result<(Opened, Live), Failure> {
    Ok((stack::open(stack, nonce, Some(observer))?, Live))
}

impl Live {
    pub(crate) fn end(self) -> Result<(), Failure> {
        Ok(())
    }

    pub(crate) fn at_once(&self) -> impl Fn() + Send + 'static {
        || ()
    }
}
