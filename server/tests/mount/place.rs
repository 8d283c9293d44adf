//! Where a test mounts: a file system in memory, seen by this test and its children alone.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::{
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    thread::UnshareFlags,
};
use serde_json::Value;

pub(crate) struct Place(tempfile::TempDir);

impl Place {
    /// Returns a place with the lower `low` (`a`, `d/b`) and a mount point `m`, or `None` where this machine gives none.
    pub(crate) fn private() -> Option<Self> {
        let place = Self(tempfile::tempdir().unwrap());
        if let Err(error) = separate(place.0.path()) {
            eprintln!("skipped: no mount namespace of its own: {error}");
            return None;
        }
        place.file("low/a", "one");
        place.file("low/d/b", "two");
        place.dir("m");
        Some(place)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn dir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn file(&self, name: impl AsRef<Path>, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns `ovl`, away from the settings of this machine.
    pub(crate) fn ovl<T: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = T>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovl"));
        command.current_dir(self.0.path()).env_clear().args(words);
        command.env("XDG_CONFIG_HOME", self.path("config")).env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.ovl(line.split(' ')).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its output.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(line)).unwrap()
    }

    /// Runs a command that must fail, and returns its exit code and message.
    pub(crate) fn fails(&self, line: &str) -> (i32, String) {
        failed(self.run(line))
    }

    /// Returns the line of the table of mounts for the mount point `m`, if there is one.
    pub(crate) fn mounted(&self) -> Option<String> {
        // Not /proc/self: that is the first thread, in another namespace.
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let point = format!(" {} ", self.path("m").display());
        table.lines().find(|line| line.contains(&point)).map(str::to_owned)
    }
}

/// Whoever answers for a mount keeps the namespace, and the namespace the mount: so the mounts go here.
impl Drop for Place {
    fn drop(&mut self) {
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        let here = format!("{}/", self.0.path().display());
        let points = table.lines().filter_map(|line| line.split(' ').nth(4)).filter(|point| point.starts_with(&here));
        for point in points {
            let _gone = unmount(point, UnmountFlags::DETACH);
        }
    }
}

/// Returns the exit code and the message of a command that did not succeed.
pub(crate) fn failed(output: Output) -> (i32, String) {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn separate(at: &Path) -> rustix::io::Result<()> {
    #[expect(deprecated, reason = "what is unsafe is to part with the table of descriptors, which this does not")]
    rustix::thread::unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), None)
}
