//! Looking at a mounted stack.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    process::Command,
    sync::Arc,
};

use ovl_core::{
    Layer, Overlay,
    layers::zip,
    overlay::Policy,
    testing::zip_builder::{Member, archive},
};
use rustix::io::Errno;

use crate::{
    in_private,
    place::{Place, errno, stack},
};

#[test]
fn the_merged_tree_shows_with_its_attributes() {
    in_private!();
    let place = Place::new();
    place.file("l/d/a", "lower");
    place.file("l/d/b", "covered");
    place.file("u/d/b", "upper");
    symlink("d/a", place.path("l/s")).unwrap();
    fs::set_permissions(place.path("l/d/a"), fs::Permissions::from_mode(0o640)).unwrap();
    let mount = place.mounted();
    assert_eq!(mount.names(""), ["d", "s"]);
    assert_eq!(mount.names("d"), ["a", "b"]);
    assert_eq!((mount.read("d/a").as_str(), mount.read("d/b").as_str()), ("lower", "upper"));
    assert_eq!(mount.read("s"), "lower");
    assert_eq!(fs::read_link(mount.path("s")).unwrap().to_str(), Some("d/a"));
    let (mine, theirs) = (fs::metadata(mount.path("d/a")).unwrap(), fs::metadata(place.path("l/d/a")).unwrap());
    let facts =
        |meta: &fs::Metadata| (meta.mode(), meta.uid(), meta.gid(), meta.size(), meta.mtime(), meta.mtime_nsec());
    assert_eq!(facts(&mine), facts(&theirs));
    // R06: a merged directory shows one link.
    assert_eq!(fs::metadata(mount.path("d")).unwrap().nlink(), 1);
    assert_eq!(errno(fs::metadata(mount.path("none"))), Some(Errno::NOENT.raw_os_error()));
    assert_eq!(errno(fs::metadata(mount.path(&"n".repeat(256)))), Some(Errno::NAMETOOLONG.raw_os_error()));
}

#[test]
fn numbers_agree_between_listing_and_looking_and_stay_over_copy_up() {
    in_private!();
    let place = Place::new();
    (0..50).for_each(|i| drop(place.file(&format!("l/f{i}"), "x")));
    let mount = place.mounted();
    let listed: Vec<_> = fs::read_dir(mount.path("")).unwrap().map(Result::unwrap).collect();
    assert_eq!(listed.len(), 50);
    for entry in &listed {
        use std::os::unix::fs::DirEntryExt;
        assert_eq!(entry.ino(), entry.metadata().unwrap().ino(), "{:?}", entry.file_name());
    }
    let before = fs::metadata(mount.path("f1")).unwrap().ino();
    fs::write(mount.path("f1"), "changed").unwrap();
    assert_eq!(fs::metadata(mount.path("f1")).unwrap().ino(), before);
}

#[test]
fn an_open_directory_keeps_its_snapshot_until_it_is_rewound() {
    in_private!();
    let place = Place::new();
    place.file("l/d/a", "");
    let mount = place.mounted();
    let mut dir = rustix::fs::Dir::new(File::open(mount.path("d")).unwrap()).unwrap();
    let names = |dir: &mut rustix::fs::Dir| -> Vec<String> {
        let names = dir.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    };
    assert_eq!(names(&mut dir), ["a"]);
    fs::write(mount.path("d/b"), "").unwrap();
    dir.rewind();
    assert_eq!(names(&mut dir), ["a", "b"]);
}

#[test]
fn reading_leaves_the_lower_and_the_upper_alone() {
    in_private!();
    let place = Place::new();
    let file = place.file("l/d/a", "lower");
    let old = rustix::fs::Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: old, last_modification: old };
    rustix::fs::utimensat(rustix::fs::CWD, &file, &times, rustix::fs::AtFlags::empty()).unwrap();
    let mount = place.mounted();
    assert_eq!(mount.read("d/a"), "lower");
    assert_eq!(mount.names("d"), ["a"]);
    assert_eq!(fs::metadata(&file).unwrap().atime(), 1_000_000_000);
    assert_eq!(fs::read_dir(place.path("u")).unwrap().count(), 0);
}

#[test]
fn attributes_show_those_of_the_upper_form_aside() {
    in_private!();
    let place = Place::new();
    let file = place.file("l/f", "x");
    rustix::fs::setxattr(&file, "user.note", b"hello", rustix::fs::XattrFlags::empty()).unwrap();
    let mount = place.mounted();
    fs::set_permissions(mount.path("f"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut names = vec![0; 512];
    let len = rustix::fs::listxattr(mount.path("f"), &mut names).unwrap();
    assert_eq!(&names[..len], b"user.note\0");
    let mut value = [0; 16];
    assert_eq!(rustix::fs::getxattr(mount.path("f"), "user.note", &mut value), Ok(5));
    assert_eq!(rustix::fs::getxattr(mount.path("f"), "user.note", &mut value[..2]), Err(Errno::RANGE));
    assert_eq!(rustix::fs::getxattr(mount.path("f"), "user.none", &mut value), Err(Errno::NODATA));
}

#[test]
fn without_an_upper_every_change_is_refused_as_read_only() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "x");
    let lower = ovl_core::layers::host::lower(&place.path("l"), Default::default()).unwrap();
    let overlay = Overlay::new(None, vec![lower], Policy::default(), None).unwrap();
    let mount = place.mount(overlay);
    let read_only = Some(Errno::ROFS.raw_os_error());
    assert_eq!(errno(fs::write(mount.path("f"), "y")), read_only);
    assert_eq!(errno(fs::create_dir(mount.path("d"))), read_only);
    assert_eq!(mount.read("f"), "x");
}

#[test]
fn a_damaged_member_of_a_zip_fails_alone() {
    in_private!();
    let place = Place::new();
    let text = "what stands here".repeat(1000);
    let members = ["good", "bad"].map(|name| Member::deflated(name, &text));
    let mut bytes = archive(members);
    // The first occurrence of the name is in front of the member's bytes.
    let name = bytes.windows(3).position(|part| part == b"bad").unwrap();
    bytes[name + 3 + 20] ^= 0xff;
    fs::write(place.path("a.zip"), &bytes).unwrap();
    let source = ovl_core::layers::host::file(&place.path("a.zip")).unwrap();
    let lower: Arc<dyn Layer> = zip::open(source, &zip::Options::default()).unwrap();
    let overlay = Overlay::new(None, vec![lower], Policy::default(), None).unwrap();
    let mount = place.mount(overlay);
    assert_eq!(errno(fs::read(mount.path("bad"))), Some(Errno::IO.raw_os_error()));
    assert_eq!(mount.read("good"), text);
    assert_eq!(mount.names(""), ["bad", "good"]);
}

#[test]
fn holes_are_found_and_room_is_told() {
    in_private!();
    let place = Place::new();
    let file = File::create(place.file("l/f", "")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 1 << 20).unwrap();
    let mount = place.mounted();
    let open = File::open(mount.path("f")).unwrap();
    let data = rustix::fs::seek(&open, rustix::fs::SeekFrom::Data(0)).unwrap();
    assert!(data > 0 && data <= 1 << 20, "{data}");
    assert_eq!(rustix::fs::seek(&open, rustix::fs::SeekFrom::Hole(0)), Ok(0));
    let mut open = open;
    open.seek(SeekFrom::Start(1 << 20)).unwrap();
    let mut end = String::new();
    open.read_to_string(&mut end).unwrap();
    assert_eq!(end, "end");
    let (mine, theirs) = (rustix::fs::statvfs(mount.path("")).unwrap(), rustix::fs::statvfs(place.path("")).unwrap());
    assert_eq!((mine.f_blocks, mine.f_namemax), (theirs.f_blocks, 255));
}

#[test]
fn special_files_show_as_what_they_are() {
    in_private!();
    let place = Place::new();
    place.dir("l");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path("l/null"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::RUSR,
        rustix::fs::makedev(1, 3),
    )
    .unwrap();
    let mount = place.mounted();
    let meta = fs::symlink_metadata(mount.path("null")).unwrap();
    assert!(meta.file_type().is_char_device());
    assert_eq!(meta.rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(fs::read(mount.path("null")).unwrap(), b"");
}

#[test]
fn a_mount_point_within_a_layer_is_refused() {
    in_private!();
    let place = Place::new();
    let inside = place.dir("l/inside");
    let options = ovl_server::mount::fuse::Options { layers: vec![place.path("l")], ..Default::default() };
    let refused = ovl_server::mount::fuse::mount(stack(&place.path("u"), &[place.dir("l")], true), &inside, &options);
    assert_eq!(refused.unwrap_err().kind(), ovl_core::ErrorKind::InvalidInput);
}

#[test]
fn a_mount_in_use_stays_until_it_is_left() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "x");
    let mut mount = place.mounted();
    let open = File::open(mount.path("f")).unwrap();
    assert_eq!(mount.mounted.unmount().unwrap_err().kind(), ovl_core::ErrorKind::Busy);
    assert_eq!(mount.read("f"), "x");
    drop(open);
    // The kernel lets go of a closed file by itself; a sync of the mount waits for nothing else.
    while mount.mounted.unmount().is_err() {
        std::thread::yield_now();
    }
    let table = Command::new("findmnt").arg(mount.path("")).output().unwrap();
    assert!(!table.status.success(), "{}", String::from_utf8_lossy(&table.stdout));
}
