//! Builds the engine for JavaScript: the npm package `ovl`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    house::{House, finish, output},
    stages::Stop,
    tools,
};

/// How the types are checked: as a strict user does.
const TSC: &str =
    "--noEmit --strict --target esnext --module nodenext --moduleResolution nodenext --lib esnext,dom types.ts";
/// Compiles the standard library along with the engine: small, and without the texts of panics, which nobody in a browser
/// sees. It is a fourth of a minute for a tenth of the module.
const STD: &str = "-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size";
/// How everything in the module is compiled: every browser since 2023 has these instructions, and hashing is twice as fast
/// with them. Only what is tiny is taken into its callers: the module is a twelfth smaller. A panic is a trap, and of
/// `{:?}` only texts and numbers are written out.
const FLAGS: [&str; 6] = [
    "-Ctarget-feature=+simd128",
    "-Cllvm-args=-inline-threshold=8",
    "-Zunstable-options",
    "-Cpanic=immediate-abort",
    "-Zlocation-detail=none",
    "-Zfmt-debug=shallow",
];
/// What lies beside the module in the package.
const SOURCES: &str = "wasm/npm";

/// Builds the package and packs it, and says where it is.
pub(crate) fn run(house: &House) -> Result<(), String> {
    let package = build(house)?;
    let packed = pack(house, &package)?;
    println!("The package is in {}, packed as {}", package.display(), packed.display());
    Ok(())
}

/// Builds the package into the target folder.
pub(crate) fn build(house: &House) -> Result<PathBuf, String> {
    let node = node_modules(house)?;
    tools::rust_sources(house)?;
    eprintln!("Building the engine for JavaScript (the first time takes some minutes) ...");
    finish(&mut house.cargo("build --quiet --locked -p xtask --features web --bin ovl-bindgen"))?;
    let build = "build --quiet --locked -p ovl-wasm --target wasm32-unknown-unknown --profile web";
    let mut build = house.cargo(&format!("{build} {STD} --config"));
    // The compiler that is pinned takes its unstable flags only so; with another one they are looked at again.
    finish(build.arg(flags(house)).env("RUSTC_BOOTSTRAP", "1"))?;
    let package = package(house);
    drop(fs::remove_dir_all(&package));
    let module = house.target.join("wasm32-unknown-unknown/web/ovl_wasm.wasm");
    let bindgen = house.target.join("debug/ovl-bindgen").with_extension(std::env::consts::EXE_EXTENSION);
    finish(house.program(bindgen).arg(module).arg(&package))?;
    shrink(house, &node, &package.join("ovl_bg.wasm"))?;
    copy_all(&house.root.join(SOURCES), &package)?;
    copy(&house.root.join("wasm/README.md"), &package.join("README.md"))?;
    Ok(package)
}

/// Returns where the package is, once it is built.
pub(crate) fn package(house: &House) -> PathBuf {
    house.npm.join("ovl")
}

/// Builds and packs the package, installs it elsewhere and uses it from Node; its module must be valid and small enough.
pub(crate) fn test(house: &House) -> Result<(), Stop> {
    let node = node_modules(house).map_err(Stop::Missing)?;
    let run = || {
        let packed = pack(house, &build(house)?)?;
        let installed = house.npm.join("installed");
        finish(house.program("node").arg("wasm/tests/package.mjs").arg(packed).arg(&installed))?;
        copy(&house.root.join("wasm/tests/types.ts"), &installed.join("types.ts"))?;
        let mut tsc = house.program("node");
        tsc.arg(node.join("node_modules/typescript/bin/tsc")).args(TSC.split_whitespace());
        finish(tsc.current_dir(&installed))
    };
    run().map_err(Stop::Failed)
}

/// Uses the package that was built last in a page of headless Chromium.
pub(crate) fn test_in_browser(house: &House) -> Result<(), Stop> {
    let node = node_modules(house).map_err(Stop::Missing)?;
    let chromium = tools::chromium(house).map_err(Stop::Missing)?;
    let package = package(house);
    let run = || {
        let package = if package.join("ovl_bg.wasm").exists() { package.clone() } else { build(house)? };
        let mut page = house.program("node");
        page.arg("wasm/tests/browser.mjs").arg(package).arg(house.npm.join("profile"));
        page.arg(node.join("node_modules/playwright-core/index.mjs"));
        finish(page.env("CHROMIUM", chromium))
    };
    run().map_err(Stop::Failed)
}

/// Returns the flags as cargo reads them. Where the sources lie on this machine is nobody's business.
fn flags(house: &House) -> String {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    let hidden = [cargo.join("registry/src"), house.root.clone()];
    let hidden = hidden.iter().map(|path| format!("{:?}", format!("--remap-path-prefix={}=", path.display())));
    let flags: Vec<String> = FLAGS.iter().map(|flag| format!("{flag:?}")).chain(hidden).collect();
    format!("target.wasm32-unknown-unknown.rustflags=[{}]", flags.join(","))
}

/// Packs the package as it would be published.
fn pack(house: &House, package: &Path) -> Result<PathBuf, String> {
    let folder = &house.npm;
    let mut npm = house.program("npm");
    npm.args(["pack", "--silent", "--pack-destination"]).arg(folder).arg(package);
    Ok(folder.join(output(&mut npm)?.trim()))
}

/// Fetches what the build and the tests need from npm, as it is locked.
fn node_modules(house: &House) -> Result<PathBuf, String> {
    tools::node(house)?;
    let home = house.tools.join("wasm");
    fs::create_dir_all(&home).map_err(|e| format!("cannot make {}: {e}", home.display()))?;
    let lock = "package-lock.json";
    let wanted = fs::read(house.root.join("wasm").join(lock)).map_err(|e| format!("cannot read the lock file: {e}"))?;
    if fs::read(home.join(lock)).is_ok_and(|had| had == wanted) && home.join("node_modules").exists() {
        return Ok(home);
    }
    for file in ["package.json", lock] {
        copy(&house.root.join("wasm").join(file), &home.join(file))?;
    }
    finish(house.program("npm").args(["ci", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&home))?;
    Ok(home)
}

/// Lets wasm-opt make the module smaller. It reads which instructions may be used from the module itself.
fn shrink(house: &House, node: &Path, module: &Path) -> Result<(), String> {
    let small = module.with_extension("opt");
    let mut opt = house.program("node");
    opt.arg(node.join("node_modules/binaryen/bin/wasm-opt")).arg(module);
    // The stack comes first in memory, so that no object of ours lies in its lowest KiB.
    opt.args(["-Oz", "--converge", "--low-memory-unused", "--strip-debug", "--strip-producers"]);
    // A function of some size stays one, though it has one caller: the browser's fast code replaces the first, slow one
    // only from call to call, never within a loop.
    opt.args(["--one-caller-inline-max-function-size", "100"]);
    finish(opt.arg("-o").arg(&small))?;
    fs::rename(&small, module).map_err(|e| format!("cannot replace {}: {e}", module.display()))
}

fn copy_all(from: &Path, to: &Path) -> Result<(), String> {
    let entries = fs::read_dir(from).map_err(|e| format!("cannot read {}: {e}", from.display()))?;
    for entry in entries {
        let entry = entry.map_err(|e| format!("cannot read {}: {e}", from.display()))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|e| format!("cannot copy {}: {e}", from.display()))
}
