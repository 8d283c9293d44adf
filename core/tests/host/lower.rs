//! A folder as a lower.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, Instant},
};

use ovl_core::{
    ErrorKind, Kind, Layer, Name, Opaque, Overlay, VPath, Xattr,
    layers::host::{self, LowerOptions, Namespace},
    overlay::{Follow, Policy},
    testing::drawing::read_all,
};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

use crate::place::{Place, is_root};

fn lower(place: &Place, namespace: Namespace) -> std::sync::Arc<host::HostLower> {
    let options = LowerOptions { namespace: Some(namespace), ..LowerOptions::default() };
    host::lower(&place.dir("l"), options).unwrap()
}

fn kinds(layer: &dyn Layer) -> Vec<(String, Kind)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let list = layer.list(&layer.root(), None, usize::MAX, false).unwrap();
    list.into_iter().map(|entry| (text(entry.name.as_bytes()), entry.kind)).collect()
}

fn found(layer: &dyn Layer, name: &str) -> Option<ovl_core::Node> {
    layer.lookup(&layer.root(), Name::new(name.as_bytes()).unwrap()).unwrap()
}

#[test]
fn every_kind_is_listed_and_fifos_are_never_opened() {
    let place = Place::new();
    let dir = place.dir("l");
    place.file("l/file", "text");
    place.dir("l/dir");
    symlink("/etc/passwd", dir.join("link")).unwrap();
    mknodat(CWD, dir.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let layer = lower(&place, Namespace::User);
    let expected = [("dir", Kind::Dir), ("fifo", Kind::Fifo), ("file", Kind::File), ("link", Kind::Symlink)];
    assert_eq!(kinds(&*layer), expected.map(|(name, kind)| (name.to_owned(), kind)));
    assert_eq!(layer.target(&found(&*layer, "link").unwrap()).unwrap(), b"/etc/passwd");
    let begun = Instant::now();
    let refused = layer.open(&found(&*layer, "fifo").unwrap()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::UnsupportedEntry);
    assert!(begun.elapsed() < Duration::from_secs(5), "opening the fifo would wait forever");
}

#[test]
fn a_node_outlives_its_name() {
    let place = Place::new();
    let path = place.file("l/a", "kept");
    let layer = lower(&place, Namespace::User);
    let node = found(&*layer, "a").unwrap();
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    let mut content = [0; 8];
    assert_eq!(layer.open(&node).unwrap().read_at(&mut content, 0).unwrap(), 4);
    assert_eq!(&content[..4], b"kept");
}

#[test]
fn readers_of_one_entered_directory_do_not_disturb_each_other() {
    let place = Place::new();
    (0..2000).for_each(|i| drop(place.file(&format!("l/d/n{i:04}"), "")));
    let layer = lower(&place, Namespace::User);
    for _ in 0..10 {
        let dir = layer.enter(&layer.root(), Name::new(b"d").unwrap()).unwrap().unwrap();
        let count = || layer.list(&dir, None, usize::MAX, false).unwrap().len();
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(counts, [2000; 4]);
    }
}

#[test]
fn an_entered_directory_is_never_one_outside() {
    let place = Place::new();
    place.dir("l");
    place.dir("outside");
    symlink(place.path("outside"), place.path("l/link")).unwrap();
    let layer = lower(&place, Namespace::User);
    let node = layer.enter(&layer.root(), Name::new(b"link").unwrap()).unwrap().unwrap();
    assert_eq!(node.kind, Kind::Symlink);
}

#[test]
fn pages_are_sorted_and_complete() {
    let place = Place::new();
    for i in 0..300 {
        place.file(&format!("l/n{i:03}"), "");
    }
    let layer = lower(&place, Namespace::User);
    let (mut names, mut after) = (Vec::new(), None::<ovl_core::NameBuf>);
    loop {
        let page = layer.list(&layer.root(), after.as_ref().map(|n| n.as_name()), 7, true).unwrap();
        names.extend(page.iter().map(|entry| String::from_utf8(entry.name.as_bytes().to_vec()).unwrap()));
        let Some(last) = page.last() else { break };
        after = Some(last.name.clone());
    }
    assert_eq!(names, (0..300).map(|i| format!("n{i:03}")).collect::<Vec<_>>());
}

#[test]
fn marks_are_read_in_the_namespace_in_use_and_hidden() {
    let place = Place::new();
    let dir = place.dir("l/d");
    let file = place.file("l/f", "");
    for (name, value) in [
        ("user.overlay.opaque", "y"),
        ("user.overlay.overlay.opaque", "n"),
        ("user.note", "1"),
        ("user.overlay.redirect", "/x/y"),
    ] {
        setxattr(&dir, name, value.as_bytes(), XattrFlags::empty()).unwrap();
    }
    setxattr(&file, "user.overlay.whiteout", b"", XattrFlags::empty()).unwrap();
    let layer = lower(&place, Namespace::User);
    let node = found(&*layer, "d").unwrap();
    let marks = layer.marks(&node).unwrap();
    assert_eq!((marks.opaque, marks.redirect.as_deref()), (Opaque::Yes, Some(&b"/x/y"[..])));
    let xattr = |name: &str, value: &str| Xattr { name: name.as_bytes().into(), value: value.as_bytes().into() };
    assert_eq!(layer.xattrs(&node).unwrap(), [xattr("user.note", "1"), xattr("user.overlay.opaque", "n")]);
    assert_eq!(found(&*layer, "f").unwrap().kind, Kind::Whiteout);
    // The other namespace's marks are plain data (X03).
    let other = lower(&place, Namespace::Trusted);
    assert_eq!(other.marks(&node_of(&*other, "d")).unwrap().opaque, Opaque::No);
    assert_eq!(other.xattrs(&node_of(&*other, "d")).unwrap().len(), 4);
    assert_eq!(found(&*other, "f").unwrap().kind, Kind::File);
}

fn node_of(layer: &dyn Layer, name: &str) -> ovl_core::Node {
    found(layer, name).unwrap()
}

#[test]
fn bad_marks_are_refused_and_only_one_byte_makes_opaque() {
    let place = Place::new();
    let dir = place.dir("l/d");
    let file = place.file("l/f", "");
    let layer = lower(&place, Namespace::User);
    for bad in ["", "a/b", "//a", "/a//b", "/a/", "/", "..", "/a/../b"] {
        setxattr(&dir, "user.overlay.redirect", bad.as_bytes(), XattrFlags::empty()).unwrap();
        let error = layer.marks(&node_of(&*layer, "d")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadMark, "{bad:?}");
    }
    setxattr(&dir, "user.overlay.redirect", b"ok", XattrFlags::empty()).unwrap();
    for (value, opaque) in [("y", Opaque::Yes), ("x", Opaque::Xwhiteouts), ("yes", Opaque::No), ("n", Opaque::No)] {
        setxattr(&dir, "user.overlay.opaque", value.as_bytes(), XattrFlags::empty()).unwrap();
        assert_eq!(layer.marks(&node_of(&*layer, "d")).unwrap().opaque, opaque, "{value}");
    }
    for (value, good) in [(&b""[..], true), (&[0, 4, 0, 0], true), (&[0, 4, 0], false), (&[1, 4, 0, 0], false)] {
        setxattr(&file, "user.overlay.metacopy", value, XattrFlags::empty()).unwrap();
        let marks = layer.marks(&node_of(&*layer, "f"));
        assert_eq!(
            marks.map(|m| m.metacopy).map_err(|e| e.kind()),
            if good { Ok(true) } else { Err(ErrorKind::Corrupt) }
        );
    }
}

#[test]
fn only_the_0_0_device_is_a_whiteout() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let dir = place.dir("l");
    for (name, minor) in [("gone", 0), ("null", 3)] {
        let dev = makedev(if minor == 0 { 0 } else { 1 }, minor);
        mknodat(CWD, dir.join(name), FileType::CharacterDevice, Mode::empty(), dev).unwrap();
    }
    let layer = lower(&place, Namespace::Trusted);
    assert_eq!(kinds(&*layer), [("gone".to_owned(), Kind::Whiteout), ("null".to_owned(), Kind::Char)]);
    let rdev = layer.stat(&node_of(&*layer, "null")).unwrap().rdev;
    assert_eq!((rdev.major, rdev.minor), (1, 3));
}

#[test]
fn a_missing_root_a_file_and_a_special_file_are_told_apart() {
    let place = Place::new();
    place.file("l", "");
    let open = |name: &str| host::lower(&place.path(name), LowerOptions::default()).unwrap_err().kind();
    assert_eq!((open("none"), open("l")), (ErrorKind::NotFound, ErrorKind::NotADirectory));
    let file = |name: &str| host::file(&place.path(name)).err().map(|e| e.kind());
    mknodat(CWD, place.path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!((file("none"), file("l")), (Some(ErrorKind::NotFound), None));
    assert_eq!(file("fifo"), Some(ErrorKind::Unsupported));
}

#[test]
fn the_stamp_of_a_file_changes_when_it_is_rewritten_or_truncated() {
    let place = Place::new();
    let path = place.file("a.zip", "0123456789");
    let blob = host::file(&path).unwrap();
    let first = blob.stamp().unwrap();
    assert_eq!(blob.stamp().unwrap(), first);
    fs::File::options().write(true).open(&path).unwrap().set_len(5).unwrap();
    assert_ne!(blob.stamp().unwrap(), first);
}

#[test]
fn holes_are_told_from_data() {
    let place = Place::new();
    let path = place.file("l/sparse", "head");
    fs::File::options().write(true).open(&path).unwrap().set_len(8 << 20).unwrap();
    let layer = lower(&place, Namespace::User);
    let blob = layer.open(&node_of(&*layer, "sparse")).unwrap();
    let first = blob.next_data(0).unwrap().unwrap();
    assert!(first.start == 0 && first.end < 1 << 20, "{first:?}");
    assert_eq!(blob.next_data(first.end).unwrap(), None);
}

/// A thread swaps a directory for a symlink to a canary while names are looked up and read (trust T6).
#[test]
fn a_swapped_symlink_leads_nobody_out() {
    let place = Place::new();
    place.file("outside/secret", "canary");
    place.file("l/dir/secret", "inside");
    symlink(place.path("outside"), place.path("l/link")).unwrap();
    let layer = lower(&place, Namespace::User);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    let (mut inside, mut links) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, link) = (place.path("l/dir"), place.path("l/link"));
            while !stop.load(order) {
                rustix::fs::renameat_with(CWD, &dir, CWD, &link, rustix::fs::RenameFlags::EXCHANGE).unwrap();
            }
        });
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            match read_secret(&*layer) {
                Some(content) => {
                    assert_eq!(content, b"inside");
                    inside += 1;
                }
                None => links += 1,
            }
        }
        stop.store(true, order);
    });
    assert!(inside > 100 && links > 100, "the race must be run: {inside} inside, {links} links");
}

/// Looks up `dir/secret`; `None` when `dir` is the symlink at that moment.
fn read_secret(layer: &dyn Layer) -> Option<Vec<u8>> {
    let dir = found(layer, "dir").unwrap();
    let secret = Name::new(b"secret").unwrap();
    let Ok(Some(file)) = layer.lookup(&dir, secret) else { return None };
    let mut content = vec![0; 16];
    let len = layer.open(&file).unwrap().read_at(&mut content, 0).unwrap();
    content.truncate(len);
    Some(content)
}

#[test]
fn reading_leaves_access_times_alone() {
    let place = Place::new();
    let path = place.file("l/a", "text");
    let old = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 };
    let times = rustix::fs::Timestamps { last_access: old, last_modification: old };
    rustix::fs::utimensat(CWD, &path, &times, rustix::fs::AtFlags::empty()).unwrap();
    let layer = lower(&place, Namespace::User);
    let node = node_of(&*layer, "a");
    layer.open(&node).unwrap().read_at(&mut [0; 4], 0).unwrap();
    assert_eq!(layer.stat(&node).unwrap().attrs.atime.secs, 1);
}

#[test]
fn a_directory_closed_to_us_is_an_error_not_an_absence() {
    let place = Place::new();
    place.file("l/shut/a", "");
    fs::set_permissions(place.path("l/shut"), fs::Permissions::from_mode(0o000)).unwrap();
    let layer = lower(&place, Namespace::User);
    let shut = node_of(&*layer, "shut");
    let looked = layer.lookup(&shut, Name::new(b"a").unwrap());
    let root = rustix::process::geteuid().is_root();
    assert_eq!(
        looked.map(|node| node.is_some()).map_err(|e| e.kind()),
        if root { Ok(true) } else { Err(ErrorKind::PermissionDenied) }
    );
    fs::set_permissions(place.path("l/shut"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn what_is_told_by_name_is_what_a_lookup_finds() {
    let place = Place::new();
    let mark = |path: &str, name: &str, value: &[u8]| {
        setxattr(place.path(path), name, value, XattrFlags::empty()).unwrap();
    };
    // Each mark that can make a name of a layer something else than its inode says, and each that cannot.
    for layer in ["l", "m"] {
        for dir in ["d", "x", "o"] {
            for name in ["plain", "white", "gone", "meta", "sent", "noted"] {
                place.file(&format!("{layer}/{dir}/{name}"), if name == "plain" { layer } else { "" });
            }
            symlink("plain", place.path(&format!("{layer}/{dir}/link"))).unwrap();
            place.dir(&format!("{layer}/{dir}/sub"));
        }
        mark(&format!("{layer}/x"), "user.overlay.opaque", b"x");
        for dir in ["d", "x", "o"] {
            mark(&format!("{layer}/{dir}/gone"), "user.overlay.whiteout", b"");
            mark(&format!("{layer}/{dir}/meta"), "user.overlay.metacopy", b"");
            mark(&format!("{layer}/{dir}/sent"), "user.overlay.metacopy", b"");
            mark(&format!("{layer}/{dir}/sent"), "user.overlay.redirect", b"plain");
            mark(&format!("{layer}/{dir}/noted"), "user.note", b"1");
        }
    }
    mark("l/o", "user.overlay.opaque", b"y");
    place.file("m/d/below", "shows");
    place.file("m/o/below", "is hidden");
    let open = |name: &str| {
        let options = LowerOptions { namespace: Some(Namespace::User), ..LowerOptions::default() };
        host::lower(&place.path(name), options).unwrap() as std::sync::Arc<dyn Layer>
    };
    let overlay = Overlay::new(None, vec![open("l"), open("m")], Policy::default(), None).unwrap();
    overlay.remember_dirs(100);
    for dir in ["", "d/", "x/", "o/"] {
        for name in ["plain", "white", "gone", "meta", "sent", "noted", "link", "sub", "below", "none", "d"] {
            let path = VPath::parse(format!("{dir}{name}").as_bytes()).unwrap();
            // The first lookup finds the directory; what comes behind it may go by name.
            let found = overlay.entry(&path, Follow::No).map_err(|e| e.kind());
            let shown = found.map(|info| Some((info.stat, info.layers[0])));
            let shown = shown.or_else(|kind| if kind == ErrorKind::NotFound { Ok(None) } else { Err(kind) });
            assert_eq!(overlay.stat(&path).map_err(|e| e.kind()), shown, "{path}");
            let noted = overlay.xattrs(&path, Follow::No).map(|all| all.len()).map_err(|e| e.kind());
            let expected =
                shown.and_then(|shown| shown.map(|_| usize::from(name == "noted")).ok_or(ErrorKind::NotFound));
            assert_eq!(noted, expected, "{path}");
        }
    }
}

#[test]
fn a_directory_that_is_remembered_shows_as_it_was_until_it_is_forgotten() {
    let place = Place::new();
    place.file("l/d/f", "old");
    let overlay = Overlay::new(None, vec![lower(&place, Namespace::User)], Policy::default(), None).unwrap();
    let path = VPath::parse(b"d/f").unwrap();
    let read = || String::from_utf8(read_all(&*overlay.open(&path, Follow::No).unwrap().1).unwrap()).unwrap();
    overlay.remember_dirs(100);
    assert_eq!(read(), "old");
    fs::rename(place.dir("l/d"), place.dir("l").join("e")).unwrap();
    place.file("l/d/f", "new");
    assert_eq!(read(), "old");
    overlay.forget_dirs();
    assert_eq!(read(), "new");
}
