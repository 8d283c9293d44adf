//! The kernel's overlay as judge (Linux, root): random layers and histories, run on its mount and on what is judged.
//!
//! After every operation both answer with the same errno and show the same tree; at the end both uppers hold the same
//! (origin, impure, uuid and the link counts of whiteouts aside), nothing is wrong with the judged one, and the kernel
//! mounts it and shows that tree again. `OVL_SEED` and `OVL_HISTORIES` choose others.
//!
//! A rename over a directory that is not empty may leave traces in the kernel's upper (a copied-up directory, a
//! redirect), since there the upper's own file system refuses it: after one the uppers are not compared. Where a
//! whiteout was to stay behind, ext4 has also stamped the directory that holds the old name; its time is put back.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "it asks the machine for its kernel, and says which seed failed"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags, makedev, mknodat},
    io::Errno,
};

use crate::{
    Kind, Layer, Opaque, VPath,
    layers::host::{self, LowerOptions, Suspect, UpperOptions},
    overlay::RenameHow,
    testing::{
        drawing::parse,
        history::{self, Choose, Op, Rng, XATTR},
    },
    verify::{Finding, verify},
};

const STEPS: usize = 25;
/// Where drawn objects lie in time; everything later is "new".
const DRAWN: i64 = 1_000_000_000;

/// A tree as lines: path, and everything about it that both sides must agree on.
pub type Portrait = BTreeMap<String, String>;

/// What is judged: a stack that is open until it is dropped.
pub trait Judged {
    /// Runs the n-th operation of a history. Returns the errno of a failure.
    fn run(&self, op: &Op, step: usize) -> Option<i32>;
    /// Draws what shows.
    fn draw(&self) -> Portrait;
}

/// Where a history is run.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// An empty directory.
    pub place: &'a Path,
    /// Whether directories of a lower can be renamed.
    pub redirects: bool,
}

impl Ground<'_> {
    /// Returns where the judged upper is to lie.
    pub fn upper(&self) -> PathBuf {
        self.place.join("ours")
    }
}

/// Runs as many histories as `OVL_HISTORIES` says or `count`, from seed `OVL_SEED` or 1 on.
pub fn histories(count: u64, mut run: impl FnMut(u64)) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let first = setting("OVL_SEED").unwrap_or(1);
    (first..first + setting("OVL_HISTORIES").unwrap_or(count)).for_each(&mut run);
}

/// Runs one history on the kernel's overlay and on what `open` opens over the same lowers. Panics with all of it where
/// they differ.
pub fn judge<J: Judged>(seed: u64, ground: Ground<'_>, open: impl FnOnce(&[PathBuf]) -> J) {
    let mut rng = Rng(seed);
    let drawings: Vec<String> = (0..1 + rng.below(3)).map(|_| history::layer(&mut rng, true)).collect();
    let lowers: Vec<PathBuf> = (0..drawings.len()).map(|i| ground.place.join(format!("lower{i}"))).collect();
    lowers.iter().zip(&drawings).for_each(|(root, drawing)| build(root, drawing, "trusted"));
    let kernel = Mount::new(ground, &lowers, "theirs");
    let ours = open(&lowers);
    let (mut done, mut traces): (Vec<Op>, bool) = (Vec::new(), false);
    let context = |done: &[Op]| {
        let redirects = ground.redirects;
        format!("seed {seed}, redirects {redirects}, lowers {drawings:?}, history {done:?}")
    };
    for step in 0..STEPS {
        let op = history::op(&mut rng);
        done.push(op.clone());
        let stamp = parent_stamp(&kernel.0, &op);
        let theirs = run(&kernel.0, &op);
        if matches!(op, Op::Rename(..)) && theirs == Some(Errno::NOTEMPTY.raw_os_error()) {
            traces = true;
            put_back(stamp);
        }
        assert_eq!(ours.run(&op, step), theirs, "{}", context(&done));
        assert_same(&ours.draw(), &draw(&kernel.0, false), &|| context(&done));
    }
    let shown = ours.draw();
    drop((kernel, ours));
    if !traces {
        let [ours, theirs] = [ground.upper(), ground.place.join("theirs")].map(|upper| draw(&upper, true));
        assert_same(&ours, &theirs, &|| context(&done));
    }
    assert_eq!(defects(&ground.upper(), &lowers, LowerOptions::default(), None), [], "{}", context(&done));
    let again = Mount::new(ground, &lowers, "ours");
    assert_same(&shown, &draw(&again.0, false), &|| context(&done));
}

/// Returns what is wrong with an upper over host lowers.
pub fn defects(upper: &Path, lowers: &[PathBuf], read: LowerOptions, work: Option<PathBuf>) -> Vec<Finding> {
    let suspect = Suspect::open(upper, &UpperOptions { work, ..UpperOptions::default() }).expect("it can be looked at");
    let lower = |path| host::lower(path, read.clone()).expect("a directory") as Arc<dyn Layer>;
    let findings = verify(suspect, lowers.iter().map(|path| lower(path)).collect()).expect("a small stack is taken");
    findings.map(|finding| finding.expect("it can be read")).collect()
}

/// A kernel's overlay that goes when it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(ground: Ground<'_>, lowers: &[PathBuf], upper: &str) -> Self {
        let lowers: Vec<String> = lowers.iter().map(|path| path.display().to_string()).collect();
        let dirs = ["", ".kernel-work", ".merged"].map(|end| ground.place.join(format!("{upper}{end}")));
        dirs.iter().for_each(|dir| fs::create_dir_all(dir).expect("the place is writable"));
        let [upper, work, at] = dirs;
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir={},index=off,metacopy=off,xino=off",
            lowers.join(":"),
            upper.display(),
            work.display(),
            if ground.redirects { "on" } else { "off" },
        );
        let mut command = Command::new("mount");
        let done = command.args(["-t", "overlay", "overlay", "-o", &options]).arg(&at).output().expect("mount runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Self(at)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Another test's child may hold a descriptor of the mount between its fork and its exec.
        let unmounted = || Command::new("umount").arg("-q").arg(&self.0).status().is_ok_and(|status| status.success());
        let gone = (0..100).any(|_| {
            unmounted() || {
                thread::sleep(Duration::from_millis(20));
                false
            }
        });
        assert!(gone, "{} stays mounted", self.0.display());
    }
}

/// Returns the directory of the name that a rename moves away, and its time.
fn parent_stamp(root: &Path, op: &Op) -> Option<(PathBuf, fs::Metadata)> {
    let Op::Rename(from, ..) = op else { return None };
    let parent = beneath(root, &from.split()?.0);
    let meta = fs::symlink_metadata(&parent).ok()?;
    Some((parent, meta))
}

/// Gives a directory back its time, if that changed.
fn put_back(stamp: Option<(PathBuf, fs::Metadata)>) {
    let Some((dir, before)) = stamp else { return };
    let after = fs::symlink_metadata(&dir).expect("it was there");
    if (after.mtime(), after.mtime_nsec()) != (before.mtime(), before.mtime_nsec()) {
        let keep = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        set_times(&dir, keep, Timespec { tv_sec: before.mtime(), tv_nsec: before.mtime_nsec() });
    }
}

fn set_times(path: &Path, last_access: Timespec, last_modification: Timespec) {
    let times = Timestamps { last_access, last_modification };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("root sets times");
}

/// Panics where two trees differ, with what `told` says.
pub fn assert_same(mine: &Portrait, theirs: &Portrait, told: &dyn Fn() -> String) {
    if mine != theirs {
        let differ = |(path, line): &(&String, &String), other: &Portrait| other.get(*path) != Some(*line);
        let only_mine: Vec<_> = mine.iter().filter(|line| differ(line, theirs)).collect();
        let only_theirs: Vec<_> = theirs.iter().filter(|line| differ(line, mine)).collect();
        panic!("ours {only_mine:#?}, the kernel's {only_theirs:#?}\n{}", told());
    }
}

/// Builds a drawn lower as the kernel's own tools would leave it, with marks of a namespace (`trusted`, `user`).
pub fn build(root: &Path, drawing: &str, namespace: &str) {
    fs::create_dir(root).expect("the place is empty");
    parse(drawing).iter().try_for_each(|item| build_item(root, item, namespace)).expect("root builds a lower");
    age(root);
}

fn build_item(root: &Path, item: &crate::testing::drawing::Item, namespace: &str) -> io::Result<()> {
    let path = beneath(root, &item.path);
    fs::create_dir_all(path.parent().expect("it lies in the root"))?;
    match item.kind {
        Kind::Dir => fs::create_dir_all(&path)?,
        Kind::Symlink => std::os::unix::fs::symlink(bytes(&item.target), &path)?,
        Kind::Whiteout => mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0))?,
        _ => fs::write(&path, &item.content)?,
    }
    if item.marks.opaque == Opaque::Yes {
        rustix::fs::setxattr(&path, format!("{namespace}.overlay.opaque"), b"y", XattrFlags::empty())?;
    }
    Ok(())
}

/// Gives everything beneath a directory the time of drawings.
fn age(dir: &Path) {
    for path in children(dir) {
        if fs::symlink_metadata(&path).expect("it is listed").is_dir() {
            age(&path);
        }
        let time = Timespec { tv_sec: DRAWN, tv_nsec: 5 };
        set_times(&path, time, time);
    }
}

fn children(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("it can be listed").path())
}

fn beneath(root: &Path, path: &VPath) -> PathBuf {
    root.join(&path.to_string()[1..])
}

fn bytes(name: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

/// Runs an operation by system calls beneath a directory. Returns the errno of a failure.
pub fn run(root: &Path, op: &Op) -> Option<i32> {
    let failed = call(root, op).err()?;
    Some(failed.raw_os_error().expect("system calls fail with a number"))
}

fn call(root: &Path, op: &Op) -> io::Result<()> {
    let at = |path: &VPath| beneath(root, path);
    let mut options = fs::OpenOptions::new();
    match op {
        Op::Put(path, bytes) => open(&at(path), options.create(true).truncate(true))?.write_all(bytes),
        Op::Append(path, bytes) => open(&at(path), options.append(true))?.write_all(bytes),
        Op::Truncate(path, len) => open(&at(path), &mut options)?.set_len(*len),
        Op::Mkdir(path) => fs::create_dir(at(path)),
        Op::Symlink(path, target) => std::os::unix::fs::symlink(bytes(target), at(path)),
        Op::Link(from, to) => fs::hard_link(at(from), at(to)),
        Op::Unlink(path) => fs::remove_file(at(path)),
        Op::Rmdir(path) => fs::remove_dir(at(path)),
        Op::Rename(from, to, how) => Ok(rustix::fs::renameat_with(CWD, at(from), CWD, at(to), flags(*how))?),
        Op::Chmod(path, _) if fs::symlink_metadata(at(path))?.is_symlink() => Err(Errno::LOOP.into()),
        Op::Chmod(path, mode) => fs::set_permissions(at(path), fs::Permissions::from_mode(*mode)),
        Op::SetXattr(path, value) => Ok(rustix::fs::lsetxattr(at(path), XATTR, value, XattrFlags::empty())?),
        Op::RemoveXattr(path) => Ok(rustix::fs::lremovexattr(at(path), XATTR)?),
    }
}

fn open(path: &Path, options: &mut fs::OpenOptions) -> io::Result<fs::File> {
    options.write(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).mode(0o644).open(path)
}

fn flags(how: RenameHow) -> RenameFlags {
    match how {
        RenameHow::Replace => RenameFlags::empty(),
        RenameHow::NoReplace => RenameFlags::NOREPLACE,
        RenameHow::Exchange => RenameFlags::EXCHANGE,
    }
}

/// Draws a tree on the disk; of an upper, with its marks.
pub fn draw(root: &Path, upper: bool) -> Portrait {
    let mut lines = Portrait::new();
    draw_dir(root, "", upper, &mut lines);
    lines
}

fn draw_dir(dir: &Path, above: &str, upper: bool, lines: &mut Portrait) {
    for path in children(dir) {
        let name = format!("{above}/{}", path.file_name().expect("it has a name").display());
        // The kernel lists a whiteout in a directory that is not merged, and then does not find it (L12, L18).
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.file_type().is_char_device() {
            lines.insert(name, format!("Whiteout {}", meta.rdev()));
            continue;
        }
        let line = line_of(&path, &meta);
        let marks = if upper { marks(&path) } else { String::new() };
        lines.insert(name.clone(), format!("{line}{marks}"));
        if meta.is_dir() {
            draw_dir(&path, &name, upper, lines);
        }
    }
}

fn line_of(path: &Path, meta: &fs::Metadata) -> String {
    let (kind, body) = match meta.file_type() {
        t if t.is_dir() => (Kind::Dir, Vec::new()),
        t if t.is_symlink() => {
            (Kind::Symlink, fs::read_link(path).expect("a link").into_os_string().into_encoded_bytes())
        }
        _ => (Kind::File, fs::read(path).expect("root reads files")),
    };
    let (mode, mtime) = (meta.mode() & 0o7777, (meta.mtime(), meta.mtime_nsec() as u32));
    line(kind, mode, (meta.uid(), meta.gid()), mtime, meta.nlink(), &body, attribute(path, XATTR))
}

/// Returns one object as both sides draw it: the links of a directory depend on the upper's file system.
pub fn line(
    kind: Kind,
    mode: u32,
    (uid, gid): (u32, u32),
    (secs, nanos): (i64, u32),
    links: u64,
    body: &[u8],
    xattr: Option<Vec<u8>>,
) -> String {
    let mtime = if secs > DRAWN { "new".to_owned() } else { format!("{secs}.{nanos}") };
    let links = if kind == Kind::Dir { 0 } else { links };
    format!("{kind:?} {mode:o} {uid}:{gid} {mtime} {links} {:?} {xattr:?}", body.escape_ascii().to_string())
}

fn marks(path: &Path) -> String {
    let mark = |name: &str| attribute(path, format!("trusted.overlay.{name}").as_bytes()).map(String::from_utf8);
    format!(" {:?} {:?} {:?}", mark("opaque"), mark("redirect"), mark("metacopy"))
}

fn attribute(path: &Path, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; 512];
    let length = rustix::fs::lgetxattr(path, name, &mut value).ok()?;
    value.truncate(length);
    Some(value)
}
