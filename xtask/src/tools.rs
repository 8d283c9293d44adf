//! Finds or fetches what a stage needs: from the package registries, into the target folder, pinned.

use std::process::{Command, Stdio};

use crate::house::{House, finish, output};

/// Fetches the standard library of `target` where it is missing.
pub(crate) fn rust_target(house: &House, target: &str) -> Result<(), String> {
    let sysroot = output(house.program("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if std::path::Path::new(sysroot.trim()).exists() {
        return Ok(());
    }
    finish(house.program("rustup").args(["target", "add", target]))
        .map_err(|e| format!("the standard library of {target} is missing; `rustup target add {target}` gets it ({e})"))
}

/// Lets `command` check code for `target` on a machine without a C compiler for it.
///
/// Type checking links nothing, so that a compiler which does nothing will do (blake3 brings C for some targets).
pub(crate) fn without_c<'a>(command: &'a mut Command, target: &str) -> &'a mut Command {
    let target = target.replace('-', "_");
    command.env(format!("CC_{target}"), "true").env(format!("AR_{target}"), "true")
}

/// Checks that Node and its package manager are there.
pub(crate) fn node(house: &House) -> Result<(), String> {
    let found = |name: &str| output(house.program(name).arg("--version"));
    found("node").and(found("npm")).map(drop).map_err(|e| format!("Node 20 or later with npm is needed ({e})"))
}

/// Fetches Python packages (`name==version`, or `-r` and a list of them) into an environment of our own. Their programs are then on the path.
pub(crate) fn python(house: &House, packages: &[&str]) -> Result<(), String> {
    let home = house.tools.join("python");
    if !home.join("bin/pip").exists() {
        finish(house.program("python3").args(["-m", "venv"]).arg(&home))
            .map_err(|e| format!("Python's venv is needed; `apt-get install python3-venv` gets it ({e})"))?;
    }
    if packages.is_empty() {
        return Ok(());
    }
    let mut pip = house.program(home.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages);
    finish(&mut pip).map_err(|e| format!("cannot fetch {}: {e}", packages.join(", ")))
}

/// Returns whether cargo has the subcommand `name`.
pub(crate) fn has_cargo(house: &House, name: &str) -> bool {
    let mut cargo = house.cargo(name);
    cargo.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}
