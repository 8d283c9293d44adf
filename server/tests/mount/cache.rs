//! Zips under the kernel's overlay: unpacked once, whole or not at all, and kept while they are used.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    process::Stdio,
};

use ovl_core::testing::zip_builder::{Member, archive};
use rustix::mount::{MountFlags, mount, mount_remount};

use crate::place::Place;

/// Returns a place with the zip `low.zip` of `low`, beside an empty lower `none`.
fn with_zip() -> Option<Place> {
    let place = Place::private()?;
    place.dir("none");
    place.ok("export -o low.zip --lower low");
    Some(place)
}

const MOUNT: &str = "mount --driver kernel --lower low.zip --upper u m";

/// Returns the directories of the cache's trees, whole or not.
fn trees(place: &Place) -> Vec<PathBuf> {
    let dir = fs::read_dir(place.path("cache/ovl/zip-1"));
    dir.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// Calls `visit` for everything beneath a directory.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        visit(&path, &meta);
        if meta.is_dir() {
            walk(&path, visit);
        }
    }
}

fn said(place: &Place, line: &str) -> String {
    let output = place.run(line);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line}: {said}");
    said
}

/// Names that mean something to somebody, and modes that close a directory to its owner.
fn odd() -> Vec<u8> {
    let names: [&[u8]; 12] = [
        b".wh.a",
        b".wh..wh..opq",
        b"a\\b",
        b"C:",
        b"new\nline",
        b"\xff\xfe",
        b"-rf",
        b" ",
        b"d/.ovl-form",
        b"deep/a/b/c",
        b"trusted.overlay.opaque",
        b"\xe2\x80\xae",
    ];
    let mut members: Vec<Member> = names.iter().map(|name| Member::deflated(name, *name).flags(1 << 11)).collect();
    members[5] = Member::stored(b"\xff\xfe", "").extra(0x7075, []);
    members.extend([
        Member::directory("closed/").mode(0o040_000),
        Member::stored("closed/in", "x").mode(0o100_000),
        Member::directory("read-only/").mode(0o040_555),
        Member::stored("read-only/in", "y").mode(0o100_444),
        Member::symlink("out", "/etc/passwd"),
        Member::symlink("up", "../../.."),
        Member::symlink("through", "closed"),
        Member::stored("empty", ""),
        Member::deflated("large", vec![7; 3_000_001]),
    ]);
    archive(members)
}

#[test]
fn the_kernel_shows_what_the_engine_shows_of_a_zip() {
    let Some(place) = with_zip() else { return };
    fs::write(place.path("odd.zip"), odd()).unwrap();
    for (zip, flags) in
        [("low.zip", ""), ("odd.zip", ""), ("odd.zip", " --zip-names bytes"), ("odd.zip", " --zip-backslash separator")]
    {
        place.ok(&format!("mount --driver kernel --lower {zip} --lower none m{flags}"));
        let by_engine = place.ok(&format!("digest --lower {zip}{flags}"));
        assert_eq!(place.ok("digest --lower m"), by_engine, "{zip}{flags}");
        assert_eq!(
            place.ok("ls -R -l --lower m").lines().count(),
            place.ok(&format!("ls -R -l --lower {zip}{flags}")).lines().count()
        );
        place.ok("unmount m");
    }
    assert_eq!(trees(&place).len(), 4);
    let times = |root: &str| place.json(&format!("stat --json d/b --lower {root}"))["entries"][0]["mtime"].clone();
    place.ok(MOUNT);
    assert_eq!(times("m"), times("low.zip"));
    place.ok("unmount m");
    place.ok("cache clear");
    assert_eq!(trees(&place), [""; 0].map(PathBuf::from));
}

#[test]
fn an_upper_over_a_zip_moves_between_the_kernel_and_ovl() {
    let Some(place) = with_zip() else { return };
    place.ok(MOUNT);
    place.file("m/a", "by the kernel");
    fs::remove_file(place.path("m/d/b")).unwrap();
    let by_kernel = place.ok("digest --lower m");
    place.ok("unmount m");
    assert_eq!(place.ok("digest --lower low.zip --upper u"), by_kernel);
    assert_eq!(place.ok("changes --lower low.zip --upper u"), "modified     /a\ndeleted      /d/b\n");
}

#[test]
fn a_zip_is_unpacked_once_whatever_it_is_called() {
    let Some(place) = with_zip() else { return };
    assert!(said(&place, MOUNT).contains("low.zip unpacked for the kernel"));
    place.ok("unmount m");
    fs::copy(place.path("low.zip"), place.path("copy")).unwrap();
    for line in [MOUNT, "mount --driver kernel --lower copy --upper u m"] {
        assert!(said(&place, line).contains("was unpacked before"), "{line}");
        place.ok("unmount m");
    }
    assert_eq!(trees(&place).len(), 1);
}

#[test]
fn an_archive_that_was_changed_is_another() {
    let Some(place) = with_zip() else { return };
    place.ok(MOUNT);
    // The times are those of an archive that was known, which does not make it known.
    let old = fs::metadata(place.path("low.zip")).unwrap();
    place.file("low/a", "new");
    place.ok("export -o low.zip --yes --lower low");
    let changed = fs::File::options().write(true).open(place.path("low.zip")).unwrap();
    changed.set_modified(old.modified().unwrap()).unwrap();
    assert_eq!(fs::metadata(place.path("low.zip")).unwrap().len(), old.len());
    assert_eq!(place.read("m/a"), "one", "what is mounted stays");
    place.ok("unmount m");
    place.ok(MOUNT);
    assert_eq!(place.read("m/a"), "new");
    assert_eq!(trees(&place).len(), 2);
}

#[test]
fn a_digest_is_remembered_of_a_file_that_nobody_touches() {
    let Some(place) = with_zip() else { return };
    let remembered = || fs::read_dir(place.path("cache/ovl/digests")).map_or(0, Iterator::count);
    place.ok("run --lower low.zip -- /bin/true");
    assert_eq!(remembered(), 0, "within the grain of the clock, a file changes without a trace");
    // Older than this build: a file's last change cannot be set back.
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mount/old.zip");
    std::os::unix::fs::symlink(old, place.path("old.zip")).unwrap();
    place.ok("run --lower old.zip -- /bin/true");
    assert_eq!(remembered(), 1);
    let record = fs::read_dir(place.path("cache/ovl/digests")).unwrap().next().unwrap().unwrap().path();
    for text in ["", "0", &"g".repeat(64), &"0".repeat(65)] {
        fs::write(&record, text).unwrap();
        let before = trees(&place).len();
        place.ok("run --lower old.zip -- /bin/true");
        assert_eq!((trees(&place).len(), fs::read(&record).unwrap().len()), (before, 64), "{text:?} is no record");
    }
}

#[test]
fn a_damaged_member_refuses_the_archive_and_leaves_nothing() {
    let Some(place) = with_zip() else { return };
    let lie = |header: &mut ovl_core::testing::zip_builder::Header| header.crc ^= 1;
    let encrypted = Member::stored("bad", "0123456789ab").flags(1);
    for (bad, reason) in [
        (Member::stored("d/bad", "x").central(lie).local(lie), "CRC-32"),
        (Member::deflated("d/bad", "x").central(lie).local(lie), "CRC-32"),
        (Member::stored("bad", "").central(lie).local(lie), "CRC-32"),
        (encrypted, "encrypted"),
        (Member::new(b"bad", 99, b"x", b"x".to_vec()), "method"),
        (Member::symlink("bad", "a\0b"), "NUL"),
    ] {
        fs::write(place.path("bad.zip"), archive([Member::stored("good", "x"), bad])).unwrap();
        let (code, why) = place.fails("mount --driver kernel --lower bad.zip --upper u m");
        assert!(code == 6 && why.contains(reason) && why.contains("bad"), "{code} {why}");
        assert!(why.contains("bad.zip") && why.contains("--driver fuse"), "{why}");
        assert_eq!((trees(&place).len(), place.mounted()), (0, None), "{why}");
    }
}

#[test]
fn what_an_archive_says_of_rights_reaches_no_inode() {
    let Some(place) = with_zip() else { return };
    let owner = [&77_u32.to_le_bytes()[..], &88_u32.to_le_bytes()].map(|id| [&[4], id].concat()).concat();
    let members = [
        Member::stored("setuid", "x").mode(0o104_755).extra(0x7875, [&[1][..], &owner].concat()),
        Member::directory("sticky/").mode(0o043_777),
        Member::stored("fifo", "").mode(0o010_644),
        Member::stored("socket", "").mode(0o140_644),
        Member::stored("plain", "y"),
    ];
    fs::write(place.path("odd.zip"), archive(members)).unwrap();
    let told = said(&place, "mount --driver kernel --lower odd.zip --upper u m");
    assert!(told.contains("left out of odd.zip: 2 entries, fifos"), "{told}");
    let mut names = Vec::new();
    walk(&trees(&place)[0].join("tree"), &mut |path, meta| {
        assert_eq!((meta.mode() & 0o7000, meta.uid(), meta.gid()), (0, 0, 0), "{path:?}");
        assert!(!meta.file_type().is_fifo() && !meta.file_type().is_socket(), "{path:?}");
        let mut list = [0; 256];
        assert_eq!(rustix::fs::llistxattr(path, &mut list), Ok(0), "{path:?}");
        names.push(path.file_name().unwrap().to_owned());
    });
    names.sort();
    assert_eq!(names, ["plain", "setuid", "sticky"]);
    place.ok("unmount m");
    place.ok("mount --driver kernel --privileged-metadata --lower odd.zip --upper u m");
    let meta = |name| fs::symlink_metadata(place.path("m").join(name)).unwrap();
    assert_eq!((meta("setuid").mode(), meta("setuid").uid(), meta("setuid").gid()), (0o104_755, 77, 88));
    assert!(meta("fifo").file_type().is_fifo() && meta("socket").file_type().is_socket());
    assert_eq!(place.ok("digest --lower m"), place.ok("digest --lower odd.zip"));
}

#[test]
fn many_starters_at_once_unpack_it_once() {
    let Some(place) = with_zip() else { return };
    fs::write(place.path("odd.zip"), odd()).unwrap();
    let starts: Vec<_> = (0..12)
        .map(|number| {
            let point = format!("m{number}");
            place.dir(&point);
            let words = ["mount", "--driver", "kernel", "--lower", "odd.zip", "--lower", "none", &point];
            place.ovl(words).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let clears: Vec<_> = (0..4).map(|_| place.ovl(["cache", "clear"]).stdout(Stdio::null()).spawn().unwrap()).collect();
    let mut fresh = 0;
    for start in starts {
        let output = start.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        fresh += usize::from(said.contains("unpacked for the kernel"));
    }
    clears.into_iter().for_each(|mut clear| assert!(clear.wait().unwrap().success()));
    assert!(fresh >= 1);
    let digest = place.ok("digest --lower odd.zip");
    for number in 0..12 {
        assert_eq!(place.ok(&format!("digest --lower m{number}")), digest, "m{number}");
    }
    assert_eq!(place.ok("cache clear"), "", "what is mounted stays");
    assert_eq!(trees(&place).len(), 1);
}

#[test]
fn what_is_mounted_is_not_removed() {
    let Some(place) = with_zip() else { return };
    place.ok(MOUNT);
    let listed = place.json("cache list --json");
    assert_eq!(listed["schema"], "ovl.cache/1");
    let tree = &listed["trees"][0];
    assert_eq!((&tree["in_use"], &tree["entries"], &tree["bytes"]), (&true.into(), &3.into(), &6.into()));
    assert_eq!(tree["archive"], place.path("low.zip").to_str().unwrap());
    assert_eq!(place.json("cache clear --json")["removed"].as_array().unwrap().len(), 0);
    assert_eq!(place.ok("cache prune --unused-for 0"), "");
    assert_eq!(place.read("m/a"), "one");
    place.ok("unmount m");
    assert_eq!(place.ok("cache prune"), "", "it was used just now");
    for line in ["cache prune --unused-for 0 --dry-run --json", "cache prune --unused-for 0 --json"] {
        let removed = place.json(line);
        assert_eq!(removed["removed"].as_array().unwrap().len(), 1, "{line}");
        assert_eq!(removed["dry_run"], line.contains("dry"));
    }
    assert_eq!(place.json("cache list --json")["trees"].as_array().unwrap().len(), 0);
}

#[test]
fn a_cache_that_is_not_there_is_empty() {
    let Some(place) = Place::private() else { return };
    for line in ["cache list", "cache prune", "cache clear"] {
        assert_eq!(place.ok(line), "");
    }
    assert!(!place.path("cache").exists());
}

#[test]
fn a_cache_of_another_user_is_not_used_and_that_of_this_user_is_closed() {
    let Some(place) = with_zip() else { return };
    place.dir("cache/ovl");
    chown(place.path("cache/ovl"), Some(1234), None).unwrap();
    for line in [MOUNT, "cache list", "cache clear"] {
        let (code, why) = place.fails(line);
        assert!(code == 5 && why.contains("belongs to user 1234") && why.contains("XDG_CACHE_HOME"), "{code} {why}");
    }
    chown(place.path("cache/ovl"), Some(0), None).unwrap();
    fs::set_permissions(place.path("cache/ovl"), Permissions::from_mode(0o777)).unwrap();
    place.ok(MOUNT);
    assert_eq!(fs::metadata(place.path("cache/ovl")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_full_disk_and_a_cache_that_is_only_read_are_told() {
    let Some(place) = with_zip() else { return };
    fs::write(place.path("large.zip"), odd()).unwrap();
    let cache = place.dir("cache");
    mount("tmpfs", &cache, "tmpfs", MountFlags::empty(), Some(c"size=1m,nr_inodes=40")).unwrap();
    let (code, why) = place.fails("mount --driver kernel --lower large.zip --upper u m");
    assert!(code == 74 && why.contains("there is room for") && why.contains("XDG_CACHE_HOME"), "{code} {why}");
    let many: Vec<Member> = (0..50).map(|number| Member::stored(format!("{number}"), "")).collect();
    fs::write(place.path("many.zip"), archive(many)).unwrap();
    let (code, why) = place.fails("mount --driver kernel --lower many.zip --upper u m");
    assert!(code == 74 && why.contains("No space left"), "{code} {why}");
    assert_eq!(trees(&place).len(), 0, "nothing is left of it");
    place.ok(MOUNT);
    place.ok("unmount m");
    mount_remount(&cache, MountFlags::RDONLY, "").unwrap();
    place.ok(MOUNT);
    assert_eq!(place.read("m/a"), "one");
    place.ok("unmount m");
    let (code, why) = place.fails("mount --driver kernel --lower many.zip --upper u m");
    assert!(code == 5 && why.contains("Read-only"), "{code} {why}");
    assert_eq!(place.fails("cache clear").0, 5);
}

#[test]
fn a_directory_within_a_zip_is_mounted_by_itself() {
    let Some(place) = with_zip() else { return };
    place.ok("mount --driver kernel --lower type=zip,path=low.zip,root=/d --upper u m");
    assert_eq!(place.read("m/b"), "two");
    assert!(!place.path("m/a").exists());
    place.ok("unmount m");
    for (root, code, reason) in [("none", 3, "the lower low.zip has no directory /none"), ("a", 2, "is no directory")] {
        let (real, why) =
            place.fails(&format!("mount --driver kernel --lower type=zip,path=low.zip,root=/{root} --upper u m"));
        assert!(real == code && why.contains(reason), "{real} {why}");
    }
    let (code, why) = place.fails("mount --driver kernel --lower low.zip --lower low.zip m");
    assert!(code == 2 && why.contains("the lower low.zip is also the lower low.zip"), "{code} {why}");
}

#[test]
fn strict_refuses_an_archive_that_was_unpacked_without_it() {
    let Some(place) = with_zip() else { return };
    fs::write(place.path("odd.zip"), archive([Member::stored("../up", "x"), Member::stored("in", "y")])).unwrap();
    let line = "mount --driver kernel --lower odd.zip --upper u m";
    assert_eq!(place.fails(&format!("{line} --strict")).0, 6);
    assert_eq!(trees(&place).len(), 0);
    assert!(said(&place, line).contains("1 entry of odd.zip cannot be shown"));
    place.ok("unmount m");
    let (code, why) = place.fails(&format!("{line} --strict"));
    assert!(code == 6 && why.contains("odd.zip"), "{code} {why}");
    assert!(!place.path("up").exists() && !place.path("cache/ovl/up").exists());
    let names: Vec<_> =
        fs::read_dir(trees(&place)[0].join("tree")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [OsStr::from_bytes(b"in")]);
}
