//! Writes the man pages and the completions of both programs, to be shipped with them.

use std::{fs, path::Path};

use crate::house::{House, finish, output};

/// The programs, as `ovl completions` takes them.
const PROGRAMS: &[&str] = &["ovl", "ovl-server"];

/// Builds `ovl` and lets it write `man/` and `completions/` into the target folder.
pub(crate) fn run(house: &House) -> Result<(), String> {
    eprintln!("Building ovl (the first time takes some minutes) ...");
    finish(&mut house.cargo("build --quiet --locked -p ovl-server --bin ovl"))?;
    let ovl = house.target.join("debug/ovl");
    let (man, completions) = (house.target.join("man"), house.target.join("completions"));
    finish(house.program(&ovl).arg("man").arg(&man))?;
    fs::create_dir_all(&completions).map_err(|e| format!("cannot make {}: {e}", completions.display()))?;
    for program in PROGRAMS {
        for (shell, file) in files(program) {
            let script = output(house.program(&ovl).args(["completions", shell, program]))?;
            write(&completions.join(file), &script)?;
        }
    }
    println!("Man pages are in {}, completions in {}", man.display(), completions.display());
    Ok(())
}

/// Returns for each shell the name under which it looks for the completions of `program`.
fn files(program: &str) -> [(&'static str, String); 4] {
    [
        ("bash", format!("{program}.bash")),
        ("zsh", format!("_{program}")),
        ("fish", format!("{program}.fish")),
        ("powershell", format!("_{program}.ps1")),
    ]
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))
}
