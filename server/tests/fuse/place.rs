//! A folder and a mount namespace for each test.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use ovl_core::{
    Layer, Overlay, WritableLayer,
    layers::host::{self, Durability, LowerOptions, UpperOptions},
    overlay::Policy,
};
use ovl_server::mount::fuse::{Mounted, Options, mount};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

/// Set in a process that has a mount namespace of its own.
const PRIVATE: &str = "OVL_PRIVATE_MOUNTS";

/// Returns whether the test is to go on in this process: it has a mount namespace of its own. Otherwise runs the test
/// anew in such a process, or tells why that cannot be.
pub(crate) fn private(test: &str) -> bool {
    if std::env::var_os(PRIVATE).is_some() {
        return true;
    }
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root || !Path::new("/dev/fuse").exists() {
        println!("skipped: needs {}", if root { "/dev/fuse" } else { "root" });
        return false;
    }
    let this = std::env::current_exe().unwrap();
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(this).args(["--exact", test, "--nocapture"]);
    let Ok(done) = again.env(PRIVATE, "1").output() else {
        println!("skipped: needs the program unshare");
        return false;
    };
    let told = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    println!("{told}");
    assert!(done.status.success() && told.contains("1 passed"), "{test} failed in its own namespace");
    false
}

/// Goes on in a mount namespace of its own, or ends the test.
#[macro_export]
macro_rules! in_private {
    () => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here).trim_end_matches("::here");
        let (_, test) = name.split_once("::").unwrap();
        if !$crate::place::private(test) {
            return;
        }
    }};
}

pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(name)).unwrap();
        self.path(name)
    }

    /// Makes a file with its parents.
    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Stacks the folder `u` over the folder `l`.
    pub(crate) fn overlay(&self) -> Arc<Overlay> {
        stack(&self.path("u"), &[self.dir("l")], true)
    }

    /// Mounts that stack.
    pub(crate) fn mounted(&self) -> Mount {
        self.mount(self.overlay())
    }

    pub(crate) fn mount(&self, overlay: Arc<Overlay>) -> Mount {
        self.mount_at("m", overlay)
    }

    pub(crate) fn mount_at(&self, name: &str, overlay: Arc<Overlay>) -> Mount {
        let at = self.dir(name);
        let room = Some(self.path("")).filter(|_| overlay.has_upper());
        let options = Options { others: true, dev: true, suid: true, room, ..Options::default() };
        let mounted = mount(overlay.clone(), &at, &options).unwrap();
        Mount { overlay, mounted, at }
    }
}

pub(crate) fn stack(upper: &Path, lowers: &[PathBuf], redirect_dir: bool) -> Arc<Overlay> {
    let options = UpperOptions { durability: Durability::None, ..UpperOptions::default() };
    let upper: Arc<dyn WritableLayer> = host::upper(upper, options).unwrap();
    let lower = |path: &PathBuf| host::lower(path, LowerOptions::default()).unwrap() as Arc<dyn Layer>;
    Overlay::new(Some(upper), lowers.iter().map(lower).collect(), Policy { redirect_dir }, None).unwrap()
}

/// A mounted overlay.
pub(crate) struct Mount {
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) mounted: Mounted,
    at: PathBuf,
}

impl Mount {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.at.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn names(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Does something with mounts; when it has not ended after a minute, it hangs: then the kernel is to forget the mounts, and
/// it fails.
pub(crate) fn watched<T>(mounts: &[&Mount], work: impl FnOnce() -> T) -> T {
    let (done, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("it hangs");
                mounts.iter().for_each(|mount| unmount(&mount.at, UnmountFlags::FORCE).unwrap());
            }
        });
        let outcome = work();
        drop(done);
        outcome
    })
}

/// Returns the errno of a failure.
pub(crate) fn errno<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().unwrap())
}
