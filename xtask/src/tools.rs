//! Finds or fetches what a stage needs: from the package registries, into the target folder, pinned; and from Debian.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::house::{House, finish, output};

/// Fetches the standard library of `target` where it is missing.
pub(crate) fn rust_target(house: &House, target: &str) -> Result<(), String> {
    let sysroot = output(house.program("rustc").args(["--print", "target-libdir", "--target", target]))?;
    if Path::new(sysroot.trim()).exists() {
        return Ok(());
    }
    finish(house.program("rustup").args(["target", "add", target]))
        .map_err(|e| format!("the standard library of {target} is missing; `rustup target add {target}` gets it ({e})"))
}

/// Fetches the sources of the standard library where they are missing.
pub(crate) fn rust_sources(house: &House) -> Result<(), String> {
    let sysroot = output(house.program("rustc").args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").exists() {
        return Ok(());
    }
    finish(house.program("rustup").args(["component", "add", "rust-src"])).map_err(|e| {
        format!("the sources of the standard library are missing; `rustup component add rust-src` gets them ({e})")
    })
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

/// Returns where Chromium is.
pub(crate) fn chromium(house: &House) -> Result<String, String> {
    let found = output(house.program("which").arg("chromium"));
    let missing = |_| "Chromium is needed; `apt-get install chromium` gets it".to_owned();
    found.map(|path| path.trim().to_owned()).map_err(missing)
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

/// Returns whether this is root.
pub(crate) fn is_root(house: &House) -> bool {
    output(house.program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Looks for programs, each with the Debian package that holds it. Where CI is root, what is missing is installed.
pub(crate) fn debian(house: &House, programs: &[(&str, &str)]) -> Result<(), String> {
    let missing: Vec<&str> =
        programs.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let words = missing.join(" ");
    let told = |why: &str| format!("{words}: missing; `apt-get install {words}` gets them{why}");
    if env::var_os("CI").is_none() || !is_root(house) {
        return Err(told(""));
    }
    let apt = |words: &[&str]| finish(house.program("apt-get").args(words).env("DEBIAN_FRONTEND", "noninteractive"));
    apt(&["update", "-qq"])
        .and_then(|()| apt(&[&["install", "-qq", "--no-install-recommends"], &missing[..]].concat()))
        .map_err(|why| told(&format!(" ({why})")))
}

/// Installs programs from the crate registry, each as `name@version`, unless they are there.
pub(crate) fn crates(house: &House, programs: &[&str]) -> Result<(), String> {
    let there = fs::read_to_string(house.tools.join(".crates.toml")).unwrap_or_default();
    for program in programs.iter().filter(|program| !there.contains(&format!("\"{} ", program.replace('@', " ")))) {
        let mut cargo = house.cargo("install --quiet --locked");
        finish(cargo.arg("--root").arg(&house.tools).arg(program))
            .map_err(|e| format!("cannot fetch {program}: {e}"))?;
    }
    Ok(())
}

/// Returns whether `program` is on the path, or where only root looks.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir| dir.join(program).exists())
}
