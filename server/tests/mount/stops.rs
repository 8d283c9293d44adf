//! A command that is killed while it unpacks or removes a zip's tree leaves the tree whole or not at all.

use std::{fs, process::Command};

use crate::place::Place;

/// Every call by which the cache changes.
const CALLS: &[&str] = &[
    "mkdirat,mkdir",
    "symlinkat",
    "pwrite64",
    "write",
    "fchmod,chmod",
    "utimensat",
    "renameat,renameat2",
    "unlinkat",
    "fsync,syncfs",
];

/// Runs `ovl`, killed at the `nth` of some calls. Returns whether it came that far.
fn killed(place: &Place, line: &str, calls: &str, nth: usize) -> bool {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:signal=SIGKILL:when={nth}"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]).arg(env!("CARGO_BIN_EXE_ovl"));
    strace.args(line.split(' ')).current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
    !strace.output().unwrap().status.success()
}

/// Returns how many trees there are, and how many that are not whole.
fn trees(place: &Place) -> (usize, usize) {
    let keys: Vec<_> = fs::read_dir(place.path("cache/ovl/zip-1")).unwrap().map(|key| key.unwrap().path()).collect();
    let unfinished = keys.iter().filter(|key| !key.join("tree").exists() || key.join("part").exists()).count();
    (keys.len(), unfinished)
}

#[test]
fn a_tree_is_whole_or_not_there_wherever_its_making_or_removal_is_stopped() {
    let Some(place) = Place::private() else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: needs strace");
        return;
    }
    place.dir("none");
    std::os::unix::fs::symlink("a", place.path("low/link")).unwrap();
    place.ok("export -o low.zip --lower low");
    let digest = place.ok("digest --lower low.zip");
    let mount = "mount --driver kernel --lower low.zip --lower none m";
    let mut stops = 0;
    for line in [mount, "cache clear"] {
        for calls in CALLS {
            for nth in 1.. {
                if line != mount {
                    place.ok(mount);
                    place.ok("unmount m");
                }
                let stopped = killed(&place, line, calls, nth);
                if place.mounted().is_some() {
                    place.ok("unmount m");
                }
                // What is whole now serves; what is not is made anew.
                place.ok(mount);
                assert_eq!(place.ok("digest --lower m"), digest, "{line}, {calls} {nth}");
                assert_eq!(trees(&place), (1, 0), "{line}, {calls} {nth}: leftovers go at the next start");
                place.ok("unmount m");
                place.ok("cache clear");
                assert_eq!(trees(&place), (0, 0), "{line}, {calls} {nth}");
                if !stopped {
                    break;
                }
                stops += 1;
            }
        }
    }
    assert!(stops > 30, "it was stopped {stops} times");
}
