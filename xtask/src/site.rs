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
    let began = Began::now(house);
    web::run(house)?;
    if is_static {
        let page = build(house)?;
        println!("The page is in {}: any host of files can serve it", page.display());
        return Ok(());
    }
    let page = carry(house, &began)?;
    println!("The page is in {}, and in ovl-server from its next build on", page.display());
    Ok(())
}

/// Builds the page for a server about to be built, unless it is there already. Without it the server works, too.
pub(crate) fn prepare(house: &House) {
    if is_current(house) {
        return;
    }
    let built = tools::node(house).and_then(|()| {
        let began = Began::now(house);
        web::build(house)?;
        eprintln!("Building the page ...");
        carry(house, &began)
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
        let began = Began::now(house);
        if !web::package(house).exists() {
            web::build(house)?;
        }
        npm(house, "run --silent check")?;
        carry(house, &began)?;
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

/// When a build began, and of which files. What changed since is not in the page.
struct Began {
    at: SystemTime,
    sources: String,
}

impl Began {
    fn now(house: &House) -> Self {
        // Sources that cannot be read are found by the build.
        Self { at: SystemTime::now(), sources: sources(&house.root).map_or_else(|_| String::new(), |all| all.names()) }
    }
}

/// Builds the page and hands it to the server.
fn carry(house: &House, began: &Began) -> Result<PathBuf, String> {
    let page = build(house)?;
    let carried = house.root.join(CARRIED);
    let stamp = || {
        fs::write(stamp(house), &began.sources)?;
        fs::File::options().append(true).open(stamp(house))?.set_modified(began.at)
    };
    let done = replace(&page, &carried).and_then(|()| stamp());
    done.map_err(|e| format!("cannot fill {}: {e}", carried.display()))?;
    Ok(page)
}

/// Returns whether the server carries a page that is as young as its sources.
fn is_current(house: &House) -> bool {
    let carried = house.root.join(CARRIED).join("index.html").exists();
    carried && sources(&house.root).is_ok_and(|sources| sources.are_in(&stamp(house)).unwrap_or(false))
}

/// Its time tells when the page was built, its content of which files.
fn stamp(house: &House) -> PathBuf {
    house.npm.join("page")
}

/// The files that the page is made of, and when the last of them was changed. Times of folders tell nothing: builds write into them.
struct Sources {
    files: Vec<PathBuf>,
    newest: SystemTime,
}

fn sources(root: &Path) -> io::Result<Sources> {
    let mut found = Sources { files: Vec::new(), newest: SystemTime::UNIX_EPOCH };
    SOURCES.iter().try_for_each(|name| found.add(&root.join(name)))?;
    found.files.sort();
    Ok(found)
}

impl Sources {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let about = fs::metadata(path)?;
        if !about.is_dir() {
            self.newest = self.newest.max(about.modified()?);
            self.files.push(path.to_owned());
            return Ok(());
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !BESIDE.iter().any(|name| entry.file_name() == *name) {
                self.add(&entry.path())?;
            }
        }
        Ok(())
    }

    fn names(&self) -> String {
        self.files.iter().map(|file| format!("{}\n", file.display())).collect()
    }

    /// Returns whether a page with this stamp was built of these files as they are.
    fn are_in(&self, stamp: &Path) -> io::Result<bool> {
        let built = fs::metadata(stamp)?.modified()?;
        Ok(self.newest < built && fs::read_to_string(stamp)? == self.names())
    }
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
    fn a_page_is_old_once_a_source_is_younger_comes_or_goes() {
        let home = std::env::temp_dir().join(format!("ovl-xtask-sources-{}", std::process::id()));
        for name in SOURCES {
            fs::create_dir_all(home.join(name).join("node_modules")).unwrap();
            fs::write(home.join(name).join("kept"), "").unwrap();
        }
        let stamp = home.join("stamp");
        let build = || fs::write(&stamp, sources(&home).unwrap().names()).unwrap();
        let set = |file: &Path, secs| {
            let time = SystemTime::now() + std::time::Duration::from_secs(secs);
            fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        };
        let is_current = || sources(&home).unwrap().are_in(&stamp).unwrap();
        build();
        set(&stamp, 100);
        assert!(is_current());
        let added = home.join("web/added");
        fs::write(&added, "").unwrap();
        assert!(!is_current());
        build();
        set(&stamp, 100);
        assert!(is_current());
        fs::remove_file(&added).unwrap();
        assert!(!is_current(), "a file that is gone may still be in the page");
        build();
        set(&stamp, 100);
        fs::write(home.join("web/node_modules/tool"), "").unwrap();
        assert!(is_current());
        set(&home.join("web/kept"), 200);
        assert!(!is_current());
        fs::remove_dir_all(home).unwrap();
    }

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
