//! Where things are, and how a program is run there.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

/// The places of this checkout.
pub(crate) struct House {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// What cargo builds.
    pub(crate) target: PathBuf,
    /// What the stages fetch for themselves.
    pub(crate) tools: PathBuf,
    /// The engine for JavaScript, where the page's sources look for it, wherever cargo builds.
    pub(crate) npm: PathBuf,
    cargo: OsString,
}

impl House {
    /// Finds the checkout from what cargo tells. Refuses to start without cargo.
    pub(crate) fn find() -> Result<Self, String> {
        let own = env::var_os("CARGO_MANIFEST_DIR").ok_or("start me as `cargo xtask`")?;
        let root = Path::new(&own).parent().ok_or("the checkout has no parent folder")?.to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        let (tools, npm) = (target.join("tools"), root.join("target/npm"));
        Ok(Self { root, target, tools, npm, cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()) })
    }

    /// Returns cargo, ready to run in the checkout with `words` as arguments.
    pub(crate) fn cargo(&self, words: &str) -> Command {
        let mut cargo = self.program(&self.cargo);
        cargo.args(words.split_whitespace());
        cargo
    }

    /// Returns `program`, ready to run in the checkout; the fetched tools are on its path.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("PATH", self.path());
        command
    }

    fn path(&self) -> OsString {
        let own = ["bin", "python/bin", "node/node_modules/.bin"].map(|dir| self.tools.join(dir));
        let old = env::var_os("PATH").unwrap_or_default();
        env::join_paths(own.into_iter().chain(env::split_paths(&old))).unwrap_or(old)
    }
}

/// Runs `command` to its end. Fails when it does not start, or does not end well.
pub(crate) fn finish(command: &mut Command) -> Result<(), String> {
    let name = name(command);
    let status = command.status().map_err(|e| format!("{name} does not start: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}

/// Runs `command` to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = name(command);
    let output = command.output().map_err(|e| format!("{name} does not start: {e}"))?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    program.file_name().unwrap_or(program.as_os_str()).display().to_string()
}
