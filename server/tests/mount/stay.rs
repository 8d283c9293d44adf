//! The process that answers for a mount by FUSE, and its end.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::fd::AsRawFd,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};

use crate::{fuse::place, place::Place};

/// Returns the process of a mount at `m` that stays in the foreground, once the mount can be used.
fn stays(place: &Place) -> (Child, BufReader<ChildStderr>) {
    stays_at(place, "m")
}

fn stays_at(place: &Place, point: &str) -> (Child, BufReader<ChildStderr>) {
    let words = ["mount", "--foreground", "--lower", "low.zip", "--upper", "u", point];
    let mut process = place.ovl(words).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("changes go to u") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it has ended");
    }
    (process, said)
}

fn send(process: &Child, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

#[test]
fn a_signal_unmounts() {
    let Some(place) = place() else { return };
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (mut process, _said) = stays(&place);
        place.file("m/a", "changed");
        send(&process, signal);
        assert_eq!(process.wait().unwrap().code(), Some(0), "{signal:?}");
        assert_eq!(place.mounted(), None);
        place.ok("discard --yes a --lower low.zip --upper u");
    }
}

#[test]
fn a_signal_unmounts_what_has_been_moved() {
    let Some(place) = place() else { return };
    place.dir("before/m");
    let (mut process, _said) = stays_at(&place, "before/m");
    fs::rename(place.path("before"), place.path("after")).unwrap();
    // What lies at the place now is nothing of ours.
    place.file("before/m/theirs", "theirs");
    assert_eq!(place.read("after/m/a"), "one");
    send(&process, Signal::TERM);
    let ended = wait_a_while(&mut process);
    assert_eq!((ended, fs::read_dir(place.path("after/m")).unwrap().count()), (Some(0), 0));
    assert_eq!(place.read("before/m/theirs"), "theirs");
}

/// Waits for the end of a process that may have heard nothing; then it is killed.
fn wait_a_while(process: &mut Child) -> Option<i32> {
    for _ in 0..500 {
        if let Some(status) = process.try_wait().unwrap() {
            return status.code();
        }
        thread::sleep(Duration::from_millis(20));
    }
    process.kill().unwrap();
    process.wait().unwrap().code()
}

#[test]
fn a_mount_in_use_goes_with_the_last_who_uses_it() {
    let Some(place) = place() else { return };
    let (mut process, mut said) = stays(&place);
    let mut open = File::open(place.path("m/a")).unwrap();
    send(&process, Signal::TERM);
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("still used"), "{line}");
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!((&*text, process.try_wait().unwrap()), ("one", None));
    assert_eq!(place.fails("discard --yes a --lower low.zip --upper u").0, 8);
    drop(open);
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert_eq!(place.mounted(), None);
}

#[test]
fn an_unmount_by_others_ends_the_process() {
    let Some(place) = place() else { return };
    let (mut process, _said) = stays(&place);
    place.file("m/a", "changed");
    unmount(place.path("m"), UnmountFlags::empty()).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert_eq!(place.ok("cat a --lower low.zip --upper u"), "changed");
    place.ok("discard --yes a --lower low.zip --upper u");
}

#[test]
fn what_others_have_mounted_in_its_place_stays() {
    let Some(place) = place() else { return };
    let (mut process, _said) = stays(&place);
    let open = File::open(place.path("m/a")).unwrap();
    unmount(place.path("m"), UnmountFlags::DETACH).unwrap();
    mount("tmpfs", place.path("m"), "tmpfs", MountFlags::empty(), None).unwrap();
    place.file("m/theirs", "theirs");
    send(&process, Signal::TERM);
    drop(open);
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert_eq!(place.read("m/theirs"), "theirs");
}

#[test]
fn a_mount_in_use_is_not_unmounted() {
    let Some(place) = place() else { return };
    place.ok("mount --lower low.zip --upper u m");
    let open = File::open(place.path("m/a")).unwrap();
    let (code, why) = place.fails("unmount m");
    assert!(code == 4 && why.contains("still used"), "{code} {why}");
    assert_eq!(place.read("m/a"), "one");
    place.ok("unmount --lazy m");
    assert_eq!((place.mounted(), std::io::read_to_string(&open).unwrap()), (None, "one".into()));
    drop(open);
    place.ok("mount --lower low.zip --upper u m");
    // Whoever returns from this may use the upper at once.
    for _ in 0..20 {
        place.ok("unmount m");
        place.ok("mount -q --lower low.zip --upper u m");
    }
}

#[test]
fn a_mount_tells_its_process_and_layers() {
    let Some(place) = place() else { return };
    let (mut process, _said) = stays(&place);
    let at = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let json = place.json("mounts --json m");
    let mount = &json["mounts"][0];
    assert_eq!((&mount["driver"], &mount["state"]), (&"fuse".into(), &"mounted".into()));
    assert_eq!((&mount["pid"], &mount["upper"]), (&process.id().into(), &at("u").into()));
    assert_eq!((&mount["lowers"][0], &mount["form"]), (&at("low.zip").into(), &"kernel-trusted".into()));
    let text = place.ok("mounts m");
    let (m, pid, u, low) = (at("m"), process.id(), at("u"), at("low.zip"));
    assert_eq!(text, format!("{m}\n  FUSE   process {pid}\n  upper  {u} (ovl's, kernel-trusted)\n  lower  {low}\n"));
    place.ok("unmount m");
    process.wait().unwrap();
    assert_eq!(place.json("mounts --json m")["mounts"].as_array().unwrap().len(), 0);
}

#[test]
fn a_mount_whose_process_was_killed_is_told_and_taken_away() {
    let Some(place) = place() else { return };
    let (mut process, _said) = stays(&place);
    place.file("m/new", "kept");
    send(&process, Signal::KILL);
    process.wait().unwrap();
    assert!(fs::metadata(place.path("m")).is_err());
    let json = place.json("mounts --json m");
    assert_eq!((&json["mounts"][0]["state"], &json["mounts"][0]["driver"]), (&"stale".into(), &"fuse".into()));
    assert!(place.ok("mounts m").contains("`ovl unmount` takes it away"));
    for driver in ["fuse", "kernel"] {
        let (code, why) = place.fails(&format!("mount --driver {driver} --lower low --upper u m"));
        assert!(code == 4 && why.contains("ovl unmount m"), "{code} {why}");
    }
    place.ok("unmount m");
    place.ok("mount --lower low.zip --upper u m");
    assert_eq!(place.read("m/new"), "kept");
}

#[test]
fn a_pipe_of_the_caller_ends_when_the_command_returns() {
    let Some(place) = place() else { return };
    let script = "exec 5>&1 7>lock; flock -n 7 && exec \"$0\" mount --lower low.zip --upper u m >/dev/null 2>&1";
    let mut command = Command::new("sh");
    command.current_dir(place.path("")).args(["-c", script, env!("CARGO_BIN_EXE_ovl")]).stdout(Stdio::piped());
    let mut caller = command.spawn().unwrap();
    let pipe = caller.stdout.take().unwrap();
    assert!(caller.wait().unwrap().success());
    assert_eq!(place.read("m/a"), "one");
    let mut waits = [PollFd::new(&pipe, PollFlags::IN)];
    poll(&mut waits, Some(&Timespec::default())).unwrap();
    assert!(waits[0].revents().contains(PollFlags::HUP), "somebody still has the pipe");
    assert!(File::open(place.path("lock")).unwrap().try_lock().is_ok(), "somebody still has the lock");
}

#[test]
fn a_directory_keeps_its_name_for_who_is_in_it_while_files_beside_it_come_and_go() {
    let Some(place) = place() else { return };
    place.ok("mount --driver fuse --lower low --upper u m");
    let come_and_go = |path: &Path| File::create(path).and_then(|_| fs::remove_file(path)).unwrap();
    let done = AtomicBool::new(false);
    let lost = thread::scope(|scope| {
        for name in ["m/f", "m/g", "m/h"] {
            let (place, done) = (&place, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    come_and_go(&place.path(name));
                }
            });
        }
        let held: Vec<File> = (0..500)
            .map(|number| {
                let path = place.path(format!("m/d/{number}"));
                fs::create_dir(&path).unwrap();
                File::open(&path).unwrap()
            })
            .collect();
        done.store(true, Ordering::Relaxed);
        let called = |dir: &File| fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).unwrap();
        held.iter().filter(|dir| called(dir).to_string_lossy().ends_with("(deleted)")).count()
    });
    place.ok("unmount m");
    assert_eq!(lost, 0, "so many of 500 directories had no name any more");
}
