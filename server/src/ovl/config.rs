//! `ovl config`: the settings in force and where each comes from.

use std::{env, ops::Not, path::Path};

use clap::{Arg, ArgMatches, Args, Subcommand, parser::ValueSource};
use serde::Serialize;
use serde_json::Map;
use toml::Value;

use super::print::{Format, List};
use crate::cli::{config::is_setting, exit::Failure, flags::StackArgs, parse::Parsed, serve::ServerArgs};

#[derive(Subcommand, Debug)]
pub(super) enum Config {
    /// Prints every setting of `ovl-server` as it would hold for these flags, fit for a configuration file.
    Show(Show),
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ovl config show --origin
  ovl config show --lower site.zip --upper ./changes > config.toml")]
pub(super) struct Show {
    /// Tells where each comes from: a flag, the environment, the configuration file or the default.
    #[arg(long)]
    origin: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    _stack: StackArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// One setting.
#[derive(Serialize)]
struct Setting {
    name: String,
    /// What holds, where something was said or is assumed.
    value: Option<Value>,
    /// Whether there is a value that nobody may read here.
    #[serde(skip_serializing_if = "Not::not")]
    hidden: bool,
    origin: String,
}

impl Config {
    pub(super) fn run(self, parsed: &Parsed) -> Result<(), Failure> {
        let Self::Show(show) = self;
        show.run(parsed)
    }
}

impl Show {
    fn run(self, parsed: &Parsed) -> Result<(), Failure> {
        let (command, matches) = parsed.innermost();
        let args = command.get_arguments().filter(|arg| is_setting(arg));
        let mut settings: Vec<Setting> = args.map(|arg| Setting::of(arg, matches, parsed)).collect();
        settings.push(self.token());
        let mut list = List::begin(self.format, "ovl.config/1", &[], "settings")?;
        for setting in &settings {
            list.line(
                |line| line.extend_from_slice(setting.text(self.origin).as_bytes()),
                setting.name.as_bytes(),
                || setting,
            )?;
        }
        list.end(Map::new())
    }

    /// Tells whether there is a token in the environment, never which.
    fn token(&self) -> Setting {
        let is_read = self.server.token_file.is_none() && !self.server.no_auth;
        let hidden = is_read && env::var_os("OVL_TOKEN").is_some();
        let origin = if hidden { "environment OVL_TOKEN" } else { "default" };
        Setting { name: "token".into(), value: None, hidden, origin: origin.into() }
    }
}

impl Setting {
    fn of(arg: &Arg, matches: &ArgMatches, parsed: &Parsed) -> Self {
        let added = &parsed.added;
        let name = arg.get_long().unwrap_or_default().to_owned();
        let value = value(arg, matches);
        let origin = match parsed.listed.contains(&name) {
            true => from_environment(arg),
            false => origin(arg, matches, added.keys.contains(&name).then_some(added.file.as_deref()).flatten()),
        };
        Self { name, value, hidden: false, origin }
    }

    /// Returns a line of a configuration file, one that says nothing where nothing is set.
    fn text(&self, origin: bool) -> String {
        let Self { name, value, .. } = self;
        let line = match value {
            Some(value) => format!("{name} = {value}"),
            None if self.hidden => format!("# {name} is set, and not shown"),
            None => format!("# {name} is not set"),
        };
        if origin { format!("{line:<39} # {}", self.origin) } else { line }
    }
}

fn value(arg: &Arg, matches: &ArgMatches) -> Option<Value> {
    let id = arg.get_id().as_str();
    if !arg.get_action().takes_values() {
        return Some(matches.get_flag(id).into());
    }
    let mut values = matches.get_raw(id)?.map(|raw| Value::from(raw.to_string_lossy().into_owned()));
    match arg.get_action() {
        clap::ArgAction::Append => Some(values.collect::<Vec<_>>().into()),
        _ => values.next_back(),
    }
}

fn from_environment(arg: &Arg) -> String {
    format!("environment {}", arg.get_env().unwrap_or_default().to_string_lossy())
}

fn origin(arg: &Arg, matches: &ArgMatches, file: Option<&Path>) -> String {
    match (matches.value_source(arg.get_id().as_str()), file) {
        (_, Some(file)) => format!("file {}", file.display()),
        (Some(ValueSource::CommandLine), None) => "flag".into(),
        (Some(ValueSource::EnvVariable), None) => from_environment(arg),
        _ => "default".into(),
    }
}
