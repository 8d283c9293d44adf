//! Builds the page: the playground, and the console that the server carries.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    house::{House, finish},
    tools, web,
};

/// Where the server takes the page from when it is built; git knows the empty folder alone.
const CARRIED: &str = "server/site";

/// Builds the engine for JavaScript and the page around it. Hands the page to the server, unless `is_static`.
pub(crate) fn run(house: &House, is_static: bool) -> Result<(), String> {
    web::run(house)?;
    let page = build(house)?;
    if is_static {
        println!("The page is in {}: any host of files can serve it", page.display());
        return Ok(());
    }
    hand_over(&page, &house.root.join(CARRIED))?;
    println!("The page is in {}, and in ovl-server from its next build on", page.display());
    Ok(())
}

/// Builds the page over the package that is there, and checks what its parts may weigh.
fn build(house: &House) -> Result<PathBuf, String> {
    tools::node(house)?;
    let home = house.root.join("web");
    let npm = |words: &str| finish(house.program("npm").args(words.split_whitespace()).current_dir(&home));
    npm("ci --silent --no-audit --no-fund")?;
    npm("run --silent build")?;
    Ok(home.join("dist"))
}

/// Replaces what the server carries. Names with a leading dot are the tools' own.
fn hand_over(page: &Path, carried: &Path) -> Result<(), String> {
    empty(carried).and_then(|()| copy(page, carried)).map_err(|e| format!("cannot fill {}: {e}", carried.display()))
}

fn empty(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            _ if is_hidden(&entry) => (),
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            _ if is_hidden(&entry) => (),
            true => fs::create_dir_all(&target).and_then(|()| copy(&entry.path(), &target))?,
            false => fs::copy(entry.path(), target).map(drop)?,
        }
    }
    Ok(())
}

fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}
