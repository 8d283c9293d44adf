//! `ovl`: the engine without a server, for scripts. One file a group of commands; each opens the stack that its flags
//! name, makes one or a few calls of the engine and translates.
//!
//! What a command was asked for goes to the standard output, all else to the standard error. Every JSON object begins
//! with its `schema`, a name and a version: the version changes when a field changes its meaning or goes away.

mod archive;
mod ask;
#[cfg(target_os = "linux")]
mod cache;
mod changes;
mod columns;
mod config;
mod digest;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod guides;
mod inspect;
#[cfg(target_os = "linux")]
mod mount;
#[cfg(target_os = "linux")]
mod mounts;
mod notes;
mod print;
#[cfg(target_os = "linux")]
mod run;
mod session;
mod show;
#[cfg(target_os = "linux")]
mod unmount;
mod verify;
mod why;

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

#[cfg(not(target_os = "linux"))]
use self::{elsewhere as cache, elsewhere as mount, elsewhere as mounts, elsewhere as run, elsewhere as unmount};
use crate::cli::{exit::Failure, parse, serve::ServeArgs};

const EXAMPLES: &str = "\
Examples:
  ovl ls -R --lower site.zip --upper ./changes
  ovl cat index.html --lower site.zip --upper ./changes
  ovl why index.html --lower patch.zip --lower site.zip
  ovl changes --json --lower site.zip --upper ./changes
  ovl discard index.html --lower site.zip --upper ./changes
  ovl export --format zip --output result.zip --lower site.zip --upper ./changes
  ovl inspect site.zip
  ovl verify ./changes --lower site.zip
  ovl mount --lower ./base --upper ./changes /mnt/work
  source <(ovl completions bash)

The layers can also stand in the environment (OVL_LOWER, one a line, and OVL_UPPER) or in the
configuration file that ovl-server reads; a flag wins over the environment, the environment over
the file. `ovl config show --origin` tells what holds.

Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 conflict or condition, 5 read-only or
permission, 6 corrupt layer, 8 upper in use, 9 wrong form of the upper, 10 defects, 74 I/O.";

/// Looks into layers stacked as one tree, and changes, exports and imports what the upper layer holds.
#[derive(Parser, Debug)]
#[command(name = "ovl", version, max_term_width = 100, after_help = EXAMPLES)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Lists a directory.
    Ls(show::Ls),
    /// Writes the content of files to the standard output.
    Cat(show::Cat),
    /// Shows all that is known of entries.
    Stat(show::Stat),
    /// Shows what every layer holds at a path, which one shows and what hides the rest.
    Why(why::Why),
    /// Lists what the upper changes.
    Changes(changes::Changes),
    /// Throws changes away: what the lowers hold shows again.
    Discard(changes::Discard),
    /// Writes a tree as a zip or tar.
    Export(archive::Export),
    /// Reads an archive into the upper: an exported upper as it was, any other as changes.
    Import(archive::Import),
    /// Prints BLAKE3 digests of files and trees.
    Digest(digest::Digest),
    /// Lists what an archive holds as it would be served, and what was left out and why.
    Inspect(inspect::Inspect),
    /// Tells what is wrong with an upper, and mends what is safe to mend (exit code 10 when something is left).
    Verify(verify::Verify),
    /// Mounts the stack as a file system (Linux).
    Mount(mount::Mount),
    /// Ends a mount (Linux).
    Unmount(unmount::Unmount),
    /// Lists what is mounted, with its layers (Linux).
    Mounts(mounts::Mounts),
    /// Tells of and removes zips that were unpacked for the kernel (Linux).
    #[cfg_attr(target_os = "linux", command(subcommand))]
    Cache(cache::Cache),
    /// Runs a command in the stack, mounted for it alone, and tells what it changed (Linux; needs no root).
    ///
    /// Without --upper, the changes are thrown away at the end, unless they are exported or a person says to keep them.
    /// In an upper they are kept, unless they are its only ones and are to be thrown away. The exit code is that of the
    /// command, 128 and the number of the signal that ended it, or one of ovl's own.
    Run(run::Run),
    /// Shows the settings in force.
    #[command(subcommand)]
    Config(config::Config),
    /// Prints a script that lets a shell complete commands and flags.
    Completions(guides::Completions),
    /// Writes the man pages of `ovl`, its commands and `ovl-server` into a directory.
    Man(guides::Man),
}

/// Runs the program with the arguments of its process.
pub fn main() -> ExitCode {
    match run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has closed it: there is no one to tell.
        Err(failure) if failure.code == print::READER_GONE => ExitCode::SUCCESS,
        Err(failure) => failure.report("ovl"),
    }
}

fn run(args: Vec<OsString>) -> Result<(), Failure> {
    #[cfg(target_os = "linux")]
    let args = match mount::helper::is_called(&args, |word| Program::command().find_subcommand(word).is_some()) {
        true => mount::helper::translated(&args)?,
        false => args,
    };
    if args.is_empty() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    if run::guarded::is_called(&args) {
        return run::guarded::run(&args);
    }
    let parsed = parse::parse(Program::command(), &ServeArgs::command(), args.clone())?;
    let program = Program::from_arg_matches(&parsed.matches).map_err(|error| parse::mistake(&error))?;
    match program.command {
        Command::Ls(ls) => ls.run(),
        Command::Cat(cat) => cat.run(),
        Command::Stat(stat) => stat.run(),
        Command::Why(why) => why.run(),
        Command::Changes(changes) => changes.run(),
        Command::Discard(discard) => discard.run(),
        Command::Export(export) => export.run(),
        Command::Import(import) => import.run(),
        Command::Digest(digest) => digest.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Verify(verify) => verify.run(),
        #[cfg(target_os = "linux")]
        Command::Mount(mount) => mount.run(&args),
        #[cfg(not(target_os = "linux"))]
        Command::Mount(mount) => mount.run(),
        Command::Unmount(unmount) => unmount.run(),
        Command::Mounts(mounts) => mounts.run(),
        Command::Cache(cache) => cache.run(),
        Command::Run(run) => run.run(),
        Command::Config(config) => config.run(&parsed),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}
