//! Completions and man pages, as shells and `man` read them.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use crate::Place;

const COMMANDS: &[&str] = &[
    "ls",
    "cat",
    "stat",
    "why",
    "changes",
    "discard",
    "export",
    "import",
    "digest",
    "inspect",
    #[cfg(target_os = "linux")]
    "mount",
    #[cfg(target_os = "linux")]
    "unmount",
    #[cfg(target_os = "linux")]
    "mounts",
    #[cfg(target_os = "linux")]
    "run",
    "verify",
    #[cfg(target_os = "linux")]
    "cache",
    #[cfg(target_os = "linux")]
    "cache list",
    #[cfg(target_os = "linux")]
    "cache prune",
    #[cfg(target_os = "linux")]
    "cache clear",
    "config",
    "config show",
    "completions",
    "man",
];

/// Returns the long flags that a help text explains.
fn flags(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let long = lines.filter_map(|line| line.split([' ', ',']).find(|word| word.len() > 2 && word.starts_with("--")));
    long.map(|flag| flag.trim_end_matches('.').to_owned()).collect()
}

fn help_of_the_server() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ovl-server")).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_ends_with_examples_of_it() {
    let place = Place::new();
    for name in COMMANDS.iter().filter(|name| !["config", "cache"].contains(*name)) {
        let help = place.ok(&format!("{name} --help"));
        let (_, examples) = help.split_once("\nExample").unwrap_or_else(|| panic!("{name} has no example: {help}"));
        assert!(examples.lines().skip(1).all(|line| line.contains(&format!("ovl {name}"))), "{name}: {examples}");
    }
}

/// Runs a program that may not be on this machine, or returns `None`.
fn judge(program: &str, args: &[&str], file: &std::path::Path) -> Option<Output> {
    Command::new(program).args(args).arg(file).stdin(Stdio::null()).output().ok()
}

#[test]
fn every_command_has_a_man_page_that_explains_every_flag() {
    let place = Place::new();
    place.ok("man pages/of/ovl");
    let mut pages = vec![("ovl-server.1".to_owned(), help_of_the_server()), ("ovl.1".to_owned(), place.ok("--help"))];
    pages.extend(
        COMMANDS.iter().map(|name| (format!("ovl-{}.1", name.replace(' ', "-")), place.ok(&format!("{name} --help")))),
    );
    for (name, help) in &pages {
        let file = place.path().join("pages/of/ovl").join(name);
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(".TH ") && text.contains(".SH NAME"), "{name} is no man page: {text}");
        for flag in flags(help) {
            assert!(text.replace("\\-", "-").contains(&flag), "{name} says nothing of {flag}");
        }
        if let Some(read) = judge("groff", &["-man", "-Tascii", "-ww", "-z"], &file) {
            assert!(read.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&read.stderr));
        }
    }
    assert_eq!(fs::read_dir(place.path().join("pages/of/ovl")).unwrap().count(), pages.len(), "COMMANDS is complete");
}

#[test]
fn completions_know_every_command_and_flag_in_every_shell() {
    let place = Place::new();
    let server = help_of_the_server();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = place.ok(&format!("completions {shell}"));
        for word in COMMANDS.iter().flat_map(|name| name.split(' ')).chain(["lower", "recursive", "on-conflict"]) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        let script = place.ok(&format!("completions {shell} ovl-server"));
        for flag in flags(&server) {
            assert!(script.contains(flag.trim_start_matches('-')), "{shell} does not know {flag}");
        }
    }
}

#[test]
fn a_shell_takes_the_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        for program in ["ovl", "ovl-server"] {
            let file = place.path().join(program);
            fs::write(&file, place.ok(&format!("completions {shell} {program}"))).unwrap();
            if let Some(read) = judge(shell, &["-n"], &file) {
                assert!(read.status.success(), "{shell} {program}: {}", String::from_utf8_lossy(&read.stderr));
            }
        }
    }
}
