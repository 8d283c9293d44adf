//! The peer of benchmark J1: opens a zip with the `zip` crate and counts the names in its root.

use std::{collections::HashSet, error::Error, fs::File, io::BufReader};

#[allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a program, not the engine")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: peer_zip ARCHIVE")?;
    let archive = zip::ZipArchive::new(BufReader::new(File::open(path)?))?;
    let mut root = HashSet::new();
    for name in archive.file_names() {
        root.insert(name?.split('/').next().unwrap_or_default().to_owned());
    }
    println!("{}", root.len());
    Ok(())
}
