//! `ovl run`: a command in the merged tree, by root and without.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::place::{Place, failed};

/// A user who has nothing but what the tests give.
const NOBODY: u32 = 65534;

/// Returns a place where a user without rights works, or `None` where such a user may not mount.
fn of_a_user() -> Option<Place> {
    let place = Place::private()?;
    // The program itself may lie where that user cannot go.
    fs::copy(env!("CARGO_BIN_EXE_ovl"), place.path("ovl")).unwrap();
    give(&place.path(""));
    let said = String::from_utf8(by_user(&place, "true", &[]).stderr).unwrap();
    if said.contains("no mount namespace") || said.contains("no overlay") {
        eprintln!("skipped: {said}");
        return None;
    }
    Some(place)
}

fn give(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path()));
    }
}

/// Runs a script in the tree over `low`, as a user without rights.
fn by_user(place: &Place, script: &str, flags: &[&str]) -> Output {
    of_user(place, script, flags).output().unwrap()
}

fn of_user(place: &Place, script: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(place.path("ovl"));
    command.current_dir(place.path("")).env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", place.path(""));
    command.env("XDG_CACHE_HOME", place.path("cache"));
    command.args(["run", "--lower", "low"]).args(flags).args(["--", "sh", "-c", script]);
    command.uid(NOBODY).gid(NOBODY);
    command
}

fn by_root(place: &Place, script: &str, flags: &[&str]) -> Output {
    of_root(place, script, flags).output().unwrap()
}

fn of_root(place: &Place, script: &str, flags: &[&str]) -> Command {
    let words = [&["run", "--lower", "low"], flags, &["--", "sh", "-c", script]].concat();
    let mut command = place.ovl(words);
    command.env("PATH", "/usr/bin:/bin").env("TMPDIR", place.path(""));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Returns the directories of runs that are still there.
fn leftovers(place: &Place) -> usize {
    let names = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.as_encoded_bytes().starts_with(b"ovl-run-")).count()
}

const SCRIPT: &str = "cat a && echo x >new && rm -r d && mkdir d && mkdir -m 0 closed && exit 7";

fn a_command_changes_nothing_but_what_is_told(place: &Place, run: fn(&Place, &str, &[&str]) -> Output) {
    let output = run(place, SCRIPT, &[]);
    let said = said(&output);
    assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"one"[..]), "{said}");
    for change in ["opaque       /d", "added        /closed", "added        /new"] {
        assert!(said.contains(change), "{said}");
    }
    assert!(place.path("low/d/b").exists() && !place.path("low/new").exists());
    assert_eq!((leftovers(place), place.mounted()), (0, None));
}

#[test]
fn a_command_runs_in_a_tree_of_its_own_without_root() {
    let Some(place) = of_a_user() else { return };
    a_command_changes_nothing_but_what_is_told(&place, by_user);
}

#[test]
fn a_command_runs_in_a_tree_of_its_own_by_root() {
    let Some(place) = Place::private() else { return };
    a_command_changes_nothing_but_what_is_told(&place, by_root);
}

#[test]
fn the_command_has_the_user_rights_and_descriptors_that_it_has_without_ovl() {
    let Some(place) = of_a_user() else { return };
    let script = "id -u; grep Cap[PE] /proc/self/status; ls /proc/self/fd";
    let mut alone = Command::new("sh");
    let alone = alone.args(["-c", script]).uid(NOBODY).gid(NOBODY).output().unwrap();
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let alone = text(alone);
    assert!(alone.starts_with("65534\n") && alone.contains("CapEff:\t0000000000000000"), "{alone}");
    assert_eq!(text(by_user(&place, script, &[])), alone);
}

#[test]
fn changes_in_an_upper_are_kept_and_read_by_ovl() {
    let Some(place) = of_a_user() else { return };
    assert!(by_user(&place, "echo x >new; rm -r d; mkdir d", &["--keep", "--upper", "u"]).status.success());
    assert!(by_user(&place, "cat new; ls d; echo y >>new", &["--upper", "u"]).stdout == b"x\n");
    assert_eq!(place.ok("cat new --lower low --upper u"), "x\ny\n");
    assert_eq!(place.ok("changes --lower low --upper u"), "opaque       /d\nadded        /new\n");
    // Nothing is left that the user could not remove.
    assert!(!place.path("u.ovl-work/kernel/work").exists());
}

#[test]
fn changes_are_thrown_away_when_they_are_of_this_run_alone() {
    let Some(place) = Place::private() else { return };
    assert!(by_root(&place, "touch new; rm a", &["--discard", "--upper", "u"]).status.success());
    assert_eq!(place.ok("changes --lower low --upper u"), "");
    assert!(by_root(&place, "touch new", &["--keep", "--upper", "u"]).status.success());
    let (code, why) = failed(by_root(&place, "touch newer", &["--discard", "--upper", "u"]));
    assert!(code == 4 && why.contains("earlier changes"), "{why}");
    assert_eq!(place.ok("changes --lower low --upper u"), "added        /new\n");
}

#[test]
fn changes_are_exported_and_come_back() {
    let Some(place) = of_a_user() else { return };
    let output = by_user(&place, "echo x >new; rm a", &["--export", "changes.zip"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(leftovers(&place), 0);
    place.ok("import changes.zip --lower low --upper u");
    assert_eq!(place.ok("changes --lower low --upper u"), "deleted      /a\nadded        /new\n");
    let (code, why) = failed(by_user(&place, "touch ran", &["--export", "changes.zip"]));
    assert!(code == 4 && why.contains("is there already") && !why.contains("/ran"), "{why}");
}

#[test]
fn an_archive_that_could_not_be_written_is_refused_before_the_command_runs() {
    let Some(place) = of_a_user() else { return };
    place.dir("closed");
    chown(place.path("closed"), Some(0), Some(0)).unwrap();
    place.file("there", "mine");
    for (file, code, reason) in [
        ("none/x.zip", 3, "cannot write none/x.zip"),
        ("there", 4, "is there already"),
        ("there/x.zip", 2, "no place for a file"),
        ("closed/x.zip", 5, "cannot write closed/x.zip"),
        ("low/d/x.zip", 2, "lies in the layer low"),
        ("u/x.zip", 2, "lies in the layer u"),
    ] {
        place.dir("u");
        let output = by_user(&place, "echo it ran", &["--upper", "u", "--export", file]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{file}");
        let (given, why) = failed(output);
        assert!(given == code && why.contains(reason), "{file}: {given} {why}");
    }
    assert_eq!(place.read("there"), "mine");
}

#[test]
fn changes_whose_archive_cannot_be_written_after_all_are_kept_and_told() {
    let Some(place) = Place::private() else { return };
    place.dir("out");
    let script = format!("echo x >new; rmdir {}", place.path("out").display());
    let (code, why) = failed(by_root(&place, &script, &["--export", "out/x.zip"]));
    let kept = why.lines().find_map(|line| line.split_once("the changes lie in ")).map(|(_, path)| path.to_owned());
    assert!(code == 3 && why.contains("cannot write out/x.zip"), "{code} {why}");
    let kept = Path::new(kept.as_ref().unwrap()).join("new");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "x\n");
    // The next run does not take it for what a killed one has left.
    assert!(by_root(&place, "true", &[]).status.success() && kept.exists());
}

fn a_killed_run(place: &Place, of: fn(&Place, &str, &[&str]) -> Command) {
    let mut command = of(place, "mkdir -m 0 closed; echo begun; exec sleep 1000", &[]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(running.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!((&*line, leftovers(place)), ("begun\n", 1));
    // One that runs is nobody's to clear.
    assert!(of(place, "true", &[]).status().unwrap().success());
    assert_eq!(leftovers(place), 1);
    running.kill().unwrap();
    running.wait().unwrap();
    // The command had the output, too: it ends with the last who has it.
    let mut waits = [PollFd::new(output.get_ref(), PollFlags::IN)];
    poll(&mut waits, Some(&Timespec { tv_sec: 60, tv_nsec: 0 })).unwrap();
    assert!(waits[0].revents().contains(PollFlags::HUP), "the command runs on");
    let told = said(&of(place, "true", &[]).output().unwrap());
    assert!(told.contains("which a killed run has left") && leftovers(place) == 0, "{told}");
}

#[test]
fn a_killed_run_takes_its_command_along_and_the_next_clears_what_it_left() {
    let Some(place) = of_a_user() else { return };
    a_killed_run(&place, of_user);
}

#[test]
fn a_killed_run_of_root_takes_its_command_along_and_the_next_clears_what_it_left() {
    let Some(place) = Place::private() else { return };
    a_killed_run(&place, of_root);
}

#[test]
fn the_exit_code_is_that_of_the_command() {
    let Some(place) = Place::private() else { return };
    for (script, code) in [("exit 0", 0), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
        assert_eq!(by_root(&place, script, &[]).status.code(), Some(code), "{script}");
    }
    let none = place.ovl(["run", "--lower", "low", "--", "./none"]).output().unwrap();
    assert_eq!(failed(none).0, 3);
    assert_eq!(place.fails("run --keep --lower low -- true").0, 2);
    assert_eq!(place.fails("run --lower none -- true").0, 3);
}

#[test]
fn what_the_command_leaves_running_is_waited_for() {
    let Some(place) = Place::private() else { return };
    // The one left running waits for the file that the script makes at its end, and then changes something.
    let output = by_root(&place, "(until test -e done; do :; done; touch late) & touch done", &[]);
    assert!(output.status.success());
    assert!(said(&output).contains("added        /late"), "{}", said(&output));
}

#[test]
fn the_upper_is_in_use_while_the_command_runs() {
    let Some(place) = Place::private() else { return };
    let inner = format!(
        "{} discard --yes --all --lower {low} --upper {u}; echo $?",
        env!("CARGO_BIN_EXE_ovl"),
        low = place.path("low").display(),
        u = place.path("u").display()
    );
    let output = by_root(&place, &format!("touch new; {inner}"), &["--upper", "u"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "8\n", "{}", said(&output));
}

#[test]
fn a_user_who_may_not_mount_is_told_how_to() {
    let Some(place) = of_a_user() else { return };
    let mut command = Command::new(place.path("ovl"));
    command
        .current_dir(place.path(""))
        .env_clear()
        .args(["mount", "--driver", "kernel", "--lower", "low", "--upper", "u", "m"]);
    let (code, why) = failed(command.uid(NOBODY).gid(NOBODY).output().unwrap());
    assert!(code == 5 && why.contains("ovl run"), "{code} {why}");
    assert!(!place.path("u").exists());
}

#[test]
fn a_command_runs_over_a_zip_without_root() {
    let Some(place) = of_a_user() else { return };
    place.ok("export -o top.zip --lower low");
    let output =
        by_user(&place, "cat a && echo x >>d/b && rm a && exit 3", &["--lower", "top.zip", "--keep", "--upper", "u"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"one"[..]), "{}", said(&output));
    assert!(said(&output).contains("top.zip unpacked for the kernel"), "{}", said(&output));
    assert_eq!(place.ok("cat d/b --lower top.zip --upper u"), "twox\n");
    // It is that user's cache, and root does not use it.
    let (code, why) = place.fails("cache list");
    assert!(code == 5 && why.contains("belongs to user 65534"), "{why}");
}

#[test]
fn a_tree_is_kept_while_a_command_uses_it() {
    let Some(place) = Place::private() else { return };
    place.ok("export -o top.zip --lower low");
    let mut command = place.ovl(["run", "--lower", "top.zip", "--", "cat", "-", "d/b"]);
    command.env("PATH", "/usr/bin:/bin").env("TMPDIR", place.path(""));
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = pipes.spawn().unwrap();
    let told = BufReader::new(running.stderr.as_mut().unwrap()).lines();
    assert!(told.map_while(Result::ok).any(|line| line.contains("mounted at")));
    assert_eq!(place.ok("cache clear"), "");
    drop(running.stdin.take());
    assert_eq!(running.wait_with_output().unwrap().stdout, b"two");
    assert!(place.ok("cache clear").contains("top.zip"));
}
