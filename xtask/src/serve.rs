//! Builds the server with its page and starts it: the first command of a newcomer.

use std::process::Command;

use crate::{
    house::{House, finish},
    site,
};

/// Builds the page where Node is there, and the server, then becomes it: `flags`, folder, signals and exit code are the server's own.
pub(crate) fn run(house: &House, flags: &[String]) -> Result<(), String> {
    site::prepare(house);
    eprintln!("Building ovl-server (the first time takes some minutes) ...");
    finish(&mut house.cargo("build --quiet --locked --release -p ovl-server --bin ovl-server"))?;
    let mut server = Command::new(house.target.join("release/ovl-server"));
    become_it(server.args(flags))
}

#[cfg(unix)]
fn become_it(server: &mut Command) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    Err(format!("the server does not start: {}", server.exec()))
}

#[cfg(not(unix))]
fn become_it(server: &mut Command) -> Result<(), String> {
    finish(server)
}
