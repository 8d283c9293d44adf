//! The kernel's overlay as judge of a mount: random layers and histories of system calls, run on both.
//!
//! After every call both have answered with the same errno and show the same tree; at the end both uppers hold the
//! same (origin, impure and uuid aside), and the kernel mounts ours and shows that tree again. Once with redirects,
//! once without. `OVL_SEED` and `OVL_HISTORIES` choose others.
//!
//! As in the engine's own differential test: a rename over a directory that is not empty may leave traces in the
//! kernel's upper, since there the upper's own file system refuses it; the uppers are not compared after one, and a
//! directory's time that it has stamped is put back.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use ovl_core::{
    Kind, Opaque, VPath,
    overlay::RenameHow,
    testing::{
        drawing::parse,
        history::{self, Choose, Op, Rng, XATTR},
    },
};
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags, makedev, mknodat},
    io::Errno,
};

use crate::{
    in_private,
    place::{Place, stack},
};

const STEPS: usize = 25;
/// Where drawn objects lie in time; everything later is "new".
const DRAWN: i64 = 1_000_000_000;

/// A tree as lines: path, and everything about it that both sides must agree on.
type Portrait = BTreeMap<String, String>;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn the_kernel_and_a_mount_agree_with_redirects() {
    in_private!();
    agree(true);
}

#[test]
fn the_kernel_and_a_mount_agree_without_redirects() {
    in_private!();
    agree(false);
}

fn agree(redirects: bool) {
    let first = setting("OVL_SEED", 1);
    for seed in first..first + setting("OVL_HISTORIES", 50) {
        history(seed, redirects);
    }
}

/// A kernel's overlay that goes when it is dropped.
struct Kernel(PathBuf);

impl Kernel {
    fn mount(place: &Place, lowers: &[PathBuf], upper: &str, redirects: bool) -> Self {
        let lowers: Vec<&str> = lowers.iter().map(|path| path.to_str().unwrap()).collect();
        let (at, work) = (place.dir(&format!("merged-{upper}")), place.dir(&format!("{upper}.kernel-work")));
        let redirects = if redirects { "on" } else { "off" };
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir={redirects},index=off,metacopy=off,xino=off",
            lowers.join(":"),
            place.dir(upper).display(),
            work.display()
        );
        let mut command = Command::new("mount");
        let done = command.args(["-t", "overlay", "overlay", "-o", &options]).arg(&at).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self(at)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::empty();
        rustix::mount::unmount(&self.0, flags).unwrap();
    }
}

fn history(seed: u64, redirects: bool) {
    let (mut rng, place) = (Rng(seed), Place::new());
    let drawings: Vec<String> = (0..1 + rng.below(3)).map(|_| history::layer(&mut rng, true)).collect();
    let mut lowers = Vec::new();
    for (i, drawing) in drawings.iter().enumerate() {
        let root = place.dir(&format!("lower{i}"));
        build(&root, drawing);
        lowers.push(root);
    }
    let kernel = Kernel::mount(&place, &lowers, "theirs", redirects);
    let mount = place.mount(stack(&place.path("ours"), &lowers, redirects));
    let (mut done, mut traces): (Vec<Op>, bool) = (Vec::new(), false);
    for _ in 0..STEPS {
        let op = history::op(&mut rng);
        done.push(op.clone());
        let told = || format!("seed {seed}, redirects {redirects}, lowers {drawings:?}, history {done:?}");
        let stamp = parent_stamp(&kernel.0, &op);
        let theirs = errno(run(&kernel.0, &op));
        if matches!(op, Op::Rename(..)) && theirs == Some(Errno::NOTEMPTY.raw_os_error()) {
            traces = true;
            put_back(stamp);
        }
        assert_eq!(errno(run(&mount.path(""), &op)), theirs, "{}", told());
        assert_same(&draw(&mount.path(""), false), &draw(&kernel.0, false), &told);
    }
    let told = || format!("seed {seed}, redirects {redirects}, lowers {drawings:?}, history {done:?}");
    let shown = draw(&mount.path(""), false);
    drop((kernel, mount));
    if !traces {
        assert_same(&draw(&place.path("ours"), true), &draw(&place.path("theirs"), true), &told);
    }
    let again = Kernel::mount(&place, &lowers, "ours", redirects);
    assert_same(&shown, &draw(&again.0, false), &told);
}

/// Returns the directory of the name that a rename moves away, and its time.
fn parent_stamp(root: &Path, op: &Op) -> Option<(PathBuf, fs::Metadata)> {
    let Op::Rename(from, ..) = op else { return None };
    let parent = root.join(&from.split()?.0.to_string()[1..]);
    let meta = fs::symlink_metadata(&parent).ok()?;
    Some((parent, meta))
}

/// Gives a directory back its time, if that changed.
fn put_back(stamp: Option<(PathBuf, fs::Metadata)>) {
    let Some((dir, before)) = stamp else { return };
    let after = fs::symlink_metadata(&dir).unwrap();
    if (after.mtime(), after.mtime_nsec()) != (before.mtime(), before.mtime_nsec()) {
        let keep = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let time = Timespec { tv_sec: before.mtime(), tv_nsec: before.mtime_nsec() };
        set_times(&dir, keep, time);
    }
}

fn set_times(path: &Path, last_access: Timespec, last_modification: Timespec) {
    let times = Timestamps { last_access, last_modification };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn assert_same(mine: &Portrait, theirs: &Portrait, told: &dyn Fn() -> String) {
    if mine != theirs {
        let differ = |(path, line): &(&String, &String), other: &Portrait| other.get(*path) != Some(*line);
        let only_mine: Vec<_> = mine.iter().filter(|line| differ(line, theirs)).collect();
        let only_theirs: Vec<_> = theirs.iter().filter(|line| differ(line, mine)).collect();
        panic!("ours {only_mine:#?}, the kernel's {only_theirs:#?}\n{}", told());
    }
}

/// Builds a drawn lower as the kernel's own tools would leave it.
fn build(root: &Path, drawing: &str) {
    for item in &parse(drawing) {
        let path = root.join(&item.path.to_string()[1..]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match item.kind {
            Kind::Dir => fs::create_dir_all(&path).unwrap(),
            Kind::Symlink => std::os::unix::fs::symlink(std::str::from_utf8(&item.target).unwrap(), &path).unwrap(),
            Kind::Whiteout => mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap(),
            _ => fs::write(&path, &item.content).unwrap(),
        }
        if item.marks.opaque == Opaque::Yes {
            rustix::fs::setxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        }
    }
    age(root);
}

/// Gives everything beneath a directory the time of drawings.
fn age(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            age(&path);
        }
        let time = Timespec { tv_sec: DRAWN, tv_nsec: 5 };
        set_times(&path, time, time);
    }
}

fn open(path: &Path, options: &mut fs::OpenOptions) -> std::io::Result<fs::File> {
    options.write(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).mode(0o644).open(path)
}

/// Runs an operation by system calls.
fn run(root: &Path, op: &Op) -> std::io::Result<()> {
    let at = |path: &VPath| root.join(&path.to_string()[1..]);
    let mut options = fs::OpenOptions::new();
    match op {
        Op::Put(path, bytes) => open(&at(path), options.create(true).truncate(true))?.write_all(bytes),
        Op::Append(path, bytes) => open(&at(path), options.append(true))?.write_all(bytes),
        Op::Truncate(path, len) => open(&at(path), &mut options)?.set_len(*len),
        Op::Mkdir(path) => fs::create_dir(at(path)),
        Op::Symlink(path, target) => std::os::unix::fs::symlink(std::str::from_utf8(target).unwrap(), at(path)),
        Op::Link(from, to) => fs::hard_link(at(from), at(to)),
        Op::Unlink(path) => fs::remove_file(at(path)),
        Op::Rmdir(path) => fs::remove_dir(at(path)),
        Op::Rename(from, to, how) => {
            let flags = match how {
                RenameHow::Replace => RenameFlags::empty(),
                RenameHow::NoReplace => RenameFlags::NOREPLACE,
                RenameHow::Exchange => RenameFlags::EXCHANGE,
            };
            Ok(rustix::fs::renameat_with(CWD, at(from), CWD, at(to), flags)?)
        }
        Op::Chmod(path, mode) => {
            if fs::symlink_metadata(at(path))?.is_symlink() {
                return Err(Errno::LOOP.into());
            }
            fs::set_permissions(at(path), fs::Permissions::from_mode(*mode))
        }
        Op::SetXattr(path, value) => Ok(rustix::fs::lsetxattr(at(path), XATTR, value, XattrFlags::empty())?),
        Op::RemoveXattr(path) => Ok(rustix::fs::lremovexattr(at(path), XATTR)?),
    }
}

fn errno(result: std::io::Result<()>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().unwrap())
}

/// Draws a tree; of an upper, with its marks and link counts.
fn draw(root: &Path, upper: bool) -> Portrait {
    let mut lines = Portrait::new();
    draw_dir(root, "", upper, &mut lines);
    lines
}

fn draw_dir(dir: &Path, above: &str, upper: bool, lines: &mut Portrait) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{above}/{}", path.file_name().unwrap().to_str().unwrap());
        // The kernel lists a whiteout in a directory that is not merged, and then does not find it (L12, L18).
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.file_type().is_char_device() {
            lines.insert(name, format!("Whiteout {}", meta.rdev()));
            continue;
        }
        let body = match meta.file_type() {
            t if t.is_dir() => String::new(),
            t if t.is_symlink() => fs::read_link(&path).unwrap().to_str().unwrap().to_owned(),
            _ => fs::read_to_string(&path).unwrap(),
        };
        let mtime =
            if meta.mtime() > DRAWN { "new".to_owned() } else { format!("{}.{}", meta.mtime(), meta.mtime_nsec()) };
        let head = format!("{:o} {}:{} {mtime}", meta.mode(), meta.uid(), meta.gid());
        let value = attribute(&path, XATTR);
        let marks = if upper { marks(&path, &meta) } else { links(&meta) };
        lines.insert(name.clone(), format!("{head} {body:?} {value:?}{marks}"));
        if meta.is_dir() {
            draw_dir(&path, &name, upper, lines);
        }
    }
}

/// Tells the links of a file: those of a directory depend on the upper's file system.
fn links(meta: &fs::Metadata) -> String {
    if meta.is_dir() { String::new() } else { format!(" {} {}", meta.nlink(), meta.size()) }
}

fn marks(path: &Path, meta: &fs::Metadata) -> String {
    let mark = |name: &str| attribute(path, format!("trusted.overlay.{name}").as_bytes()).map(String::from_utf8);
    format!("{} {:?} {:?} {:?}", links(meta), mark("opaque"), mark("redirect"), mark("metacopy"))
}

fn attribute(path: &Path, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; 512];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}
