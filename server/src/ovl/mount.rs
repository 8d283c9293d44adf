//! `ovl mount` and `ovl unmount`: the stack as a file system of this machine, and its end.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use ovl_core::layers::host;
use rustix::{
    io::Errno,
    mount::{UnmountFlags, unmount},
};

use super::notes::Notes;
use crate::{
    cli::{
        exit::{Failure, code},
        flags::StackArgs,
        stack,
    },
    mount::{
        Driver, choose,
        kernel::{self, KernelArgs},
    },
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl mount --lower ./base --upper ./changes /mnt/work
  ovl mount --lower ./patch --lower ./base /mnt/look
  ovl mount --driver kernel --lower ./base --upper ./scratch --volatile /mnt/build")]
pub(super) struct Mount {
    /// The directory at which the merged tree appears.
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    point: PathBuf,
    /// Who mounts.
    #[arg(long, value_enum, value_name = "DRIVER", default_value = "auto")]
    driver: Driver,
    #[command(flatten)]
    kernel: KernelArgs,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  ovl unmount /mnt/work")]
pub(super) struct Unmount {
    /// Where an overlay is mounted.
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    point: PathBuf,
}

impl Mount {
    pub(super) fn run(self) -> Result<(), Failure> {
        let reason = choose(self.driver, &self.stack)?;
        self.refuse_around()?;
        let upper = kernel::mount(&self.stack, &self.kernel, &self.point)?;
        self.notes.say(&format!("mounted at {} by the kernel ({reason})", self.point.display()));
        let upper = upper.zip(self.stack.upper.as_ref());
        self.notes.say(&upper.map_or("no changes: there is no upper".into(), |(held, spec)| {
            format!("changes go to {} as {} ({})", spec.path.display(), held.form(), held.form_reason())
        }));
        Ok(())
    }

    /// Refuses a mount point that a layer holds, and one that holds a layer: the mount would hide it, or show itself.
    fn refuse_around(&self) -> Result<(), Failure> {
        let layers = self.stack.lower.iter().chain(&self.stack.upper);
        layers.map(|layer| &*layer.path).chain(self.stack.work.as_deref()).try_for_each(|layer| {
            if !stack::overlap(layer, &self.point)? {
                return Ok(());
            }
            let (point, layer) = (self.point.display(), layer.display());
            Err(Failure::usage(format!("the mount point {point} and {layer} lie in one another; mount elsewhere")))
        })
    }
}

impl Unmount {
    pub(super) fn run(self) -> Result<(), Failure> {
        let point = whole(&self.point)?;
        if !host::overlay_mounts()?.iter().any(|mount| mount.point == point) {
            let shown = self.point.display();
            let none = format!("no overlay is mounted at {shown}; `ovl mounts` lists those that are");
            return Err(Failure::new(code::NOT_FOUND, none));
        }
        unmount(&point, UnmountFlags::NOFOLLOW).map_err(|errno| unmount_failure(&point, errno))
    }
}

/// Returns a mount point as the table of mounts writes it.
pub(super) fn whole(point: &Path) -> Result<PathBuf, Failure> {
    let what = || format!("cannot find {}", point.display());
    point.canonicalize().map_err(|error| Failure::io(&what(), error, "`ovl mounts` lists what is mounted"))
}

fn unmount_failure(point: &Path, errno: Errno) -> Failure {
    let shown = point.display();
    match errno {
        Errno::BUSY => {
            let advice = "close what is open there and leave its directories; `fuser -vm` tells who";
            Failure::new(code::CONFLICT, format!("{shown} is still used; {advice}"))
        }
        Errno::PERM => Failure::new(code::PERMISSION, format!("only root may unmount {shown}")),
        errno => Failure::io(&format!("cannot unmount {shown}"), errno.into(), "`ovl mounts` lists what is mounted"),
    }
}
