//! From the arguments of a process to values: flags, then the environment, the configuration file, defaults.

use std::{env, ffi::OsString};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind};

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
    /// The settings that the environment lists line by line.
    pub listed: Vec<String>,
}

/// Reads `args` for `command`. Help and version end the process; `settings` has the flags that a file may set.
///
/// # Errors
/// Mistakes on the command line (2), and what [`config::added`] refuses.
pub fn parse(command: Command, settings: &Command, mut args: Vec<OsString>) -> Result<Parsed, Failure> {
    let said = match_args(&command, &args).map_err(|error| mistake(&error))?;
    let (inner, inner_matches, depth) = innermost(&command, &said, 0);
    // Right behind the command: what follows may be positional, or behind a `--`.
    let at = args.len().min(depth + 1);
    let (listed, lines) = listed(inner, inner_matches);
    args.splice(at..at, lines);
    let said = match_args(&command, &args).map_err(|error| mistake(&error))?;
    let (inner, inner_matches, _) = innermost(&command, &said, 0);
    let added = config::added(inner, inner_matches, settings)?;
    args.splice(at..at, added.args.iter().cloned());
    let matches = match_args(&command, &args).map_err(|error| added.blame(mistake(&error)))?;
    Ok(Parsed { command, matches, added, listed })
}

/// Returns the lists that the environment has and no flag does, and the arguments that stand for them: one for each
/// line. A flag is taken as it stands, newlines in it, too.
fn listed(command: &Command, matches: &ArgMatches) -> (Vec<String>, Vec<OsString>) {
    let (mut keys, mut lines) = (Vec::new(), Vec::new());
    for arg in command.get_arguments().filter(|arg| is_list(arg)) {
        let (Some(key), Some(name)) = (arg.get_long(), arg.get_env()) else { continue };
        let Some(value) = env::var_os(name).filter(|_| matches.value_source(arg.get_id().as_str()).is_none()) else {
            continue;
        };
        keys.push(key.to_owned());
        let flag = |line: &str| OsString::from(format!("--{key}={line}"));
        match value.to_str() {
            Some(text) => lines.extend(text.split('\n').map(flag)),
            // It is refused as a flag of that kind is.
            None => lines.extend([format!("--{key}").into(), value]),
        }
    }
    (keys, lines)
}

/// Returns whether an argument is a list of what may hold any sign, so that the environment alone has one a line.
fn is_list(arg: &Arg) -> bool {
    arg.get_env().is_some() && matches!(arg.get_action(), ArgAction::Append) && arg.get_value_delimiter().is_none()
}

/// Leaves the environment's lists to [`listed`].
fn without_lists(command: Command) -> Command {
    let command = command.mut_args(|arg| if is_list(&arg) { arg.env(None::<&str>) } else { arg });
    command.mut_subcommands(without_lists)
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
    without_lists(command.clone()).try_get_matches_from(args).inspect_err(|error| {
        if asks.contains(&error.kind()) {
            // The help tells of the environment.
            command.clone().try_get_matches_from(args).err().as_ref().unwrap_or(error).exit();
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
