//! A process that is killed at any system call that changes something leaves the tree as before or as after.
//!
//! The calls are stopped from outside, by `strace`, so that nothing of the layer knows of it.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use ovl_core::{
    Change, ErrorKind, Overlay, Time,
    layers::host::{self, Durability, Form, UpperOptions},
    overlay::{Follow, PutOptions, Removal, RenameHow},
};

use crate::place::{Place, ctx, form, is_root, path, put, read, shown, stack};

/// Every call by which an upper changes.
const CALLS: &[&str] = &[
    "renameat,renameat2,rename",
    "linkat",
    "unlinkat",
    "mkdirat,mkdir",
    "mknodat",
    "symlinkat",
    "setxattr",
    "removexattr",
    "chmod,fchmodat",
    "fchownat",
    "utimensat",
    "pwrite64",
    "ftruncate",
    "fsync",
];
/// Tells the child process what to do, and where.
const TASK: &str = "OVL_TEST_STOP";

const DEEDS: &[&str] = &[
    "put",
    "replace",
    "remove",
    "remove-tree",
    "mkdir",
    "rename",
    "rename-over",
    "rename-lower",
    "rename-merged",
    "set",
    "link",
];

fn prepare(wanted: Form) -> Place {
    let place = Place::new();
    for name in ["l/f", "l/d/a", "l/d/b", "l/m/x", "l/gone/old"] {
        let file = fs::File::options().write(true).open(place.file(name, name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000)).unwrap();
    }
    let overlay = place.overlay(UpperOptions { durability: Durability::None, ..form(wanted) });
    put(&overlay, "own", "own");
    put(&overlay, "m/u", "u");
    overlay.mkdir(&ctx(), &path("pure"), None).unwrap();
    put(&overlay, "pure/p", "p");
    overlay.remove(&ctx(), &path("gone"), Removal::Tree).unwrap();
    let odd = Change { mode: Some(0o4600), uid: Some(77), ..Change::default() };
    overlay.set(&ctx(), &path("own"), Follow::No, &odd).unwrap();
    place
}

fn perform(overlay: &Overlay, deed: &str) {
    let rename = |from, to| overlay.rename(&ctx(), &path(from), &path(to), RenameHow::Replace).map(drop);
    match deed {
        "nothing" => {}
        "put" => drop(put(overlay, "f", "new content")),
        "replace" => drop(put(overlay, "own", "new content")),
        "remove" => drop(overlay.remove(&ctx(), &path("d/a"), Removal::File).unwrap()),
        "remove-tree" => drop(overlay.remove(&ctx(), &path("m"), Removal::Tree).unwrap()),
        "mkdir" => drop(overlay.mkdir(&ctx(), &path("gone"), Some(0o711)).unwrap()),
        "rename" => rename("pure", "pure2").unwrap(),
        "rename-over" => rename("pure/p", "own").unwrap(),
        "rename-lower" => rename("f", "d/g").unwrap(),
        "rename-merged" if overlay.redirects() => rename("m", "d/n").unwrap(),
        "rename-merged" => {}
        "set" => {
            let mtime = Some(Time { secs: 5, nanos: 6 });
            let change = Change { mode: Some(0o640), uid: Some(78), mtime, ..Change::default() };
            overlay.set(&ctx(), &path("own"), Follow::No, &change).map(drop).unwrap();
        }
        "link" => drop(overlay.link(&ctx(), &path("own"), &path("own2")).unwrap()),
        "break" => {
            let upload = overlay.upload(&ctx()).unwrap();
            let first = overlay.put(&ctx(), &path("f"), &upload, &PutOptions::default()).unwrap_err();
            assert_eq!(first.kind(), ErrorKind::Io);
            let next = overlay.upload(&ctx()).err().unwrap();
            assert_eq!(next.kind(), ErrorKind::ReadOnly, "{next}");
            assert_eq!(read(overlay, "own"), "own");
        }
        other => panic!("{other}"),
    }
}

/// Draws the tree; directories change their times as entries come and go.
fn drawn(overlay: &Arc<Overlay>) -> BTreeMap<String, String> {
    let timeless = |line: String| match line.starts_with("Dir") {
        true => line.rsplitn(3, ' ').nth(2).unwrap_or_default().to_owned(),
        false => line,
    };
    shown(overlay).into_iter().map(|(path, line)| (path, timeless(line))).collect()
}

fn open(root: &Path, durability: Durability) -> Arc<Overlay> {
    let options = UpperOptions { durability, ..UpperOptions::default() };
    stack(host::upper(&root.join("u"), options).unwrap(), &[root.join("l")])
}

fn look(place: &Place) -> BTreeMap<String, String> {
    drawn(&open(&place.path(""), Durability::None))
}

#[test]
#[ignore = "the process that the other tests of this file start and kill"]
fn child() {
    let task = std::env::var(TASK).unwrap();
    let (deed, root) = task.split_once(' ').unwrap();
    perform(&open(Path::new(root), Durability::Full), deed);
}

/// Runs a deed in a process some of whose calls are tampered with.
fn under_strace(place: &Place, deed: &str, calls: &str, how: &str) -> Output {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{how}"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]).arg(std::env::current_exe().unwrap());
    strace.args(["--exact", "stops::child", "--ignored", "--test-threads=1"]);
    let root = place.path("");
    strace.env(TASK, format!("{deed} {}", root.display())).output().unwrap()
}

/// Runs a deed in a process that is killed at the `nth` of some calls. Returns whether it came that far.
fn killed(place: &Place, deed: &str, calls: &str, nth: usize) -> bool {
    let out = under_strace(place, deed, calls, &format!("signal=SIGKILL:when={nth}"));
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(!text.contains("FAILED"), "{deed}: {text}");
    !out.status.success()
}

fn stop_everywhere(wanted: Form) {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: needs strace");
        return;
    }
    // Opening makes the same calls each time: they are stopped once.
    let opening: Vec<usize> = CALLS.iter().map(|calls| stop_at_each(&Case::new(wanted, "nothing"), calls, 0)).collect();
    for deed in DEEDS {
        let case = Case::new(wanted, deed);
        let stops: usize = CALLS.iter().zip(&opening).map(|(calls, from)| stop_at_each(&case, calls, *from)).sum();
        assert!(stops > 0 || case.before == case.after, "{deed} was never stopped");
    }
}

/// A deed, and the trees before and after it.
struct Case {
    wanted: Form,
    deed: &'static str,
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
}

impl Case {
    fn new(wanted: Form, deed: &'static str) -> Self {
        let place = prepare(wanted);
        let before = look(&place);
        perform(&open(&place.path(""), Durability::None), deed);
        Self { wanted, deed, before, after: look(&place) }
    }
}

/// Stops a deed at each call behind the first `from`. Returns how many there are.
fn stop_at_each(case: &Case, calls: &str, from: usize) -> usize {
    let Case { wanted, deed, before, after } = case;
    let (wanted, deed) = (*wanted, *deed);
    for nth in from + 1.. {
        let place = prepare(wanted);
        let stopped = killed(&place, deed, calls, nth);
        let found = look(&place);
        let whole = found == *after || (stopped && found == *before);
        assert!(whole, "{wanted} {deed}, {calls} {nth}:\n{found:#?}\nis neither\n{before:#?}\nnor\n{after:#?}");
        let left = fs::read_dir(place.path("u.ovl-work/stage")).unwrap().count();
        assert_eq!(left, 0, "leftovers go at the next start");
        if !stopped {
            return nth - 1 - from;
        }
    }
    unreachable!("the deed ends")
}

#[test]
fn after_a_failed_sync_nothing_more_is_promised() {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: needs strace");
        return;
    }
    for wanted in [Form::KernelUser, Form::Portable] {
        let place = prepare(wanted);
        let before = look(&place);
        let out = under_strace(&place, "break", "fsync", "error=EIO:when=1");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        assert_eq!(look(&place), before);
    }
}

#[test]
fn a_trusted_upper_is_whole_wherever_it_is_stopped() {
    if is_root() {
        stop_everywhere(Form::KernelTrusted);
    }
}

#[test]
fn a_user_upper_is_whole_wherever_it_is_stopped() {
    stop_everywhere(Form::KernelUser);
}

#[test]
fn a_portable_upper_is_whole_wherever_it_is_stopped() {
    stop_everywhere(Form::Portable);
}
