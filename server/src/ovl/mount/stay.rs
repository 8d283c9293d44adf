//! A mount by FUSE needs a process that answers for it: here it is started, and stays.
//!
//! `ovl mount` starts itself anew, in a session of its own. That process tells its failures itself, and says one line
//! on its output when the mount can be used; then it lets go of the terminal.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio, exit},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::syncfs,
    process::setsid,
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use super::Mount;
use crate::{
    cli::{
        exit::{Failure, code},
        flags::{DurabilityArg, FormArg},
        service,
        spec::Medium,
        stack::{self, Opened},
    },
    mount::{
        fuse::{self, Mounted, Options},
        fuse_failure,
        leave::Place,
        record::{Held, Told},
    },
    ovl::notes::Notes,
    time,
};

/// What the process that stays says when the mount can be used.
const READY: &str = "ready";
/// How long an upper in use is waited for: umount(8) returns before the process of the last mount has let go of it.
const PATIENCE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_millis(10);

/// Starts a process that mounts and stays; returns when the mount can be used, or ends with the code of that process.
pub(super) fn start(args: &[OsString]) -> Result<(), Failure> {
    let failed = |error| Failure::io("cannot start the process that mounts", error, "try --foreground");
    let program = env::current_exe().ok().filter(|program| program.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    // The command is the first word: what follows may be positional, or behind a `--`.
    command.arg0("ovl").arg(&args[1]).args(["--foreground", "--started"]).args(&args[2..]);
    let mut stays = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut said = String::new();
    if let Some(output) = stays.stdout.take() {
        BufReader::new(output).read_line(&mut said).map_err(failed)?;
    }
    if said.trim_end() == READY {
        return Ok(());
    }
    match stays.wait().map_err(failed)?.code() {
        Some(0) => Ok(()),
        // It has told why.
        Some(code) => exit(code),
        None => Err(Failure::new(code::FAILED, "the process that mounts was ended by a signal; try --foreground")),
    }
}

/// Mounts, and answers for the mount until somebody has unmounted it or a signal asks for that.
pub(super) fn serve(mount: &Mount, reason: &str) -> Result<(), Failure> {
    if mount.fuse.started {
        // Where it leads a session already, it has nothing to leave.
        let _leads = setsid();
        close_inherited().map_err(|error| Failure::io("cannot close descriptors", error, "is /proc mounted?"))?;
    }
    let ears = Ears::new()?;
    let opened = open(mount)?;
    let upper = directory(mount).map(File::open).transpose();
    let upper = upper.map_err(|error| Failure::io("cannot open the upper", error, "look who has moved it"))?;
    let mounted = mounted(mount, &opened)?;
    let form = opened.layers.first().filter(|layer| layer.upper).and_then(|layer| layer.form.clone());
    drop(opened);
    let _record = Held::write(mounted.place().device(), &told(mount));
    mount.tell("FUSE", reason, form.as_ref());
    ears.hear(mounted.place(), mount.notes);
    if mount.fuse.started {
        let advice = "who started the mount is gone, and so it is unmounted";
        let_go().map_err(|error| Failure::io("cannot say that the mount can be used", error, advice))?;
    }
    let ended = mounted.wait();
    // As the kernel's overlay does at its end.
    if let Some(upper) = upper.filter(|_| mount.stack.durability != DurabilityArg::None) {
        let advice = "what was changed last may not be on the disk";
        syncfs(upper).map_err(|errno| Failure::io("cannot sync the upper", errno.into(), advice))?;
    }
    Ok(ended?)
}

/// Closes what the caller has left open beside the three of every process: who waits for the end of a pipe, or for a lock,
/// does not wait for the end of the mount. Nothing of our own is open yet.
fn close_inherited() -> io::Result<()> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    for number in names.iter().filter_map(|name| name.to_str()?.parse::<i32>().ok()).filter(|number| *number > 2) {
        // Among them is the one that has read the names, which is closed already.
        let _closed = nix::unistd::close(number);
    }
    Ok(())
}

fn open(mount: &Mount) -> Result<Opened, Failure> {
    let mut args = mount.stack.clone();
    // The kernel reads a lower's files by itself where nothing comes up.
    args.quiet = args.upper.is_none();
    if mount.kernel.userxattr {
        args.upper_form = Some(FormArg::KernelUser);
    }
    let until = Instant::now() + PATIENCE;
    loop {
        match stack::open(&args, time::nonce(), None) {
            Err(failure) if failure.code == code::UPPER_BUSY && Instant::now() < until => thread::sleep(TICK),
            done => return done,
        }
    }
}

fn told(mount: &Mount) -> Told {
    let lowers = mount.stack.lower.iter().map(|lower| &*lower.path);
    Told::new(lowers, directory(mount), mount.stack.work.as_deref())
}

/// Returns the upper, where it is a directory.
fn directory(mount: &Mount) -> Option<&Path> {
    let upper = mount.stack.upper.as_ref().filter(|upper| upper.medium != Some(Medium::Memory));
    upper.map(|upper| &*upper.path)
}

fn mounted(mount: &Mount, opened: &Opened) -> Result<Mounted, Failure> {
    let options = Options {
        layers: opened.layers.iter().filter_map(|layer| layer.path.clone()).collect(),
        room: directory(mount).map(Path::to_owned),
        others: mount.fuse.allow_other,
        suid: mount.kernel.suid,
        dev: mount.kernel.dev,
        noexec: mount.kernel.noexec,
        read_only: mount.kernel.read_only,
        source: Some(mount.fuse.source.clone()),
        threads: None,
    };
    fuse::mount(opened.overlay.clone(), &mount.point, &options).map_err(|error| fuse_failure(&mount.point, &error))
}

/// Says that the mount can be used, and lets go of the terminal and of the directory that it was started in.
fn let_go() -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{READY}")?;
    output.flush()?;
    let nothing = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    env::set_current_dir("/")
}

/// What asks for the end.
struct Ears {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Ears {
    /// Hears signals from now on.
    fn new() -> Result<Self, Failure> {
        let failed = |error| Failure::io("signals cannot be heard", error, "try again");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let within = runtime.enter();
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        let (interrupt, terminate, hangup) =
            (interrupt.map_err(failed)?, terminate.map_err(failed)?, hangup.map_err(failed)?);
        drop(within);
        Ok(Self { runtime, interrupt, terminate, hangup })
    }

    /// Unmounts at the first signal, and ends the process at the second.
    fn hear(self, place: Place, notes: Notes) {
        let Self { runtime, mut interrupt, mut terminate, mut hangup } = self;
        thread::spawn(move || {
            runtime.block_on(async {
                service::ready();
                let mut asked = false;
                loop {
                    let code = tokio::select! {
                        _ = interrupt.recv() => code::INTERRUPTED,
                        _ = terminate.recv() => code::TERMINATED,
                        _ = hangup.recv() => code::HUNG_UP,
                    };
                    if std::mem::replace(&mut asked, true) {
                        exit(code.into());
                    }
                    service::stopping();
                    end(&place, notes);
                }
            });
        });
    }
}

/// Unmounts, or leaves the mount to those who still use it.
fn end(place: &Place, notes: Notes) {
    let shown = place.path().display();
    match place.unmount() {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            notes.say(&format!("{shown} is still used: it goes with the last who uses it; once more ends at once"));
            if let Err(error) = place.detach() {
                notes.say(&format!("cannot take {shown} away: {error}"));
            }
        }
        Err(error) => notes.say(&format!("cannot unmount {shown}: {error}; once more ends at once")),
    }
}
