//! `ovl mount`: the stack as a file system of this machine.
//!
//! ```text
//! stay     by FUSE: the process that answers for the mount, and how it is started
//! helper   calls by mount(8)
//! ```

pub(super) mod helper;
#[cfg(feature = "fuse")]
mod stay;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use super::{cache::unpacked, notes::Notes};
use crate::{
    cli::{
        exit::{Failure, code},
        flags::StackArgs,
        spec::LayerSpec,
    },
    mount::{
        Driver, DriverArg, choose,
        kernel::{self, KernelArgs},
        listed::is_dead,
        refuse_around,
    },
};

#[derive(Args, Debug)]
#[command(
    // As the kernel's overlay: what a program wants on the disk it says by fsync.
    mut_arg("durability", |arg| arg.default_value("ordered")),
    after_help = "\
Examples:
  ovl mount --lower ./base --upper ./changes /mnt/work
  ovl mount --lower site.zip --upper ./changes /mnt/site
  ovl mount --lower ./patch --lower ./base /mnt/look
  ovl mount --driver kernel --lower ./base --upper ./scratch --volatile /mnt/build"
)]
pub(super) struct Mount {
    /// The directory at which the merged tree appears.
    #[arg(value_name = "MOUNTPOINT", value_hint = ValueHint::DirPath)]
    point: PathBuf,
    /// Who mounts.
    #[arg(long, value_enum, value_name = "DRIVER", default_value = "auto")]
    driver: DriverArg,
    #[command(flatten)]
    fuse: FuseArgs,
    #[command(flatten)]
    kernel: KernelArgs,
    #[command(flatten)]
    notes: Notes,
    #[command(flatten)]
    stack: StackArgs,
}

/// Options of a mount by FUSE.
#[derive(Args, Debug)]
#[command(next_help_heading = "FUSE")]
struct FuseArgs {
    /// Lets other users in than the one who mounts. Off, since whoever mounts can show them what he likes, and keep them
    /// waiting; without root, /etc/fuse.conf has to allow it.
    #[arg(long)]
    allow_other: bool,
    /// Stays until it is unmounted, for service managers. Otherwise a process of its own stays behind.
    #[arg(long)]
    foreground: bool,
    /// What the table of mounts calls it.
    #[arg(long, value_name = "NAME", default_value = "ovl")]
    source: String,
    /// Set in the process that stays behind: it says on its output when the mount can be used.
    #[arg(long, hide = true)]
    started: bool,
}

impl Mount {
    /// Mounts. `args` are those of this process, to start it anew where it has to stay.
    pub(super) fn run(self, args: &[OsString]) -> Result<(), Failure> {
        let (driver, reason) = choose(self.driver, &self.stack)?;
        refuse_stale(&self.point)?;
        refuse_around(&self.stack, &self.point)?;
        match driver {
            Driver::Kernel => self.by_kernel(&reason),
            Driver::Fuse => self.by_fuse(&reason, args),
        }
    }

    fn by_kernel(&self, reason: &str) -> Result<(), Failure> {
        if self.fuse.foreground || self.fuse.allow_other {
            let why = "--foreground and --allow-other are for FUSE: the kernel's mount needs no process, and lets all users in";
            return Err(Failure::usage(format!("{why}; leave them out, or take --driver fuse")));
        }
        let unpack = |spec: &LayerSpec| unpacked(spec, &self.stack, self.notes);
        let mounted = kernel::mount(&self.stack, &self.kernel, &self.point, &unpack)?;
        let form = mounted.upper.as_ref().map(|held| (held.form().to_string(), held.form_reason().to_owned()));
        self.tell("the kernel", reason, form.as_ref());
        Ok(())
    }

    #[cfg(feature = "fuse")]
    fn by_fuse(&self, reason: &str, args: &[OsString]) -> Result<(), Failure> {
        kernel::mount_point(&self.point)?;
        if let Some(own) = self.kernel.own() {
            let why = format!("{own} is the kernel's own, and FUSE mounts this ({reason}); leave it out");
            return Err(Failure::usage(why));
        }
        if self.fuse.foreground { stay::serve(self, reason) } else { stay::start(args) }
    }

    #[cfg(not(feature = "fuse"))]
    fn by_fuse(&self, _reason: &str, _args: &[OsString]) -> Result<(), Failure> {
        unreachable!("without the feature FUSE is never chosen")
    }

    /// Says who has mounted, and where changes go.
    fn tell(&self, who: &str, reason: &str, form: Option<&(String, String)>) {
        self.notes.say(&format!("mounted at {} by {who} ({reason})", self.point.display()));
        let place = self.stack.upper.as_ref().map(|upper| upper.path.display());
        self.notes.say(&match (place, form) {
            (None, _) => "no changes: there is no upper".into(),
            (Some(_), None) => "changes are kept in memory, and forgotten with the mount".into(),
            (Some(place), Some((form, why))) => format!("changes go to {place} as {form} ({why})"),
        });
    }
}

/// Refuses a mount point at which a mount stands whose process is gone.
fn refuse_stale(point: &Path) -> Result<(), Failure> {
    if !is_dead(point) {
        return Ok(());
    }
    let point = point.display();
    let why = format!("at {point} stands a mount whose process has ended; `ovl unmount {point}` takes it away");
    Err(Failure::new(code::CONFLICT, why))
}
