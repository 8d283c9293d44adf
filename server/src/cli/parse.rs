//! From the arguments of a process to values: flags, then the environment, the configuration file, defaults.

use std::ffi::OsString;

use clap::{ArgMatches, Command, error::ErrorKind};

use super::{
    config::{self, Added},
    exit::Failure,
};

/// What was asked for.
#[derive(Debug)]
pub struct Parsed {
    /// The program, with its commands.
    pub command: Command,
    /// What holds for it.
    pub matches: ArgMatches,
    /// What the configuration file said of that.
    pub added: Added,
}

/// Reads `args` for `command`. Help and version end the process; `settings` has the flags that a file may set.
///
/// # Errors
/// Mistakes on the command line (2), and what [`config::added`] refuses.
pub fn parse(command: Command, settings: &Command, mut args: Vec<OsString>) -> Result<Parsed, Failure> {
    let first = match_args(&command, &args).map_err(|error| mistake(&error))?;
    let (inner, inner_matches, depth) = innermost(&command, &first, 0);
    let added = config::added(inner, inner_matches, settings)?;
    // Right behind the command: what follows may be positional, or behind a `--`.
    let at = args.len().min(depth + 1);
    args.splice(at..at, added.args.iter().cloned());
    let matches = match_args(&command, &args).map_err(|error| added.blame(mistake(&error)))?;
    Ok(Parsed { command, matches, added })
}

impl Parsed {
    /// Returns the command that was chosen, after its parents, and what holds for it.
    pub fn innermost(&self) -> (&Command, &ArgMatches) {
        let (command, matches, _) = innermost(&self.command, &self.matches, 0);
        (command, matches)
    }
}

fn innermost<'a>(command: &'a Command, matches: &'a ArgMatches, depth: usize) -> (&'a Command, &'a ArgMatches, usize) {
    let chosen = matches.subcommand().and_then(|(name, inner)| Some((command.find_subcommand(name)?, inner)));
    match chosen {
        Some((inner, matches)) => innermost(inner, matches, depth + 1),
        None => (command, matches, depth),
    }
}

fn match_args(command: &Command, args: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let asks = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    command.clone().try_get_matches_from(args).inspect_err(|error| {
        if asks.contains(&error.kind()) {
            error.exit();
        }
    })
}

/// Says in one line what is wrong with the command line.
pub fn mistake(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("For more information"));
    let mut message = String::new();
    for line in lines {
        let (between, line) = match line.strip_prefix("tip: ") {
            Some(tip) => ("; ", tip),
            None => (" ", line.strip_prefix("error: ").unwrap_or(line)),
        };
        message.push_str(if message.is_empty() { "" } else { between });
        message.push_str(line);
    }
    Failure::usage(format!("{message}; --help explains"))
}
