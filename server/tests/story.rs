//! The README's first minute goes as it is printed there: a `sh` block is run, the `text` block after it is what it prints.

#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

/// The address in the README, for which the test takes a free one.
const PRINTED: &str = "127.0.0.1:8080";
/// Parts what one command of the story prints from what the next does.
const MARK: &str = "-- 8< --";

#[test]
fn the_first_minute_of_the_readme_goes_as_it_is_printed() {
    let scenes = scenes(include_str!("../../README.md"));
    let (start, rest) = scenes.split_first().expect("the README has a story");
    let server = Server::start(&start.commands, &empty_home());
    let printed = server.shell(rest);
    for (scene, printed) in rest.iter().zip(&printed) {
        assert_eq!(printed.trim(), scene.prints.trim(), "what was printed (left) by\n{}", scene.commands);
    }
    assert_eq!(printed.len(), rest.len(), "every command of the story ended well");
}

/// Commands of the README, and what it says that they print.
struct Scene {
    commands: String,
    prints: String,
}

/// Reads the blocks of the README's section on the first minute.
fn scenes(readme: &str) -> Vec<Scene> {
    let (_, story) = readme.split_once("\n## A first minute\n").expect("the README has a first minute");
    let story = story.split("\n## ").next().unwrap_or(story);
    let mut scenes: Vec<Scene> = Vec::new();
    for block in story.split("```").skip(1).step_by(2) {
        match block.split_once('\n') {
            Some(("sh", commands)) => scenes.push(Scene { commands: commands.into(), prints: String::new() }),
            Some(("text", prints)) => scenes.last_mut().expect("a command comes first").prints = prints.into(),
            _ => panic!("a block of the story is neither `sh` nor `text`: {block}"),
        }
    }
    scenes
}

/// Makes an empty folder with the examples in it, as a fresh checkout has them.
fn empty_home() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("story");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir(&home).expect("cargo made the folder above");
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples"), home.join("examples")).expect("home is empty");
    home
}

struct Server {
    process: Child,
    /// What the server says, kept open so that it can go on saying it.
    _said: Lines<BufReader<ChildStderr>>,
    home: PathBuf,
    address: String,
}

impl Server {
    /// Starts the server with the flags of `cargo xtask serve`, on a free port.
    fn start(command: &str, home: &Path) -> Self {
        let flags = command.trim().strip_prefix("cargo xtask serve ").expect("the story begins by serving");
        let mut server = Command::new(env!("CARGO_BIN_EXE_ovl-server"));
        server.args(flags.split_whitespace()).args(["--listen", "127.0.0.1:0"]).env("XDG_CONFIG_HOME", home);
        let mut process = server.current_dir(home).stderr(Stdio::piped()).spawn().expect("the server starts");
        let mut said = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let address =
            said.by_ref().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("Serving http://")?.into()));
        Self { process, _said: said, home: home.into(), address: address.expect("the server says where it serves") }
    }

    /// Runs the scenes in one shell that stops at the first failure, and returns what each printed.
    fn shell(&self, scenes: &[Scene]) -> Vec<String> {
        let script: String =
            scenes.iter().map(|scene| format!("{}\nprintf '\\n%s\\n' '{MARK}'\n", scene.commands)).collect();
        let script = script.replace(PRINTED, &self.address);
        let output =
            Command::new("sh").args(["-eu", "-c", &script]).current_dir(&self.home).output().expect("there is sh");
        let printed = String::from_utf8_lossy(&output.stdout).replace(&self.address, PRINTED);
        printed.split_terminator(&format!("{MARK}\n")).map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("the server was still there");
    }
}
