//! The commands that only Linux has, on other systems.

use std::{ffi::OsString, path::Path};

use clap::Args;

use crate::cli::exit::{Failure, code};

/// Stands for each of these commands, whatever follows.
#[derive(Args, Debug)]
pub(super) struct Elsewhere {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _words: Vec<OsString>,
}

pub(super) type Cache = Elsewhere;
pub(super) type Mount = Elsewhere;
pub(super) type Mounts = Elsewhere;
pub(super) type Run = Elsewhere;
pub(super) type Unmount = Elsewhere;

impl Elsewhere {
    pub(super) fn run(self) -> Result<(), Failure> {
        Err(refused())
    }
}

pub(super) fn graphdriver(_point: &Path) -> Result<(), Failure> {
    Err(refused())
}

fn refused() -> Failure {
    Failure::new(code::FAILED, "overlays are mounted on Linux alone; `ovl-server` shows the tree everywhere")
}
