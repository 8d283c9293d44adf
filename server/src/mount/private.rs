//! A place for mounts that this process and its children see alone: a mount namespace, and without root a user namespace.

use std::{fs, io};

use rustix::{
    io::Errno,
    mount::{MountPropagationFlags, mount_change},
    process::{getegid, geteuid},
    thread::UnshareFlags,
};

use crate::cli::exit::{Failure, code};

/// Goes into such a place, for good. Must come before any thread is started.
///
/// Without root the process keeps its user and may mount there; what it starts may not. It says who it is to the
/// kernel once: files of other users then seem to belong to nobody.
///
/// # Errors
/// A system that gives no user namespaces to this user (5), and whatever else it refuses (1).
pub(crate) fn enter() -> Result<(), Failure> {
    match part(UnshareFlags::NEWNS) {
        Err(Errno::PERM) => enter_as_user()?,
        parted => parted.map_err(|errno| failure(errno.into()))?,
    }
    let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", alone).map_err(|errno| failure(errno.into()))
}

fn enter_as_user() -> Result<(), Failure> {
    let (user, group) = (geteuid(), getegid());
    part(UnshareFlags::NEWUSER | UnshareFlags::NEWNS).map_err(|errno| failure(errno.into()))?;
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{user} {user} 1")),
        ("gid_map", format!("{group} {group} 1")),
    ];
    maps.iter().try_for_each(|(file, text)| fs::write(format!("/proc/self/{file}"), text)).map_err(failure)
}

fn part(flags: UnshareFlags) -> rustix::io::Result<()> {
    #[expect(deprecated, reason = "what is unsafe is to part with the table of descriptors, which this does not")]
    rustix::thread::unshare(flags)
}

fn failure(error: io::Error) -> Failure {
    let what = "this system gives no mount namespace to this user";
    let advice = "user.max_user_namespaces, kernel.unprivileged_userns_clone, \
                  kernel.apparmor_restrict_unprivileged_userns or a container may forbid it";
    let refused = matches!(Errno::from_io_error(&error), Some(Errno::PERM | Errno::ACCESS | Errno::NOSPC));
    Failure::new(if refused { code::PERMISSION } else { code::FAILED }, format!("{what}: {error}; {advice}"))
}
