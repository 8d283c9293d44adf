//! Builds the page: the playground, and the console that the server carries.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    house::{House, finish},
    stages::Stop,
    tools, web,
};

/// Where the server takes the page from when it is built; git knows the empty folder alone.
const CARRIED: &str = "server/site";
/// What the page is made of.
const SOURCES: [&str; 5] = ["Cargo.lock", "Cargo.toml", "core", "wasm", "web"];
/// What lies among the sources and does not go into the page.
const BESIDE: [&str; 5] = ["benches", "dist", "e2e", "node_modules", "tests"];

/// Builds the engine for JavaScript and the page around it. Hands the page to the server, unless `is_static`.
pub(crate) fn run(house: &House, is_static: bool) -> Result<(), String> {
    let began = SystemTime::now();
    web::run(house)?;
    if is_static {
        let page = build(house)?;
        println!("The page is in {}: any host of files can serve it", page.display());
        return Ok(());
    }
    let page = carry(house, began)?;
    println!("The page is in {}, and in ovl-server from its next build on", page.display());
    Ok(())
}

/// Builds the page for a server about to be built, unless it is there already. Without it the server works, too.
pub(crate) fn prepare(house: &House) {
    if is_current(house) {
        return;
    }
    let built = tools::node(house).and_then(|()| {
        let began = SystemTime::now();
        web::build(house)?;
        eprintln!("Building the page ...");
        carry(house, began)
    });
    if let Err(why) = built {
        eprintln!("The page at / is not built: {why}. The rest works without; `cargo xtask web` builds it.");
    }
}

/// Checks, builds and measures the page, and hands it to the server; then its drivers are held against that server.
pub(crate) fn test(house: &House) -> Result<(), Stop> {
    tools::node(house).map_err(Stop::Missing)?;
    node_modules(house).map_err(Stop::Missing)?;
    let run = || {
        let began = SystemTime::now();
        if !web::package(house).exists() {
            web::build(house)?;
        }
        npm(house, "run --silent check")?;
        carry(house, began)?;
        serve(house)?;
        npm(house, "test --silent")
    };
    run().map_err(Stop::Failed)
}

/// Uses the page that was built last in headless Chromium, from the server that carries it.
pub(crate) fn test_in_browser(house: &House) -> Result<(), Stop> {
    let chromium = tools::chromium(house).map_err(Stop::Missing)?;
    node_modules(house).map_err(Stop::Missing)?;
    let run = || {
        serve(house)?;
        finish(in_web(house, "run --silent e2e").env("CHROMIUM", chromium))
    };
    run().map_err(Stop::Failed)
}

/// Builds the server that carries the page, if it is not built.
fn serve(house: &House) -> Result<(), String> {
    finish(&mut house.cargo("build --quiet --locked -p ovl-server --bin ovl-server"))
}

/// Builds the page over the package that is there, and checks what its parts may weigh.
fn build(house: &House) -> Result<PathBuf, String> {
    node_modules(house)?;
    npm(house, "run --silent build")?;
    Ok(house.root.join("web/dist"))
}

/// Builds the page and hands it to the server. Sources that changed after `began` are not in it.
fn carry(house: &House, began: SystemTime) -> Result<PathBuf, String> {
    let page = build(house)?;
    let carried = house.root.join(CARRIED);
    let stamp = || fs::File::create(stamp(house))?.set_modified(began);
    let done = replace(&page, &carried).and_then(|()| stamp());
    done.map_err(|e| format!("cannot fill {}: {e}", carried.display()))?;
    Ok(page)
}

/// Returns whether the server carries a page that is as young as its sources.
fn is_current(house: &House) -> bool {
    let built = fs::metadata(stamp(house)).and_then(|stamp| stamp.modified());
    let newest = || SOURCES.iter().try_fold(SystemTime::UNIX_EPOCH, |at, name| newest(&house.root.join(name), at));
    let carried = house.root.join(CARRIED).join("index.html").exists();
    carried && built.is_ok_and(|built| newest().is_ok_and(|newest| newest < built))
}

/// Its time tells when the page was built.
fn stamp(house: &House) -> PathBuf {
    house.npm.join("page")
}

/// Returns when a file at or below `path` was last changed, or `least` if that is later. Folders change when a build adds to them.
fn newest(path: &Path, least: SystemTime) -> io::Result<SystemTime> {
    let about = fs::metadata(path)?;
    if !about.is_dir() {
        return Ok(least.max(about.modified()?));
    }
    fs::read_dir(path)?.try_fold(least, |least, entry| {
        let entry = entry?;
        if BESIDE.iter().any(|name| entry.file_name() == *name) { Ok(least) } else { newest(&entry.path(), least) }
    })
}

fn npm(house: &House, words: &str) -> Result<(), String> {
    finish(&mut in_web(house, words))
}

fn in_web(house: &House, words: &str) -> std::process::Command {
    let mut npm = house.program("npm");
    npm.args(words.split_whitespace()).current_dir(house.root.join("web"));
    npm.env("OVL_SERVER", house.target.join("debug/ovl-server").with_extension(std::env::consts::EXE_EXTENSION));
    npm
}

/// Fetches what the page is built with, unless what is there is as young as the lock file.
fn node_modules(house: &House) -> Result<(), String> {
    tools::node(house)?;
    let time = |name: &str| fs::metadata(house.root.join("web").join(name)).and_then(|about| about.modified());
    match (time("node_modules/.package-lock.json"), time("package-lock.json")) {
        (Ok(fetched), Ok(locked)) if fetched >= locked => Ok(()),
        _ => npm(house, "ci --silent --no-audit --no-fund"),
    }
}

/// Makes `target` the same as `page`. What is the same already stays, so that nothing is built anew for it. Names with a
/// leading dot are the tools' own.
fn replace(page: &Path, target: &Path) -> io::Result<()> {
    for entry in fs::read_dir(target)?.collect::<io::Result<Vec<_>>>()? {
        match entry.file_type()?.is_dir() {
            _ if is_hidden(&entry) || page.join(entry.file_name()).exists() => (),
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    for entry in fs::read_dir(page)? {
        let entry = entry?;
        let target = target.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            _ if is_hidden(&entry) => (),
            true => fs::create_dir_all(&target).and_then(|()| replace(&entry.path(), &target))?,
            false if fs::read(&target).is_ok_and(|old| fs::read(entry.path()).is_ok_and(|new| new == old)) => (),
            false => fs::copy(entry.path(), target).map(drop)?,
        }
    }
    Ok(())
}

fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_takes_the_place_of_the_last_and_leaves_what_is_the_same_alone() {
        let home = std::env::temp_dir().join(format!("ovl-xtask-site-{}", std::process::id()));
        let (page, carried) = (home.join("page"), home.join("carried"));
        fs::create_dir_all(page.join("assets")).unwrap();
        fs::create_dir_all(carried.join("assets")).unwrap();
        for (file, content) in [("page/index.html", "new"), ("page/assets/same", "s"), ("page/.tool", "t")] {
            fs::write(home.join(file), content).unwrap();
        }
        for (file, content) in [("index.html", "old"), ("assets/same", "s"), ("assets/gone", "g"), (".gitignore", "*")]
        {
            fs::write(carried.join(file), content).unwrap();
        }
        let old = SystemTime::UNIX_EPOCH;
        fs::File::options().append(true).open(carried.join("assets/same")).unwrap().set_modified(old).unwrap();
        replace(&page, &carried).unwrap();
        assert_eq!(fs::read(carried.join("index.html")).unwrap(), b"new");
        assert_eq!(fs::metadata(carried.join("assets/same")).unwrap().modified().unwrap(), old);
        let there = |name: &str| carried.join(name).exists();
        assert_eq!((there("assets/gone"), there(".tool"), there(".gitignore")), (false, false, true));
        fs::remove_dir_all(home).unwrap();
    }
}
