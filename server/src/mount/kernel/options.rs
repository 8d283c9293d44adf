//! What is asked of the kernel's overlay beside its layers.

use clap::Args;
use rustix::mount::MountAttrFlags;

use crate::cli::{
    exit::Failure,
    flags::{FormArg, StackArgs, Switch},
};

/// Options of the kernel's overlay, each with what it means for the upper.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Kernel")]
pub(crate) struct KernelArgs {
    /// A change of attributes alone copies no content up; ovl reads such an upper, tools that take its files apart do not. With
    /// an upper, the kernel also needs it for metadata that any but the lowest lower has of a data-only one.
    #[arg(long)]
    pub(super) metacopy: bool,
    /// Files with several names in a lower keep them when they change; then only the kernel may write to the upper.
    #[arg(long)]
    pub(super) index: bool,
    /// Whether inode numbers are unique over all layers; nothing of it stays in the upper.
    #[arg(long, value_enum, value_name = "on|off")]
    xino: Option<Switch>,
    /// Waits for no disk: after a power cut the upper may be damaged, and it is refused until its mark is removed.
    #[arg(long)]
    volatile: bool,
    /// Keeps the upper's marks in `user.overlay.*`, as mounts without root do; no directory of a lower can be renamed.
    #[arg(long)]
    pub(crate) userxattr: bool,
    /// Lets setuid programs in the layers have their effect.
    #[arg(long)]
    pub(crate) suid: bool,
    /// Lets devices in the layers be opened.
    #[arg(long)]
    pub(crate) dev: bool,
    /// Lets no program in the layers be started.
    #[arg(long)]
    pub(crate) noexec: bool,
    /// Takes no changes, though there is an upper.
    #[arg(long)]
    pub(crate) read_only: bool,
}

/// One option, as the kernel calls it, and its value where it has one.
pub(super) type Setting = (&'static str, Option<&'static str>);

const METACOPY_USER: &str = "--metacopy needs marks that only root may set, and this upper has those of a user \
                             (--userxattr or kernel-user); leave one out";

impl KernelArgs {
    /// Refuses pairs that the kernel refuses (semantics M22), and options of an upper that there is not.
    pub(super) fn refuse_pairs(&self, args: &StackArgs) -> Result<(), Failure> {
        let refuse = |why: &str| Err(Failure::usage(why));
        if self.metacopy && self.userxattr {
            return refuse(METACOPY_USER);
        }
        if self.metacopy && args.upper.is_some() && args.redirect_dir == Switch::Off {
            return refuse(
                "--metacopy finds the content of a renamed file by a redirect, which --redirect-dir off forbids",
            );
        }
        if self.userxattr && matches!(args.upper_form, Some(FormArg::KernelTrusted | FormArg::Portable)) {
            return refuse("--userxattr is the form kernel-user, and --upper-form names another");
        }
        match (self.index, self.volatile, &args.upper) {
            (true, _, None) => refuse("--index is about an upper, and there is none"),
            (_, true, None) => refuse("--volatile is about an upper, and there is none"),
            _ => Ok(()),
        }
    }

    /// Returns what the kernel is told. What is not asked for is said to be off: a distribution's defaults could
    /// otherwise make an upper that nobody else may write to.
    pub(super) fn settings(&self, args: &StackArgs, is_user: bool) -> Result<Vec<Setting>, Failure> {
        if is_user && self.metacopy {
            return Err(Failure::usage(METACOPY_USER));
        }
        let has_upper = args.upper.is_some();
        // Without an upper it only lets metadata of every lower find content in data-only ones.
        let metacopy = self.metacopy || (!has_upper && !is_user && args.lower.iter().any(|lower| lower.data_only));
        let mut settings = vec![("metacopy", Some(word(metacopy))), ("nfs_export", Some("off"))];
        settings.push(match is_user {
            true => ("userxattr", None),
            false => ("redirect_dir", Some(redirects(has_upper && args.redirect_dir == Switch::On))),
        });
        if has_upper {
            settings.push(("index", Some(word(self.index))));
        }
        settings.extend(self.xino.map(|xino| ("xino", Some(word(xino == Switch::On)))));
        settings.extend(self.volatile.then_some(("volatile", None)));
        Ok(settings)
    }

    /// Returns an option that was asked for and that only the kernel's overlay has.
    #[cfg(feature = "fuse")]
    pub(crate) fn own(&self) -> Option<&'static str> {
        let asked = [
            (self.metacopy, "--metacopy"),
            (self.index, "--index"),
            (self.xino.is_some(), "--xino"),
            (self.volatile, "--volatile"),
        ];
        asked.into_iter().find_map(|(asked, name)| asked.then_some(name))
    }

    /// Returns what the mount itself forbids.
    pub(super) fn attributes(&self) -> MountAttrFlags {
        let mut flags = MountAttrFlags::empty();
        flags.set(MountAttrFlags::MOUNT_ATTR_NOSUID, !self.suid);
        flags.set(MountAttrFlags::MOUNT_ATTR_NODEV, !self.dev);
        flags.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, self.noexec);
        flags.set(MountAttrFlags::MOUNT_ATTR_RDONLY, self.read_only);
        flags
    }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Redirects that are there are always read, as everywhere in ovl.
fn redirects(written: bool) -> &'static str {
    if written { "on" } else { "follow" }
}
