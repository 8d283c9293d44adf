//! `ovl unmount`: the end of a mount, whoever made it.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use ovl_core::layers::host::{self, Mount};

use crate::{
    cli::exit::{Failure, code},
    mount::{
        leave::{self, Leave},
        listed::record,
        record::Record,
    },
};

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ovl unmount /mnt/work")]
pub(super) struct Unmount {
    /// Where an overlay is mounted.
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    point: PathBuf,
    /// Takes it out of the tree at once; whoever still uses it keeps it until they are done.
    #[arg(long)]
    lazy: bool,
}

impl Unmount {
    pub(super) fn run(self) -> Result<(), Failure> {
        let point = whole(&self.point)?;
        let topmost = host::mounts()?.into_iter().rfind(|mount| mount.point == point);
        let Some(mount) = topmost.filter(|mount| matches!(&*mount.kind, "overlay" | "fuse.ovl")) else {
            let shown = self.point.display();
            let none = format!("no overlay is mounted at {shown}; `ovl mounts` lists those that are");
            return Err(Failure::new(code::NOT_FOUND, none));
        };
        let record = record(&mount);
        let how = if self.lazy { Leave::Detached } else { Leave::Whole };
        leave::unmount(&point, how).map_err(|error| failure(&point, error))?;
        record.filter(|_| !self.lazy).map_or(Ok(()), |record| settle(&mount, &record))
    }
}

/// Waits until the process of a mount by FUSE has given back the layers, unless it is mounted elsewhere, too.
fn settle(mount: &Mount, record: &Record) -> Result<(), Failure> {
    if host::mounts()?.iter().any(|other| other.device == mount.device) {
        return Ok(());
    }
    match record.ends() {
        true => record.remove(),
        false => {
            eprintln!("ovl: process {} still uses the layers: the tree may be mounted for others, too", record.told.pid)
        }
    }
    Ok(())
}

/// Returns a mount point as the table of mounts writes it. What is mounted there need not answer.
pub(super) fn whole(point: &Path) -> Result<PathBuf, Failure> {
    let what = || format!("cannot find {}", point.display());
    let beneath = || Some(point.parent()?.canonicalize().ok()?.join(point.file_name()?));
    let found = point.canonicalize().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Err(error),
        _ => beneath().ok_or(error),
    });
    found.map_err(|error| Failure::io(&what(), error, "`ovl mounts` lists what is mounted"))
}

fn failure(point: &Path, error: io::Error) -> Failure {
    let shown = point.display();
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            let advice = "close what is open there and leave its directories; `fuser -vm` tells who";
            Failure::new(code::CONFLICT, format!("{shown} is still used; {advice}"))
        }
        io::ErrorKind::PermissionDenied => {
            let why = format!("only root and who has mounted {shown} by FUSE may unmount it ({error})");
            Failure::new(code::PERMISSION, why)
        }
        _ => Failure::io(&format!("cannot unmount {shown}"), error, "`ovl mounts` lists what is mounted"),
    }
}
