//! The configuration file: the long flags by their names, weaker than flags and environment.
//!
//! What the file says is put among the arguments where neither says anything, so that a value is read,
//! checked and explained in the same way wherever it comes from.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

use super::exit::{Failure, code};

/// Returns `args` with what the configuration file adds.
///
/// # Errors
/// A file that is named and cannot be read (3, 74), is no TOML, or has an unknown key (2).
pub fn with_file(command: &Command, args: Vec<OsString>, matches: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let named = matches.get_one::<PathBuf>("config").cloned();
    let Some(path) = named.clone().or_else(usual_place) else { return Ok(args) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if named.is_none() => return Ok(args),
        Err(error) => return Err(unreadable(&path, &error)),
    };
    let wrong = |reason: &str| Failure::usage(format!("{}: {}", path.display(), reason.trim()));
    let table = text.parse::<Table>().map_err(|error| wrong(error.message()))?;
    let mut all = args;
    for (key, value) in &table {
        all.extend(argument(command, matches, key, value).map_err(|reason| wrong(&reason))?);
    }
    Ok(all)
}

/// Returns `$XDG_CONFIG_HOME/ovl/config.toml`, or the same under `~/.config`.
fn usual_place() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("ovl/config.toml"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let code = if error.kind() == std::io::ErrorKind::NotFound { code::NOT_FOUND } else { code::IO };
    Failure::new(code, format!("cannot read the configuration {}: {error}", path.display()))
}

/// Returns the arguments that stand for one line of the file, none where a stronger source speaks.
fn argument(command: &Command, matches: &ArgMatches, key: &str, value: &Value) -> Result<Vec<OsString>, String> {
    let known = command.get_arguments().find(|arg| arg.get_long() == Some(key) && key != "config");
    let arg = known.ok_or_else(|| format!("unknown key {key:?}; the keys are the long flags without dashes"))?;
    let stronger = matches.value_source(arg.get_id().as_str());
    if matches!(stronger, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
        return Ok(Vec::new());
    }
    match value {
        Value::Array(values) => values.iter().map(|value| flag(key, value)).collect::<Result<Vec<_>, _>>(),
        Value::Boolean(on) if !arg.get_action().takes_values() => Ok(on.then(|| flag_alone(key)).into_iter().collect()),
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
