//! One upper in many hands: the kernel's mount, FUSE, HTTP and the command line change it in turn.
//!
//! After each turn the engine, a FUSE mount and a kernel mount show the same tree, which is that of a plain directory in
//! which the same was done, and `verify` finds nothing wrong. `OVL_SEED` and `OVL_ROUNDS` choose other turns.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use http::StatusCode;
use ovl_core::{
    Kind, Layer, Overlay, VPath,
    layers::host::{self, Form, LowerOptions, Namespace, UpperOptions},
    overlay::{Follow, RenameHow, WalkOptions},
    testing::{
        drawing::content,
        history::{self, Choose, Op, Rng},
        kernel::{Portrait, assert_same, build, defects, draw, run},
    },
};
use serde_json::json;

use crate::{
    in_private,
    place::{Place, stack},
    site::Site,
};

const OPS: usize = 6;
/// Turns after which other lowers are drawn.
const TURNS: u64 = 10;

#[test]
fn an_upper_goes_from_hand_to_hand() {
    in_private!();
    hand_over(Form::KernelTrusted);
}

#[test]
fn an_upper_of_a_user_goes_from_hand_to_hand() {
    in_private!();
    hand_over(Form::KernelUser);
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn hand_over(form: Form) {
    let (seed, rounds) = (setting("OVL_SEED", 1), setting("OVL_ROUNDS", 20));
    let mut rng = Rng(seed);
    for first in (0..rounds).step_by(TURNS as usize) {
        let mut hands = Hands::new(&mut rng, form);
        for _ in first..rounds.min(first + TURNS) {
            hands.turn(&mut rng);
            hands.compare();
        }
    }
}

/// An upper with its lowers, a plain directory that looks the same, and what was done.
struct Hands {
    place: Place,
    lowers: Vec<PathBuf>,
    form: Form,
    /// Whether the kernel copies attributes up without content: once it has, only such a mount reads the upper (Y03).
    metacopy: bool,
    done: Vec<String>,
}

impl Hands {
    fn new(rng: &mut Rng, form: Form) -> Self {
        let place = Place::new();
        // Whoever mounts for a user heeds other marks in the lowers than the engine does by itself.
        let marks = form == Form::KernelTrusted;
        let drawings: Vec<String> = (0..1 + rng.below(3)).map(|_| history::layer(rng, marks)).collect();
        let lowers = drawings.iter().enumerate().map(|(i, drawing)| {
            let root = place.path(&format!("l{i}"));
            build(&root, drawing, "trusted");
            root
        });
        let lowers = lowers.collect();
        drop(host::upper(&place.path("u"), UpperOptions { form: Some(form), ..UpperOptions::default() }).unwrap());
        place.dir("m");
        let metacopy = marks && rng.below(2) == 0;
        let hands = Self { place, lowers, form, metacopy, done: vec![format!("{form} over {drawings:?}")] };
        hands.start_again();
        hands
    }

    fn told(&self) -> String {
        self.done.join("\n")
    }

    /// Makes the plain directory look as the upper does.
    fn start_again(&self) {
        let model = self.place.path("model");
        let _none_yet = fs::remove_dir_all(&model);
        let mounted = self.by_fuse();
        let copied = Command::new("cp").arg("-a").arg(self.place.path("m")).arg(&model).output().unwrap();
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        drop(mounted);
    }

    fn by_fuse(&self) -> crate::place::Mount {
        self.place.mount(stack(&self.place.path("u"), &self.lowers, true))
    }

    /// Returns the flags that name the stack.
    fn flags(&self) -> Vec<String> {
        let lowers = self.lowers.iter().flat_map(|lower| ["--lower".into(), lower.display().to_string()]);
        lowers.chain(["--upper".into(), self.place.path("u").display().to_string()]).collect()
    }

    /// Runs `ovl`, which must succeed.
    fn ovl(&self, words: &[&str], with_stack: bool) -> Vec<u8> {
        let output = self.try_ovl(words, with_stack);
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.told());
        output.stdout
    }

    /// Runs `ovl` away from the settings of this machine.
    fn try_ovl(&self, words: &[&str], with_stack: bool) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovl"));
        command.current_dir(self.place.path("")).env_clear().env("XDG_CONFIG_HOME", self.place.path("config"));
        command.args(words).args(if with_stack { self.flags() } else { Vec::new() }).output().unwrap()
    }

    /// Lets one of the hands change something.
    fn turn(&mut self, rng: &mut Rng) {
        match rng.below(4) {
            0 => self.kernel(rng),
            1 => self.fuse(rng),
            2 => self.http(rng),
            _ => self.command(rng),
        }
    }

    fn kernel(&mut self, rng: &mut Rng) {
        let xino = rng.pick(&["on", "off"]);
        self.mount(&["--xino", xino]);
        self.operations(rng, &format!("kernel, xino {xino}"), |hands, op| run(&hands.place.path("m"), op).is_none());
        self.ovl(&["unmount", "m"], false);
    }

    /// Lets the kernel mount the stack.
    fn mount(&self, more: &[&str]) {
        let metacopy: &[&str] = if self.metacopy { &["--metacopy"] } else { &[] };
        self.ovl(&[&["mount", "-q", "--driver", "kernel", "m"], metacopy, more].concat(), true);
    }

    fn fuse(&mut self, rng: &mut Rng) {
        let mounted = self.by_fuse();
        self.operations(rng, "fuse", |hands, op| run(&hands.place.path("m"), op).is_none());
        drop(mounted);
    }

    fn http(&mut self, rng: &mut Rng) {
        let flags = [self.flags(), vec!["--durability".into(), "none".into(), "--privileged-metadata".into()]].concat();
        let site = Site::open(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        self.operations(rng, "http", |hands, op| {
            let is_link = |path: &VPath| hands.place.path("model").join(&path.to_string()[1..]).is_symlink();
            match op {
                // A client's path may end in a symbolic link, which is followed; and an exchange is not offered.
                Op::Put(path, _) | Op::Append(path, _) | Op::Truncate(path, _) | Op::Chmod(path, _)
                    if is_link(path) =>
                {
                    false
                }
                Op::SetXattr(path, _) | Op::RemoveXattr(path) if is_link(path) => false,
                Op::Truncate(..) | Op::Rename(_, _, RenameHow::Exchange) => false,
                op => runtime.block_on(request(&site, op)),
            }
        });
        drop((site, runtime));
    }

    /// Brings a new file by an archive, or throws a change away.
    fn command(&mut self, rng: &mut Rng) {
        if rng.below(2) == 0 {
            let name = format!("imported-{}", self.done.len());
            let (bytes, at) = (name.clone().into_bytes(), VPath::parse(name.as_bytes()).unwrap());
            self.place.file(&format!("more-{name}/{name}"), &name);
            self.ovl(&["export", "-q", "-o", "more.tar", "--yes", "--lower", &format!("more-{name}")], false);
            self.ovl(&["import", "-q", "more.tar", "--yes", "--privileged-metadata"], true);
            self.done.push(format!("import {name}"));
            assert_eq!(run(&self.place.path("model"), &Op::Put(at, bytes)), None);
            return;
        }
        let changes = String::from_utf8(self.ovl(&["changes", "-0"], true)).unwrap();
        let changes: Vec<&str> = changes.split('\0').filter(|path| !path.is_empty()).collect();
        if !changes.is_empty() {
            let path = rng.pick(&changes);
            let discarded = self.try_ovl(&["discard", "--yes", path], true);
            self.done.push(format!("discard {path}: {}", discarded.status));
            // What was moved out of a tree has to be discarded first.
            assert!(matches!(discarded.status.code(), Some(0 | 4)), "{discarded:?}\n{}", self.told());
            self.start_again();
        }
    }

    /// Runs operations by one hand, and those that it has done in the plain directory.
    fn operations(&mut self, rng: &mut Rng, who: &str, by: impl Fn(&Self, &Op) -> bool) {
        for _ in 0..OPS {
            let op = history::op(rng);
            let is_done = by(self, &op);
            self.done.push(format!("{who}: {op:?} {is_done}"));
            if is_done {
                let model = run(&self.place.path("model"), &op);
                assert_eq!(model, None, "{}", self.told());
            }
        }
    }

    fn compare(&self) {
        let told = || self.told();
        let mounted = self.by_fuse();
        let fuse = draw(&self.place.path("m"), false);
        drop(mounted);
        self.mount(&[]);
        let kernel = draw(&self.place.path("m"), false);
        self.ovl(&["unmount", "m"], false);
        assert_same(&fuse, &kernel, &told);
        let untimed =
            |portrait: Portrait| portrait.into_iter().map(|(path, line)| (path, without_time(&line))).collect();
        assert_same(&untimed(fuse), &untimed(draw(&self.place.path("model"), false)), &told);
        self.compare_contents();
        self.verify();
    }

    /// Holds what the engine reads, as the other commands and the server do, against the plain directory.
    fn compare_contents(&self) {
        let upper = host::upper_to_read(&self.place.path("u"), &UpperOptions::default()).unwrap();
        let overlay = Overlay::to_read(upper, self.layers()).unwrap();
        let mut count = 0;
        for line in overlay.walk(&VPath::root(), WalkOptions::default()).unwrap() {
            let path = line.unwrap().0;
            let plain = self.place.path("model").join(&path.to_string()[1..]);
            let same = match overlay.entry(&path, Follow::No).unwrap().stat.kind {
                Kind::File => content(&overlay, &path).unwrap() == fs::read(&plain).unwrap(),
                Kind::Dir => plain.is_dir() && !plain.is_symlink(),
                _ => plain.is_symlink(),
            };
            assert!(same, "{path}\n{}", self.told());
            count += 1;
        }
        assert_eq!(count, count_beneath(&self.place.path("model")), "{}", self.told());
    }

    /// Returns how the lowers are read.
    fn read(&self) -> LowerOptions {
        let namespace = if self.form == Form::KernelUser { Namespace::User } else { Namespace::Trusted };
        LowerOptions { namespace: Some(namespace), ..LowerOptions::default() }
    }

    fn layers(&self) -> Vec<Arc<dyn Layer>> {
        self.lowers.iter().map(|lower| host::lower(lower, self.read()).unwrap() as Arc<dyn Layer>).collect()
    }

    fn verify(&self) {
        let found = defects(&self.place.path("u"), &self.lowers, self.read(), None);
        assert!(found.is_empty(), "{found:#?}\n{}", self.told());
    }
}

/// Sends what an operation is over HTTP. Returns whether it was done.
async fn request(site: &Site, op: &Op) -> bool {
    let file = |path: &VPath| format!("/v1/files{path}");
    let entry = |path: &VPath| format!("/v1/entries{path}");
    let transfer = |from: &VPath, to: &VPath, overwrite: bool| json!({"from": from.to_string(), "to": to.to_string(), "overwrite": overwrite});
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let answer = match op {
        Op::Put(path, bytes) => site.put(&file(path), bytes.clone()).await,
        Op::Append(path, bytes) => site.send("PATCH", &format!("{}?append=true", file(path)), &[], bytes.clone()).await,
        Op::Mkdir(path) => site.json("PUT", &entry(path), json!({"kind": "dir"})).await,
        Op::Symlink(path, target) => {
            site.json("PUT", &entry(path), json!({"kind": "symlink", "target": text(target)})).await
        }
        Op::Link(from, to) => {
            site.json("PUT", &entry(to), json!({"kind": "hardlink", "target": from.to_string()})).await
        }
        Op::Unlink(path) => site.send("DELETE", &file(path), &[], "").await,
        Op::Rmdir(path) => site.send("DELETE", &format!("{}/", entry(path)), &[], "").await,
        Op::Rename(from, to, how) => {
            site.json("POST", "/v1/moves", transfer(from, to, *how == RenameHow::Replace)).await
        }
        Op::Chmod(path, mode) => site.json("PATCH", &entry(path), json!({"mode": format!("{mode:o}")})).await,
        Op::SetXattr(path, value) => site.json("PATCH", &entry(path), json!({"xattrs": {"user.h": text(value)}})).await,
        Op::RemoveXattr(path) => {
            site.json("PATCH", &entry(path), json!({"xattrs": {"user.h": serde_json::Value::Null}})).await
        }
        Op::Truncate(..) => return false,
    };
    assert_ne!(answer.status, StatusCode::INTERNAL_SERVER_ERROR, "{op:?}: {answer:?}");
    answer.status.is_success()
}

/// Takes the time out of a line: a refused rename may stamp a directory of the kernel's, and none of a plain one.
fn without_time(line: &str) -> String {
    let mut words: Vec<&str> = line.splitn(5, ' ').collect();
    words.remove(3);
    words.join(" ")
}

fn count_beneath(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| 1 + if path.is_dir() && !path.is_symlink() { count_beneath(&path) } else { 0 }).sum()
}
