//! One overlay, used through a mount and through the engine, as the server uses it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    thread,
};

use ovl_core::{
    Change, Time, VPath,
    overlay::{At, Ctx, Follow, PutOptions, Removal, RenameHow},
};

use rustix::io::Errno;

use crate::{
    in_private,
    place::{Mount, Place, errno, watched},
};

fn at(path: &str) -> VPath {
    VPath::parse(path.as_bytes()).unwrap()
}

fn ctx() -> Ctx {
    Ctx { now: Time { secs: 1_700_000_000, nanos: 0 }, umask: 0o022, ..Ctx::default() }
}

fn put(mount: &Mount, path: &str, text: &str) {
    let upload = mount.overlay.upload(&ctx()).unwrap();
    upload.write_at(text.as_bytes(), 0).unwrap();
    mount.overlay.put(&ctx(), &at(path), &upload, &PutOptions::default()).unwrap();
}

fn text(mut file: &File) -> String {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_others_change_shows_in_the_mount_at_once() {
    in_private!();
    let place = Place::new();
    place.file("l/d/f", "lower");
    let mount = place.mounted();
    // The kernel has seen and kept all of it, the missing name too.
    assert_eq!((mount.read("d/f").as_str(), mount.names("d").len()), ("lower", 1));
    assert!(fs::metadata(mount.path("d/new")).is_err());
    for round in 0..50 {
        let told = format!("round {round}, of another length {}", "x".repeat(round));
        put(&mount, "d/f", &told);
        assert_eq!(mount.read("d/f"), told);
        assert_eq!(fs::metadata(mount.path("d/f")).unwrap().len(), told.len() as u64);
        put(&mount, "d/new", &told);
        assert_eq!(mount.read("d/new"), told);
        mount.overlay.write(&ctx(), &at("d/new"), At::End, &b"!".to_vec()).unwrap();
        assert_eq!(mount.read("d/new"), format!("{told}!"));
        let mode = Change { mode: Some(0o600 + round as u32 % 8), ..Change::default() };
        mount.overlay.set(&ctx(), &at("d/new"), Follow::No, &mode).unwrap();
        let meta = std::os::unix::fs::MetadataExt::mode(&fs::metadata(mount.path("d/new")).unwrap());
        assert_eq!(meta & 0o7777, 0o600 + round as u32 % 8);
        mount.overlay.rename(&ctx(), &at("d/new"), &at("moved"), RenameHow::Replace).unwrap();
        assert_eq!((mount.names("d"), mount.read("moved")), (vec!["f".to_owned()], format!("{told}!")));
        mount.overlay.remove(&ctx(), &at("moved"), Removal::File).unwrap();
        assert!(fs::metadata(mount.path("moved")).is_err());
    }
}

#[test]
fn an_open_file_reads_what_others_put_and_writes_go_there() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "lower");
    let mount = place.mounted();
    let open = OpenOptions::new().read(true).write(true).open(mount.path("f")).unwrap();
    assert_eq!(text(&open), "lower");
    put(&mount, "f", "put by another");
    assert_eq!(text(&open), "put by another");
    open.write_all_at(b"PUT", 0).unwrap();
    assert_eq!(mount.read("f"), "PUT by another");
    assert_eq!(fs::read_to_string(place.path("u/f")).unwrap(), "PUT by another");
}

#[test]
fn a_file_that_others_remove_stays_usable_while_it_is_open() {
    in_private!();
    let place = Place::new();
    place.file("l/d/f", "lower");
    let mount = place.mounted();
    let open = OpenOptions::new().read(true).write(true).open(mount.path("d/f")).unwrap();
    mount.overlay.remove(&ctx(), &at("d"), Removal::Tree).unwrap();
    assert_eq!(mount.names(""), [""; 0]);
    open.write_all_at(b"LOW", 0).unwrap();
    assert_eq!(text(&open), "LOWer");
    assert_eq!(errno(fs::metadata(mount.path("d"))), Some(rustix::io::Errno::NOENT.raw_os_error()));
}

#[test]
fn what_is_discarded_shows_the_lower_again() {
    in_private!();
    let place = Place::new();
    place.file("l/d/f", "lower");
    place.file("l/d/g", "lower");
    let mount = place.mounted();
    fs::write(mount.path("d/f"), "upper").unwrap();
    fs::remove_file(mount.path("d/g")).unwrap();
    assert_eq!(mount.names("d"), ["f"]);
    mount.overlay.discard(&ctx(), &at("d")).unwrap();
    assert_eq!((mount.read("d/f").as_str(), mount.read("d/g").as_str()), ("lower", "lower"));
    fs::write(mount.path("d/g"), "upper").unwrap();
    mount.overlay.discard(&ctx(), &VPath::root()).unwrap();
    assert_eq!((mount.names("d").len(), mount.read("d/g").as_str()), (2, "lower"));
}

#[test]
fn what_is_written_through_the_mount_is_told_to_others_without_a_flood() {
    in_private!();
    let place = Place::new();
    place.file("l/f", "lower");
    let mount = place.mounted();
    let before = mount.overlay.generation();
    let open = OpenOptions::new().write(true).open(mount.path("f")).unwrap();
    let opened = mount.overlay.generation();
    assert_eq!(opened, before + 1, "copied up");
    open.write_all_at(b"a", 0).unwrap();
    let first = mount.overlay.generation();
    assert_eq!(first, opened + 1, "the first piece");
    (1..100).for_each(|i| open.write_all_at(b"a", i).unwrap());
    assert_eq!(mount.overlay.generation(), first);
    drop(open);
    assert_eq!(mount.overlay.generation(), first + 1, "that it is closed");
    fs::write(mount.path("f"), "one piece").unwrap();
    assert_eq!(mount.overlay.generation(), first + 3, "emptied and written, and nothing since");
}

#[test]
fn changes_from_both_sides_at_once_end() {
    in_private!();
    let place = Place::new();
    (0..20).for_each(|i| drop(place.file(&format!("l/d{}/f{i}", i % 4), "lower")));
    let mount = place.mounted();
    std::thread::scope(|scope| {
        for side in 0..2 {
            let mount = &mount;
            scope.spawn(move || {
                for round in 0..200 {
                    let (from, to) = (format!("d{}/m{side}", round % 4), format!("d{}/m{side}", (round + 1) % 4));
                    fs::write(mount.path(&from), "mount").unwrap();
                    fs::rename(mount.path(&from), mount.path(&to)).unwrap();
                    mount.names(&format!("d{}", round % 4));
                    fs::remove_file(mount.path(&to)).unwrap();
                }
            });
            scope.spawn(move || {
                for round in 0..200 {
                    let (from, to) = (format!("d{}/e{side}", round % 4), format!("d{}/e{side}", (round + 1) % 4));
                    put(mount, &from, "engine");
                    mount.overlay.rename(&ctx(), &at(&from), &at(&to), RenameHow::Replace).unwrap();
                    assert_eq!(mount.read(&to), "engine");
                    mount.overlay.remove(&ctx(), &at(&to), Removal::File).unwrap();
                }
            });
        }
    });
    assert_eq!((0..4).map(|i| mount.names(&format!("d{i}")).len()).sum::<usize>(), 20);
}

/// Changes and reads names that others change and read, too.
fn wander(mount: &Mount, seed: usize) {
    let settle = |done: io::Result<()>| match done.map_err(|error| Errno::from_io_error(&error)) {
        // Somebody else was faster, or this kernel has not heard of it yet.
        Ok(()) | Err(Some(Errno::NOENT | Errno::STALE | Errno::EXIST)) => {}
        failed => panic!("{failed:?}"),
    };
    for step in 0..300 {
        let name = |round: usize| mount.path(&format!("d{}/f{}", (seed + round) % 3, round % 2));
        settle(fs::write(name(step), "text"));
        settle(fs::rename(name(step), name(step + 1)));
        settle(fs::read_dir(mount.path(&format!("d{}", step % 3))).map(|dir| dir.for_each(drop)));
        settle(fs::read(name(step + 1)).map(drop));
        settle(fs::remove_file(name(step + 1)));
    }
}

#[test]
fn two_mounts_of_one_overlay_never_wait_for_each_other() {
    in_private!();
    let place = Place::new();
    (0..3).for_each(|i| drop(place.file(&format!("l/d{i}/f0"), "lower")));
    let overlay = place.overlay();
    let (one, other) = (place.mount_at("m", overlay.clone()), place.mount_at("n", overlay.clone()));
    watched(&[&one, &other], || {
        thread::scope(|scope| {
            for (seed, mount) in [&one, &other, &one, &other].into_iter().enumerate() {
                scope.spawn(move || wander(mount, seed));
            }
        });
        // Whoever is no mount waits until both kernels know all that has been done.
        put(&one, "last", "put");
        for dir in ["", "d0", "d1", "d2"] {
            assert_eq!(one.names(dir), other.names(dir));
        }
        let shown = |mount: &Mount, name: &str| fs::read_to_string(mount.path(name)).ok();
        for name in (0..6).map(|i| format!("d{}/f{}", i / 2, i % 2)) {
            assert_eq!(shown(&one, &name), shown(&other, &name), "{name}");
        }
    });
}
