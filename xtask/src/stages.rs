//! What CI runs, in this order: what is quick and often wrong comes first.

use std::ffi::OsStr;

use crate::{
    checks,
    house::{House, finish},
    man, site, tools, web,
};

/// Why a stage did not pass.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something is missing on this machine: in CI a failure, elsewhere a skipped stage.
    Missing(String),
    /// The stage ran and found something.
    Failed(String),
}

/// One named part of `cargo xtask test`.
pub(crate) struct Stage {
    /// The name, as the table prints it and the command line takes it.
    pub(crate) name: &'static str,
    /// Whether it runs with `--long` alone.
    pub(crate) long: bool,
    job: Job,
}

/// What a stage does.
enum Job {
    /// Runs cargo with these words.
    Cargo(&'static str),
    /// Runs cargo with these words for another machine, whose standard library is fetched where it is missing.
    For(&'static str, &'static str),
    /// Runs a Python script of ours with these packages; it gets the folder of the built programs and one to work in.
    Python(&'static str, &'static [&'static str]),
    /// The same for a script that needs Node, too.
    Node(&'static str, &'static [&'static str]),
    /// Runs a Python script of ours, with more words for it, that needs Linux, root and these programs.
    Root(&'static str, &'static [&'static str], &'static Needs),
    /// Does something of our own.
    Own(fn(&House) -> Result<(), Stop>),
}

/// Programs that a stage needs beside ours.
struct Needs {
    /// Programs of Debian, each with its package.
    debian: &'static [(&'static str, &'static str)],
    /// Programs of the crate registry, each as `name@version`.
    crates: &'static [&'static str],
}

/// Everything, in order. To add a stage, add a line.
pub(crate) const STAGES: &[Stage] = &[
    ci("format", Job::Cargo("fmt --all --check")),
    ci("core-is-bare", Job::Own(checks::core_is_bare)),
    ci("supply", Job::Own(checks::supply)),
    ci("lints", Job::Cargo("clippy --locked --workspace --all-targets -- -D warnings")),
    ci("docs", Job::Cargo(r#"doc --locked --workspace --no-deps --config build.rustdocflags=["-Dwarnings"]"#)),
    ci("build", Job::Cargo("build --locked --workspace")),
    ci("tests", Job::Own(checks::tests)),
    ci("doc-tests", Job::Cargo("test --locked --workspace --doc")),
    ci("man", Job::Own(|house| man::run(house).map_err(Stop::Failed))),
    ci("clients", Job::Node("xtask/clients/clients.py", CLIENTS)),
    ci("contract", Job::Python("xtask/clients/contract.py", CONTRACT)),
    ci("power-cut", Job::Root(POWER_CUT, &["60"], &DISKS)),
    ci("posix", Job::Root("xtask/proof/in_mount.py", &[], &STRANGERS)),
    ci("at-once", Job::Root(AT_ONCE, &["2"], &NOTHING)),
    ci("browser", Job::For("wasm32-unknown-unknown", "build --locked -p ovl-core")),
    ci("wasm-suites", Job::For("wasm32-wasip1", SUITES)),
    ci("web", Job::Own(web::test)),
    ci("web-browser", Job::Own(web::test_in_browser)),
    ci("page", Job::Own(site::test)),
    ci("page-browser", Job::Own(site::test_in_browser)),
    ci("windows", Job::For("x86_64-pc-windows-gnu", "check --locked --workspace")),
    ci("macos", Job::For("aarch64-apple-darwin", "check --locked --workspace")),
    long("kernel-10000", Job::Own(checks::kernel_histories)),
    long("power-cut-2000", Job::Root(POWER_CUT, &["2000"], &DISKS)),
    long("at-once-60", Job::Root(AT_ONCE, &["60"], &NOTHING)),
    long("real-archives", Job::Python("xtask/real.py", &[])),
    long("fuzz", Job::Own(checks::fuzz)),
    long("release", Job::Cargo("build --locked --workspace --release")),
];

/// The suite of every layer and the tables of merging, changing and changes, run by Node.
const SUITES: &str = "test --locked --quiet -p ovl-core --test layers --test merging --test changing --test changes \
     --config target.wasm32-wasip1.runner=[\"node\",\"--no-warnings\",\"../wasm/tests/wasi.mjs\"]";

/// What the scripts beside the list need.
const CLIENTS: &[&str] = &["-r", "xtask/clients/requirements.txt"];
const CONTRACT: &[&str] = &["-r", "xtask/clients/contract.txt"];

const POWER_CUT: &str = "xtask/proof/cut.py";
const DISKS: Needs = Needs {
    debian: &[("strace", "strace"), ("xfs_io", "xfsprogs"), ("mkfs.ext4", "e2fsprogs"), ("mount", "mount")],
    crates: &[],
};
const AT_ONCE: &str = "xtask/proof/at_once.py";
const NOTHING: Needs = Needs { debian: &[("mount", "mount")], crates: &[] };
const STRANGERS: Needs = Needs {
    debian: &[("fusermount3", "fuse3"), ("git", "git"), ("unzip", "unzip"), ("mount", "mount")],
    crates: &["pjdfstest@0.2.2", "fsx@0.3.2"],
};

const fn ci(name: &'static str, job: Job) -> Stage {
    Stage { name, long: false, job }
}

const fn long(name: &'static str, job: Job) -> Stage {
    Stage { name, long: true, job }
}

impl Stage {
    /// Runs the stage to its end.
    pub(crate) fn run(&self, house: &House) -> Result<(), Stop> {
        match self.job {
            Job::Cargo(words) => finish(&mut house.cargo(words)).map_err(Stop::Failed),
            Job::For(target, words) => {
                tools::rust_target(house, target).map_err(Stop::Missing)?;
                finish(tools::without_c(house.cargo(words).args(["--target", target]), target)).map_err(Stop::Failed)
            }
            Job::Python(script, packages) => self.python(house, script, packages),
            Job::Node(script, packages) => {
                tools::node(house).map_err(Stop::Missing)?;
                self.python(house, script, packages)
            }
            Job::Root(script, words, needs) => self.root(house, script, words, needs),
            Job::Own(run) => run(house),
        }
    }

    /// Fetches packages, then builds the programs and runs a Python script over them.
    fn python(&self, house: &House, script: &str, packages: &[&str]) -> Result<(), Stop> {
        tools::python(house, packages).map_err(Stop::Missing)?;
        self.script(house, house.tools.join("python/bin/python"), script, &[]).map_err(Stop::Failed)
    }

    /// Gets programs, then builds ours and runs a Python script over them. Without root there is nothing to run.
    fn root(&self, house: &House, script: &str, words: &[&str], needs: &Needs) -> Result<(), Stop> {
        if !cfg!(target_os = "linux") || !tools::is_root(house) {
            println!("skipped: needs root on Linux");
            return Ok(());
        }
        tools::debian(house, needs.debian).and_then(|()| tools::crates(house, needs.crates)).map_err(Stop::Missing)?;
        self.script(house, "python3", script, words).map_err(Stop::Failed)
    }

    /// Builds the programs and runs a script over them.
    fn script(
        &self,
        house: &House,
        interpreter: impl AsRef<OsStr>,
        script: &str,
        words: &[&str],
    ) -> Result<(), String> {
        finish(&mut house.cargo("build --quiet --locked --workspace"))?;
        let folders = [house.target.join("debug"), house.tools.join(self.name)];
        finish(house.program(interpreter).arg(script).args(folders).args(words))
    }
}
