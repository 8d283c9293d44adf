//! Builds what the benchmarks measure, and runs them.

use crate::house::{House, finish};

/// Runs the benchmarks named in `jobs`, or all, beside their peers.
pub(crate) fn run(house: &House, jobs: &[String]) -> Result<(), String> {
    eprintln!("Building the release programs (the first time takes some minutes) ...");
    finish(&mut house.cargo("build --quiet --locked --release -p ovl-server --bins"))?;
    finish(&mut house.cargo("build --quiet --locked --release -p ovl-core --example peer_zip"))?;
    finish(house.program("python3").arg("xtask/bench.py").args(jobs))
}
