//! Changing a mounted stack.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
    process::Command,
};

use rustix::{
    fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with},
    io::Errno,
};

use crate::{
    in_private,
    place::{Place, errno},
};

fn text(mut file: &File) -> String {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn files_are_made_written_and_removed() {
    in_private!();
    let place = Place::new();
    place.file("l/d/f", "lower");
    let mount = place.mounted();
    fs::write(mount.path("d/new"), "content").unwrap();
    OpenOptions::new().append(true).open(mount.path("d/f")).unwrap().write_all(b"+more").unwrap();
    assert_eq!((mount.read("d/new").as_str(), mount.read("d/f").as_str()), ("content", "lower+more"));
    assert_eq!(fs::read_to_string(place.path("u/d/f")).unwrap(), "lower+more");
    assert_eq!(fs::read_to_string(place.path("l/d/f")).unwrap(), "lower");
    fs::remove_file(mount.path("d/f")).unwrap();
    assert_eq!(mount.names("d"), ["new"]);
    assert_eq!(fs::symlink_metadata(place.path("u/d/f")).unwrap().rdev(), 0);
    assert_eq!(errno(fs::remove_dir(mount.path("d"))), Some(Errno::NOTEMPTY.raw_os_error()));
    fs::remove_file(mount.path("d/new")).unwrap();
    fs::remove_dir(mount.path("d")).unwrap();
    assert_eq!(mount.names(""), [""; 0]);
}

#[test]
fn a_stream_of_writes_stays_one_object_of_the_upper() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "old");
    let mount = place.mounted();
    let file = OpenOptions::new().write(true).open(mount.path("f")).unwrap();
    let ino = fs::metadata(place.path("u/f")).unwrap().ino();
    for i in 0..100_u64 {
        file.write_all_at(&[b'a' + (i % 26) as u8; 4096], i * 4096).unwrap();
    }
    let upper = fs::metadata(place.path("u/f")).unwrap();
    assert_eq!((upper.ino(), upper.size()), (ino, 409_600));
    file.sync_all().unwrap();
    file.set_len(5).unwrap();
    assert_eq!(mount.read("f"), "aaaaa");
}

#[test]
fn opening_to_truncate_copies_no_content() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "lower");
    let mount = place.mounted();
    let _open = OpenOptions::new().write(true).truncate(true).open(mount.path("f")).unwrap();
    assert_eq!(fs::metadata(place.path("u/f")).unwrap().len(), 0);
    assert_eq!(mount.read("f"), "");
}

#[test]
fn an_old_descriptor_reads_what_is_written_after_copy_up() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "lower");
    let mount = place.mounted();
    let old = File::open(mount.path("f")).unwrap();
    assert_eq!(text(&old), "lower");
    fs::write(mount.path("f"), "upper, longer").unwrap();
    // D01, D07
    assert_eq!(text(&old), "upper, longer");
    assert_eq!(old.metadata().unwrap().len(), 13);
}

#[test]
fn an_unlinked_open_file_stays_usable() {
    in_private!();
    for written in [false, true] {
        let place = Place::new();
        place.file("l/f", "lower");
        let mount = place.mounted();
        let open = OpenOptions::new().read(true).write(written).open(mount.path("f")).unwrap();
        fs::remove_file(mount.path("f")).unwrap();
        assert_eq!(text(&open), "lower");
        assert_eq!(open.metadata().unwrap().nlink(), 0);
        if written {
            open.write_all_at(b"LOW", 0).unwrap();
            assert_eq!(text(&open), "LOWer");
            open.set_len(3).unwrap();
        }
        open.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(open.metadata().unwrap().mode() & 0o7777, 0o600);
        fs::write(mount.path("f"), "another").unwrap();
        assert_eq!(text(&open), if written { "LOW" } else { "lower" });
        assert_eq!(mount.read("f"), "another");
    }
}

#[test]
fn what_is_renamed_over_stays_usable_and_what_is_renamed_is_followed() {
    in_private!();
    let place = Place::new();
    place.file("l/a", "one");
    place.file("l/b", "two");
    let mount = place.mounted();
    let (one, two) = (File::open(mount.path("a")).unwrap(), File::open(mount.path("b")).unwrap());
    fs::rename(mount.path("a"), mount.path("b")).unwrap();
    assert_eq!((text(&one).as_str(), text(&two).as_str()), ("one", "two"));
    fs::write(mount.path("b"), "three").unwrap();
    assert_eq!((text(&one).as_str(), text(&two).as_str()), ("three", "two"));
}

#[test]
fn an_open_directory_is_followed_when_it_moves() {
    in_private!();
    let place = Place::new();
    place.file("l/d/deep/f", "x");
    let mount = place.mounted();
    let dir = File::open(mount.path("d/deep")).unwrap();
    fs::rename(mount.path("d"), mount.path("e")).unwrap();
    let at = rustix::fs::openat(&dir, "new", rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY, Mode::RUSR);
    at.unwrap();
    assert_eq!(mount.names("e/deep"), ["f", "new"]);
    assert_eq!(mount.names(""), ["e"]);
}

#[test]
fn links_share_content_and_number() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "x");
    let mount = place.mounted();
    fs::hard_link(mount.path("f"), mount.path("g")).unwrap();
    fs::write(mount.path("g"), "both").unwrap();
    assert_eq!(mount.read("f"), "both");
    let (f, g) = (fs::metadata(mount.path("f")).unwrap(), fs::metadata(mount.path("g")).unwrap());
    assert_eq!((f.ino(), f.nlink()), (g.ino(), 2));
    fs::remove_file(mount.path("f")).unwrap();
    assert_eq!((mount.read("g").as_str(), fs::metadata(mount.path("g")).unwrap().nlink()), ("both", 1));
}

#[test]
fn renames_take_their_flags() {
    in_private!();
    let place = Place::new();
    place.file("l/a", "a");
    place.file("l/b", "b");
    place.file("l/d/x", "x");
    let mount = place.mounted();
    let rename = |from: &str, to: &str, flags| renameat_with(CWD, mount.path(from), CWD, mount.path(to), flags);
    assert_eq!(rename("a", "b", RenameFlags::NOREPLACE), Err(Errno::EXIST));
    assert_eq!(rename("a", "b", RenameFlags::WHITEOUT), Err(Errno::INVAL));
    assert_eq!(rename("a", "b", RenameFlags::EXCHANGE), Ok(()));
    assert_eq!((mount.read("a").as_str(), mount.read("b").as_str()), ("b", "a"));
    assert_eq!(rename("a", "d", RenameFlags::EXCHANGE), Ok(()));
    assert_eq!((mount.read("d").as_str(), mount.read("a/x").as_str()), ("b", "x"));
    assert_eq!(rename("a", "c", RenameFlags::NOREPLACE), Ok(()));
    assert_eq!(mount.names(""), ["b", "c", "d"]);
}

#[test]
fn attributes_are_set_and_reach_the_upper() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "x");
    let mount = place.mounted();
    let (mine, theirs) = (mount.path("f"), place.path("u/f"));
    fs::set_permissions(&mine, fs::Permissions::from_mode(0o4751)).unwrap();
    std::os::unix::fs::chown(&mine, Some(1234), Some(99)).unwrap();
    let time = |tv_sec, tv_nsec| rustix::fs::Timespec { tv_sec, tv_nsec };
    let times = rustix::fs::Timestamps { last_access: time(-1, 5), last_modification: time(1_234_567_890, 123) };
    rustix::fs::utimensat(CWD, &mine, &times, rustix::fs::AtFlags::empty()).unwrap();
    for path in [&mine, &theirs] {
        let meta = fs::metadata(path).unwrap();
        // A new owner takes the setuid bit away, as the kernel has it.
        assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o751, 1234, 99));
        let times = (meta.atime(), meta.atime_nsec(), meta.mtime(), meta.mtime_nsec());
        assert_eq!(times, (-1, 5, 1_234_567_890, 123));
    }
    let set = |flags| rustix::fs::setxattr(&mine, "user.note", b"v", flags);
    assert_eq!(set(rustix::fs::XattrFlags::REPLACE), Err(Errno::NODATA));
    assert_eq!(set(rustix::fs::XattrFlags::CREATE), Ok(()));
    assert_eq!(set(rustix::fs::XattrFlags::CREATE), Err(Errno::EXIST));
    let mut value = [0; 4];
    assert_eq!(rustix::fs::getxattr(&theirs, "user.note", &mut value), Ok(1));
    assert_eq!(rustix::fs::removexattr(&mine, "user.note"), Ok(()));
    assert_eq!(rustix::fs::removexattr(&mine, "user.note"), Err(Errno::NODATA));
}

#[test]
fn who_makes_something_owns_it_and_the_kernel_checks_who_may() {
    in_private!();
    let place = Place::new();
    place.file("l/secret", "x");
    fs::create_dir(place.path("l/open")).unwrap();
    fs::set_permissions(place.path("l/open"), fs::Permissions::from_mode(0o2777)).unwrap();
    std::os::unix::fs::chown(place.path("l/open"), None, Some(77)).unwrap();
    fs::set_permissions(place.path("l/secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let mount = place.mounted();
    // Whoever is to reach the mount must be let through to it.
    let shell = |command: &str| {
        let program = format!("cd {} && umask 027 && {command}", mount.path("").display());
        Command::new("setpriv").args(["--reuid=4242", "--regid=4243", "--clear-groups", "sh", "-c", &program]).output()
    };
    let Ok(made) = shell("touch open/f && mkdir open/d") else { return println!("skipped: needs setpriv") };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for (name, mode) in [("open/f", 0o640), ("open/d", 0o2750)] {
        let meta = fs::metadata(place.path("u").join(name)).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (4242, 77, mode), "{name}");
    }
    assert!(!shell("cat secret").unwrap().status.success());
    assert!(!shell("touch new").unwrap().status.success());
}

#[test]
fn special_files_are_made_but_no_whiteouts() {
    in_private!();
    let place = Place::new();
    place.dir("l");
    let mount = place.mounted();
    let make = |name: &str, kind, device| mknodat(CWD, mount.path(name), kind, Mode::RUSR, device);
    assert_eq!(make("null", FileType::CharacterDevice, makedev(1, 3)), Ok(()));
    assert_eq!(make("pipe", FileType::Fifo, 0), Ok(()));
    assert_eq!(make("plain", FileType::RegularFile, 0), Ok(()));
    assert_eq!(make("whiteout", FileType::CharacterDevice, 0), Err(Errno::PERM));
    symlink("null", mount.path("link")).unwrap();
    assert_eq!(mount.names(""), ["link", "null", "pipe", "plain"]);
    assert_eq!(fs::symlink_metadata(place.path("u/null")).unwrap().rdev(), makedev(1, 3));
    assert_eq!(mount.read("link"), "");
}

#[test]
fn exclusive_creation_finds_what_is_there() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "x");
    let mount = place.mounted();
    let new = |name: &str| OpenOptions::new().write(true).create_new(true).mode(0o400).open(mount.path(name));
    assert_eq!(errno(new("f")), Some(Errno::EXIST.raw_os_error()));
    new("g").unwrap().write_all(b"written though read-only").unwrap();
    assert_eq!(mount.read("g"), "written though read-only");
}

#[test]
fn a_shared_mapping_is_written_back() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "0123456789");
    let mount = place.mounted();
    // dd maps nothing: a program of Python does, where there is one.
    let program =
        "import mmap,sys\nwith open(sys.argv[1],'r+b') as f:\n m=mmap.mmap(f.fileno(),0)\n m[2:4]=b'XY'\n m.flush()";
    let Ok(done) = Command::new("python3").args(["-c", program]).arg(mount.path("f")).output() else {
        return println!("skipped: needs python3");
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fs::read_to_string(place.path("u/f")).unwrap(), "01XY456789");
}
