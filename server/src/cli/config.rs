//! The configuration file: the long flags by their names, weaker than flags and environment.
//!
//! What the file says is put among the arguments where neither says anything, so that a value is read,
//! checked and explained in the same way wherever it comes from. One file serves both programs: each takes what it has.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use super::exit::Failure;

/// What the configuration file adds to a command line.
#[derive(Debug, Default)]
pub struct Added {
    /// The file, where one was read.
    pub file: Option<PathBuf>,
    /// The settings that come from it.
    pub keys: Vec<String>,
    pub(super) args: Vec<OsString>,
}

impl Added {
    /// Names the file in a failure that its values cause.
    pub(super) fn blame(&self, failure: Failure) -> Failure {
        match &self.file {
            Some(file) => Failure::new(failure.code, format!("{}: {}", file.display(), failure.message)),
            None => failure,
        }
    }
}

/// Returns whether a flag can stand in the environment and the file.
pub fn is_setting(arg: &Arg) -> bool {
    arg.get_env().is_some() && arg.get_id() != "config"
}

/// Returns what the configuration file adds to the arguments of `command`; a key that only `settings` knows adds nothing.
///
/// # Errors
/// A file that is named and missing (3), one that cannot be read (5, 74), is no TOML, or has an unknown key (2).
pub fn added(command: &Command, matches: &ArgMatches, settings: &Command) -> Result<Added, Failure> {
    // A command without layers has no settings.
    let Ok(named) = matches.try_get_one::<PathBuf>("config") else { return Ok(Added::default()) };
    let Some(file) = named.cloned().or_else(usual_place) else { return Ok(Added::default()) };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if named.is_none() && is_missing(&error) => return Ok(Added::default()),
        Err(error) => {
            return Err(Failure::io(
                &format!("cannot read the configuration {}", file.display()),
                error,
                "check --config",
            ));
        }
    };
    collect(command, matches, settings, &text, &file)
}

fn collect(
    command: &Command,
    matches: &ArgMatches,
    settings: &Command,
    text: &str,
    file: &Path,
) -> Result<Added, Failure> {
    let wrong = |reason: &str| Failure::usage(format!("{}: {}", file.display(), reason.trim()));
    let table = text.parse::<Table>().map_err(|error| wrong(&at_line(text, &error)))?;
    let mut added = Added { file: Some(file.to_owned()), ..Added::default() };
    for (key, value) in &table {
        let known = settings.get_arguments().find(|arg| arg.get_long() == Some(key) && is_setting(arg));
        let known = known.ok_or_else(|| wrong(&format!("unknown key {key:?}; `ovl config show` lists the keys")))?;
        let here = command.get_arguments().find(|arg| arg.get_env() == known.get_env());
        if let Some(arg) = here.filter(|arg| !is_said(arg, matches)) {
            added.args.extend(arguments(arg, key, value).map_err(|reason| wrong(&reason))?);
            added.keys.push(key.clone());
        }
    }
    Ok(added)
}

/// Says what is no TOML, and where.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let line = |at: usize| text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
    match error.span() {
        Some(span) => format!("line {}: {}", line(span.start), error.message()),
        None => error.message().to_owned(),
    }
}

/// Returns `$XDG_CONFIG_HOME/ovl/config.toml`, or the same under `~/.config`.
fn usual_place() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("ovl/config.toml"))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns whether a flag or the environment speaks, which are stronger than the file.
fn is_said(arg: &Arg, matches: &ArgMatches) -> bool {
    let source = matches.value_source(arg.get_id().as_str());
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Returns the arguments that stand for one line of the file.
fn arguments(arg: &Arg, key: &str, value: &Value) -> Result<Vec<OsString>, String> {
    match value {
        Value::Array(values) => values.iter().map(|value| flag(key, value)).collect(),
        Value::Boolean(on) if !arg.get_action().takes_values() => Ok(on.then(|| flag_alone(key)).into_iter().collect()),
        _ if !arg.get_action().takes_values() => Err(format!("{key} is true or false")),
        value => Ok(vec![flag(key, value)?]),
    }
}

fn flag_alone(key: &str) -> OsString {
    format!("--{key}").into()
}

fn flag(key: &str, value: &Value) -> Result<OsString, String> {
    match value {
        Value::String(text) => Ok(format!("--{key}={text}").into()),
        Value::Integer(_) | Value::Boolean(_) => Ok(format!("--{key}={value}").into()),
        _ => Err(format!("{key} takes a text, a number or a list of texts")),
    }
}
