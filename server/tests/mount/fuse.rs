//! Stacks mounted by FUSE: what can be mounted, what is in it, and what goes wrong with the layers.

use std::{
    fs,
    io::{Read, Seek, Write},
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Output},
};

use rustix::{io::Errno, mount::MountFlags};

use crate::place::{Place, failed};

/// A user who has nothing but what the tests give.
const NOBODY: u32 = 65534;

/// Returns a place like [`Place::private`] with `low.zip`, where FUSE is there, too.
pub(crate) fn place() -> Option<Place> {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("skipped: no /dev/fuse");
        return None;
    }
    let place = Place::private()?;
    place.ok("export -q -o low.zip --lower low");
    Some(place)
}

fn errno(error: &std::io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

#[test]
fn a_zip_is_mounted_by_fuse_and_the_reason_is_told() {
    let Some(place) = place() else { return };
    let said = String::from_utf8(place.run("mount --lower low.zip --upper u m").stderr).unwrap();
    assert!(said.contains("mounted at m by FUSE (the kernel cannot: the lower low.zip is a zip"), "{said}");
    assert!(said.contains("changes go to u as kernel-trusted"), "{said}");
    let line = place.mounted().unwrap();
    assert!(line.contains(" fuse.ovl ovl ") && line.contains("nosuid,nodev"), "{line}");
    assert_eq!((place.read("m/a"), place.read("m/d/b")), ("one".into(), "two".into()));
    place.ok("unmount m");
    let said = place.run("mount -q --driver fuse --suid --dev --lower low --upper u m");
    assert!(said.status.success() && said.stderr.is_empty() && said.stdout.is_empty());
    let line = place.mounted().unwrap();
    assert!(!line.contains("nosuid") && !line.contains("nodev") && !line.contains("allow_other"), "{line}");
}

#[test]
fn what_is_done_in_a_mounted_zip_is_there_at_the_next_mount_and_for_the_kernel() {
    let Some(place) = place() else { return };
    place.ok("mount --lower low.zip --upper u m");
    place.file("m/new", "new");
    place.file("m/a", "changed");
    fs::rename(place.path("m/d"), place.path("m/moved")).unwrap();
    place.file("m/moved/c", "three");
    place.file("m/gone", "");
    fs::remove_file(place.path("m/gone")).unwrap();
    fs::remove_file(place.path("m/moved/b")).unwrap();
    let by_fuse = place.ok("digest --lower m");
    place.ok("unmount m");
    place.ok("mount --lower low.zip --upper u m");
    assert_eq!(place.ok("digest --lower m"), by_fuse);
    place.ok("unmount m");
    assert_eq!(place.ok("digest --lower low.zip --upper u"), by_fuse);
    let changes = place.ok("changes --lower low.zip --upper u");
    assert!(changes.contains("added        /new\n") && changes.contains("modified     /a\n"), "{changes}");
    place.ok("mount --driver kernel --lower low --upper u m");
    assert_eq!(place.ok("digest --lower m"), by_fuse);
}

#[test]
fn one_zip_alone_is_only_read() {
    let Some(place) = place() else { return };
    place.ok("mount --lower low.zip m");
    assert_eq!(place.read("m/d/b"), "two");
    let error = fs::write(place.path("m/new"), "").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    place.ok("unmount m");
    place.ok("mount --lower low m");
    assert!(place.mounted().unwrap().contains("fuse.ovl"));
}

/// A file is read by the kernel itself where one who has it open sees at once what is written beneath the mount.
#[test]
fn a_lower_that_nothing_changes_is_read_by_the_kernel_itself_and_keeps_its_time_of_access() {
    let Some(place) = place() else { return };
    // It would be noted: it is older than the content.
    let old = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 7 };
    let times = rustix::fs::Timestamps {
        last_access: old,
        last_modification: rustix::fs::Timespec { tv_sec: 1_100_000_000, ..old },
    };
    rustix::fs::utimensat(rustix::fs::CWD, place.path("low/a"), &times, rustix::fs::AtFlags::empty()).unwrap();
    place.ok("mount --driver fuse --lower low m");
    let mut open = fs::File::open(place.path("m/a")).unwrap();
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one");
    let meta = fs::metadata(place.path("low/a")).unwrap();
    assert_eq!((meta.atime(), meta.atime_nsec()), (1_000_000_000, 7));
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version: Vec<u32> = release.split('.').take(2).filter_map(|part| part.parse().ok()).collect();
    if version < vec![6, 9] {
        return eprintln!("skipped: the kernel {release} has no FUSE_PASSTHROUGH");
    }
    place.file("low/a", "two");
    open.rewind().unwrap();
    text.clear();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "two");
}

#[test]
fn an_upper_in_memory_is_forgotten_with_its_mount() {
    let Some(place) = place() else { return };
    let said = String::from_utf8(place.run("mount --lower low --upper mem: m").stderr).unwrap();
    assert!(said.contains("the upper is in memory") && said.contains("forgotten with the mount"), "{said}");
    place.file("m/new", "new");
    assert_eq!(place.read("m/new"), "new");
    place.ok("unmount m");
    place.ok("mount --lower low --upper mem: m");
    assert!(!place.path("m/new").exists());
}

#[test]
fn what_fuse_cannot_mount_is_refused_with_its_code_and_the_reason() {
    let Some(place) = place() else { return };
    place.dir("low/inner");
    place.dir("m/within");
    place.ok("export -q -o m/inside.zip --lower low");
    fs::write(place.path("broken.zip"), &fs::read(place.path("low.zip")).unwrap()[..60]).unwrap();
    place.ok("import -q low.zip --upper p --upper-form portable");
    for (line, code, reason) in [
        ("--lower none --upper u m", 3, "no such lower: none"),
        ("--lower low.zip --upper none/u m", 3, "parent of the upper"),
        ("--lower low.zip --upper u none", 3, "no such mount point"),
        ("--lower low.zip --upper u low/a", 2, "is no directory"),
        ("--lower low --upper u low/inner", 2, "lie in one another"),
        ("--lower low.zip --upper u u/inner", 3, "no such mount point"),
        ("--lower m/within --upper u m", 2, "lie in one another"),
        ("--lower m/inside.zip --upper u m", 2, "lie in one another"),
        ("--lower low.zip --upper m/within m", 2, "lie in one another"),
        ("--lower low --upper low/u m", 2, "overlap"),
        ("--lower low.zip --upper u --volatile m", 2, "--volatile is the kernel's own"),
        ("--lower low.zip --upper p --upper-form kernel-trusted m", 9, "another form"),
        ("--lower broken.zip --upper u m", 6, "broken.zip"),
    ] {
        let (real, why) = place.fails(&format!("mount --driver fuse {line}"));
        assert!(real == code && why.contains(reason) && why.lines().count() == 1, "{line}: {real} {why}");
        assert_eq!(place.mounted(), None, "{line}");
    }
}

#[test]
fn an_upper_mounted_by_fuse_takes_changes_from_there_alone() {
    let Some(place) = place() else { return };
    place.ok("mount --lower low.zip --upper u m");
    place.file("m/a", "changed");
    place.dir("m2");
    for line in [
        "mount --lower low.zip --upper u m2",
        "mount --driver kernel --lower low --upper u m2",
        "discard --yes a --lower low.zip --upper u",
    ] {
        let (code, why) = place.fails(line);
        assert!(code == 8 && why.contains("in use"), "{line}: {code} {why}");
    }
    assert_eq!(place.ok("cat a --lower low.zip --upper u"), "changed");
    place.ok("unmount m");
    place.ok("discard --yes a --lower low.zip --upper u");
}

#[test]
fn two_uppers_are_mounted_at_two_places() {
    let Some(place) = place() else { return };
    place.dir("m2");
    place.ok("mount --lower low.zip --upper u m");
    place.ok("mount --lower low.zip --upper u2 m2");
    place.file("m/a", "first");
    place.file("m2/a", "second");
    place.ok("unmount m");
    assert_eq!((place.read("u/a"), place.read("m2/a")), ("first".into(), "second".into()));
    place.ok("unmount m2");
    assert_eq!(place.read("u2/a"), "second");
}

#[test]
fn a_full_upper_says_so_and_keeps_what_is_there() {
    let Some(place) = place() else { return };
    place.dir("small");
    rustix::mount::mount("tmpfs", place.path("small"), "tmpfs", MountFlags::empty(), Some(c"size=2m")).unwrap();
    place.ok("mount --lower low.zip --upper small/u m");
    place.file("m/kept", "kept");
    let filled = (0..64).try_for_each(|_| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(place.path("m/big"))?;
        file.write_all(&[1; 100_000])
    });
    assert_eq!(errno(&filled.unwrap_err()), Some(Errno::NOSPC));
    assert_eq!((place.read("m/kept"), place.read("m/a")), ("kept".into(), "one".into()));
    fs::remove_file(place.path("m/big")).unwrap();
    fs::remove_file(place.path("m/d/b")).unwrap();
    place.file("m/after", "room again");
    place.ok("unmount m");
    assert_eq!(place.ok("cat kept after --lower low.zip --upper small/u"), "keptroom again");
}

#[test]
fn a_damaged_member_is_an_error_of_that_file_alone() {
    let Some(place) = place() else { return };
    place.file("low/bad", "a member that will be damaged");
    place.ok("export -q -o bad.zip --lower low");
    let mut zip = fs::read(place.path("bad.zip")).unwrap();
    let header =
        zip.windows(4).zip(0..).find(|(sign, at)| *sign == b"PK\x03\x04" && zip[at + 30..].starts_with(b"bad"));
    let at = header.unwrap().1;
    let length = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let content = at + 30 + length(at + 26) + length(at + 28);
    zip[content + 5] ^= 0x55;
    fs::write(place.path("bad.zip"), zip).unwrap();
    place.ok("mount --lower bad.zip --upper u m");
    assert_eq!(errno(&fs::read(place.path("m/bad")).unwrap_err()), Some(Errno::IO));
    assert_eq!((place.read("m/a"), place.read("m/d/b")), ("one".into(), "two".into()));
    fs::remove_file(place.path("m/bad")).unwrap();
    place.file("m/bad", "whole again");
    assert_eq!(place.read("m/bad"), "whole again");
}

/// Runs `ovl` as a user without rights.
fn by_user(place: &Place, line: &str) -> Output {
    let mut command = Command::new(place.path("ovl"));
    command.current_dir(place.path("")).env_clear().args(line.split(' '));
    command.uid(NOBODY).gid(NOBODY).output().unwrap()
}

#[test]
fn a_user_mounts_and_unmounts_through_fusermount3() {
    let Some(place) = place() else { return };
    // The program itself may lie where that user cannot go.
    fs::copy(env!("CARGO_BIN_EXE_ovl"), place.path("ovl")).unwrap();
    place.dir("home/m");
    ["home", "home/m"].iter().for_each(|path| chown(place.path(path), Some(NOBODY), Some(NOBODY)).unwrap());
    let line = "mount --lower low.zip --upper home/u home/m";
    let output = by_user(&place, line);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("fusermount3") && said.contains("package fuse3"), "{said}");
        eprintln!("skipped: {said}");
        return;
    }
    let listed = &place.json("mounts --json home/m")["mounts"][0];
    assert_eq!((&listed["driver"], &listed["form"]), (&"fuse".into(), &"kernel-user".into()));
    // Root is kept out, as everybody else.
    assert_eq!(errno(&fs::read(place.path("home/m/a")).unwrap_err()), Some(Errno::ACCESS));
    assert_eq!(by_user(&place, "digest --lower home/m").stdout, place.ok("digest --lower low").into_bytes());
    assert_eq!(failed(by_user(&place, "mount --lower low.zip --upper home/u home/m")).0, 8);
    assert!(by_user(&place, "unmount home/m").status.success());
    assert!(by_user(&place, line).status.success());
    place.ok("unmount home/m");
    let (code, why) = failed(by_user(&place, "mount --lower low.zip --upper home/u m"));
    assert!(code == 5 && why.contains("no write access"), "{code} {why}");
}
