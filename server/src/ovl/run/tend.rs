//! Waiting for a command and for all that it started: what still runs could still change the tree.

use std::{io, process::Command};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, set_child_subreaper, wait},
};
use tokio::signal::unix::{Signal as Heard, SignalKind, signal};

use crate::{
    cli::exit::{Failure, code},
    ovl::notes::Notes,
};

/// What is heard while the command runs. The terminal sends its own to the command, too.
struct Ears {
    child: Heard,
    interrupt: Heard,
    quit: Heard,
    terminate: Heard,
    hangup: Heard,
}

/// Starts a command and waits until it and everything that it started have ended. Returns its exit code.
///
/// # Errors
/// A process that cannot be started (1), and a wait that is ended by a signal while something runs on (1).
pub(super) fn run(command: &mut Command, notes: Notes) -> Result<i32, Failure> {
    let failed = |error| Failure::io("cannot wait for the command", error, "try again");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    runtime.block_on(async {
        let ears = Ears::new().map_err(failed)?;
        set_child_subreaper(Some(getpid())).map_err(|errno| failed(errno.into()))?;
        let child =
            command.spawn().map_err(|error| Failure::io("cannot start the command", error, "is /proc mounted?"))?;
        let child = Pid::from_raw(child.id().cast_signed()).expect("a process has a number");
        ears.tend(child, notes).await
    })
}

impl Ears {
    fn new() -> io::Result<Self> {
        Ok(Self {
            child: signal(SignalKind::child())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn tend(mut self, child: Pid, notes: Notes) -> Result<i32, Failure> {
        let (mut ended, mut told) = (None, false);
        while reap(child, &mut ended)? {
            if ended.is_some() && !std::mem::replace(&mut told, true) {
                notes.say("the command has ended; waiting for what it left running");
            }
            let sent = tokio::select! {
                _ = self.child.recv() => continue,
                _ = self.interrupt.recv() => None,
                _ = self.quit.recv() => None,
                _ = self.terminate.recv() => Some(Signal::TERM),
                _ = self.hangup.recv() => Some(Signal::HUP),
            };
            match (ended, sent) {
                (None, None) => {}
                // It may end at this very moment.
                (None, Some(signal)) => drop(kill_process(child, signal)),
                _ => {
                    let why = "stopped while processes of the command still use its tree; the changes are kept";
                    return Err(Failure::new(code::FAILED, why));
                }
            }
        }
        ended.ok_or_else(|| Failure::new(code::FAILED, "the command is gone, and nobody knows how it ended"))
    }
}

/// Takes notice of all who have ended, and of the exit code of `child`. Returns whether someone still runs.
fn reap(child: Pid, ended: &mut Option<i32>) -> Result<bool, Failure> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => *ended = Some(exit_code(status)),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return Ok(true),
            Err(Errno::CHILD) => return Ok(false),
            Err(errno) => {
                return Err(Failure::io("cannot wait for the command", errno.into(), "look whether it runs on"));
            }
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| Some(128 + status.terminating_signal()?)).unwrap_or(code::FAILED.into())
}
