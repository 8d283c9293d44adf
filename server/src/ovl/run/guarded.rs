//! The process that becomes the command: it is killed where the `ovl run` that waits for it is.
//!
//! `ovl run` starts itself anew, asks for that in the new process, and there gives way to the command, which keeps it.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, id},
};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::cli::exit::{Failure, code};

/// What stands in the place of a command of `ovl`; then the number of the process that waits, and the command.
const WORD: &str = "run-for";

/// Returns how a command is started.
pub(super) fn command(words: &[OsString]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("ovl").arg(WORD).arg(id().to_string()).args(words);
    command
}

/// Returns whether this process is to become a command.
pub(in crate::ovl) fn is_called(args: &[OsString]) -> bool {
    args.len() > 3 && args[1] == WORD
}

/// Becomes the command.
///
/// # Errors
/// A command that cannot be started (3, 5), and a process that waits no more (1).
pub(in crate::ovl) fn run(args: &[OsString]) -> Result<(), Failure> {
    let failed = |error| Failure::io("cannot end with who waits", error, "try again");
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| failed(errno.into()))?;
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if parent.is_none_or(|parent| *parent != *args[2]) {
        return Err(Failure::new(code::FAILED, "who has started the command is gone"));
    }
    let error = Command::new(&args[3]).args(&args[4..]).exec();
    let what = format!("cannot start {}", args[3].to_string_lossy());
    Err(Failure::io(&what, error, "check the command and its permissions"))
}
