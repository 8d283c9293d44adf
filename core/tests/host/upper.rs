//! A folder as an upper: opening, forms, metadata as data, failures.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use ovl_core::{
    Attrs, Change, Device, ErrorKind, Kind, Layer, Name, New, Overlay, Stat, Step, Time, WritableLayer, Xattr,
    layers::host::{self, Durability, Form, HostUpper, LowerOptions, UpperOptions},
    overlay::{At, Detail, Follow, PutOptions, Removal, RenameHow, Shown, WalkOptions},
};

use crate::place::{Mount, Place, ctx, form, is_root, path, put, read, shown, stack};

#[test]
fn a_missing_upper_is_made_and_its_work_directory_beside_it() {
    let place = Place::new();
    let upper = place.upper(UpperOptions::default()).unwrap();
    assert!(place.path("u").is_dir() && place.path("u.ovl-work/stage").is_dir());
    assert!(!upper.form_reason().is_empty());
}

#[test]
fn a_renamed_directory_of_a_lower_is_listed_with_the_one_link_of_a_merged_one() {
    let place = Place::new();
    place.file("l/old/inner/a", "1");
    let overlay = place.overlay(form(Form::Portable));
    overlay.rename(&ctx(), &path("old"), &path("moved"), RenameHow::Replace).unwrap();
    let detail = Detail { stats: true, ..Detail::default() };
    let links = |shown: &Shown| shown.stat.map(|stat| stat.nlink);
    assert_eq!(overlay.entry(&path("moved"), Follow::No).unwrap().stat.nlink, 1);
    assert_eq!(overlay.list(&path(""), None, 9, detail).unwrap().iter().map(links).collect::<Vec<_>>(), [Some(1)]);
    let walk = overlay.walk(&path(""), WalkOptions { detail, ..WalkOptions::default() }).unwrap();
    assert_eq!(walk.map(|line| links(&line.unwrap().1)).next(), Some(Some(1)));
}

#[test]
fn a_second_opener_is_told_that_it_is_in_use() {
    let place = Place::new();
    let first = place.upper(UpperOptions::default()).unwrap();
    let error = place.upper(UpperOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    // Another work directory does not get around it.
    let elsewhere = UpperOptions { work: Some(place.path("w")), ..UpperOptions::default() };
    assert_eq!(place.upper(elsewhere).unwrap_err().kind(), ErrorKind::Busy);
    drop(first);
    assert!(place.upper(UpperOptions::default()).is_ok());
}

#[test]
fn an_upper_is_looked_at_in_every_form_while_another_uses_it() {
    for (form_, name) in [(Form::KernelTrusted, "trusted"), (Form::KernelUser, "user"), (Form::Portable, "portable")] {
        if form_ == Form::KernelTrusted && !is_root() {
            continue;
        }
        let place = Place::new();
        for file in ["l/d/x", "l/gone", "l/o/hidden"] {
            place.file(file, "low");
        }
        let overlay = place.overlay(form(form_));
        put(&overlay, "d/new", "up");
        overlay.remove(&ctx(), &path("gone"), Removal::File).unwrap();
        overlay.remove(&ctx(), &path("o"), Removal::Tree).unwrap();
        overlay.mkdir(&ctx(), &path("o"), None).unwrap();
        let look = || {
            let upper = host::upper_to_read(&place.path("u"), &UpperOptions::default()).unwrap();
            let lower = host::lower(&place.path("l"), LowerOptions::default()).unwrap();
            Overlay::to_read(upper, vec![lower]).unwrap()
        };
        assert_eq!(shown(&look()), shown(&overlay), "{name}");
        put(&overlay, "later", "up");
        assert_eq!(shown(&look()), shown(&overlay), "{name}");
        let refused = look().mkdir(&ctx(), &path("n"), None).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{name}");
        let other = if form_ == Form::Portable { Form::KernelUser } else { Form::Portable };
        let error = host::upper_to_read(&place.path("u"), &form(other)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongForm, "{name}");
    }
}

#[test]
fn the_story_of_the_upper_file() {
    let place = Place::new();
    place.file("l/file1", "lower 1");
    place.file("l/file2", "lower 2");
    place.file("u/file1", "upper 1");
    let overlay = place.overlay(UpperOptions::default());
    assert_eq!((read(&overlay, "file1"), read(&overlay, "file2")), ("upper 1".into(), "lower 2".into()));
    put(&overlay, "file3", "new");
    assert_eq!(fs::read_to_string(place.path("u/file3")).unwrap(), "new");
    assert!(!place.path("l/file3").exists());
    drop(overlay);
    let again = stack(place.upper(UpperOptions::default()).unwrap(), &[place.path("l")]);
    assert_eq!(read(&again, "file3"), "new");
}

#[test]
fn another_form_is_refused_and_both_are_named() {
    let place = Place::new();
    drop(place.upper(form(Form::KernelUser)).unwrap());
    let error = place.upper(form(Form::Portable)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongForm);
    assert!(error.to_string().contains("kernel-user") && error.to_string().contains("portable"), "{error}");
    assert_eq!(place.upper(UpperOptions::default()).unwrap().form(), Form::KernelUser);
}

#[test]
fn a_work_directory_inside_the_upper_or_above_it_is_refused() {
    let place = Place::new();
    for work in ["u/work", "."] {
        let options = UpperOptions { work: Some(place.path(work)), ..UpperOptions::default() };
        let error = place.upper(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{work}");
        assert!(error.to_string().contains("--work"), "{error}");
    }
}

#[test]
fn an_upload_that_is_dropped_leaves_nothing() {
    let place = Place::new();
    let overlay = place.overlay(UpperOptions::default());
    let upload = overlay.upload(&ctx()).unwrap();
    upload.write_at(b"lost", 0).unwrap();
    let staged = || fs::read_dir(place.path("u.ovl-work/stage")).unwrap().count();
    assert_eq!(staged(), 1);
    drop(upload);
    assert_eq!(staged(), 0);
    assert_eq!(overlay.entry(&path("lost"), ovl_core::overlay::Follow::No).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn leftovers_of_a_crash_are_removed_at_the_next_start() {
    let place = Place::new();
    drop(place.upper(UpperOptions::default()).unwrap());
    for i in 0..1000 {
        place.file(&format!("u.ovl-work/stage/#{i}/deep/file"), "stale");
    }
    let _upper = place.upper(UpperOptions::default()).unwrap();
    assert_eq!(fs::read_dir(place.path("u.ovl-work/stage")).unwrap().count(), 0);
}

#[test]
fn a_missing_parent_is_not_made() {
    let place = Place::new();
    let missing = place.path("none/u");
    let error = ovl_core::layers::host::upper(&missing, UpperOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn nothing_of_an_archive_reaches_an_inode_that_may_not() {
    if !is_root() {
        return;
    }
    for wanted in [Form::KernelTrusted, Form::KernelUser, Form::Portable] {
        let place = Place::new();
        let facts = hostile(&place.upper(form(wanted)).unwrap());
        nothing_privileged(&place, wanted);
        // Reopened, and read as a lower, it says the same as when it was written.
        assert_eq!(facts, described(&*place.upper(UpperOptions::default()).unwrap()), "{wanted}");
        let lower = host::lower(&place.path("u"), LowerOptions::default()).unwrap();
        assert_eq!(facts, described(&*lower), "{wanted}");
    }
}

fn nothing_privileged(place: &Place, wanted: Form) {
    for entry in fs::read_dir(place.path("u")).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.mode() & 0o7000, meta.uid(), meta.gid()), (0, 0, 0), "{wanted} {path:?}");
        assert!(meta.is_dir() || meta.is_file() || meta.is_symlink(), "{wanted} {path:?}");
        for name in xattr_names(&path) {
            let ours = name.starts_with("trusted.overlay.ovl_") || name.starts_with("user.overlay.ovl_");
            let escaped = name.starts_with("trusted.overlay.overlay.") || name.starts_with("user.overlay.overlay.");
            let marked = name.ends_with(".overlay.origin");
            assert!(ours || escaped || marked || name == "user.note", "{wanted} {path:?} carries {name}");
        }
    }
}

#[test]
fn what_is_kept_as_data_stays_data_when_it_is_edited_replaced_or_copied() {
    if !is_root() {
        return;
    }
    for wanted in [Form::KernelTrusted, Form::KernelUser, Form::Portable] {
        let place = Place::new();
        hostile(&place.upper(form(wanted)).unwrap());
        let overlay = place.overlay(form(wanted));
        let told = |at: &str| {
            let attrs = overlay.entry(&path(at), Follow::No).unwrap().stat.attrs;
            (attrs.mode, attrs.uid, attrs.gid, overlay.xattrs(&path(at), Follow::No).unwrap())
        };
        let before = told("a");
        overlay.write(&ctx(), &path("a"), At::End, &b"more".to_vec()).unwrap();
        put(&overlay, "a", "new");
        // A directory that is copied gets a mark of our own.
        for name in ["a", "c", "d", "e", "f", "g"] {
            let copy = format!("copy of {name}");
            let before = told(name);
            overlay.copy(&ctx(), &path(name), &path(&copy), RenameHow::NoReplace).unwrap();
            assert_eq!(told(&copy), before, "{wanted} {copy}");
        }
        assert_eq!(told("a"), before, "{wanted}");
        nothing_privileged(&place, wanted);
    }
}

/// Places what an archive may hold: every kind, with special bits, a foreign owner and forged marks.
fn hostile(upper: &HostUpper) -> Vec<Described> {
    let now = Time { secs: -7, nanos: 1 };
    let xattr = |name: &str| Xattr { name: name.as_bytes().into(), value: b"v".as_slice().into() };
    let xattrs = [
        "security.capability",
        "system.posix_acl_access",
        "trusted.overlay.opaque",
        "trusted.x",
        "user.note",
        "user.overlay.whiteout",
    ]
    .map(xattr);
    let kinds = [Kind::File, Kind::Dir, Kind::Symlink, Kind::Fifo, Kind::Socket, Kind::Char, Kind::Block];
    for (index, kind) in kinds.into_iter().enumerate() {
        let device = matches!(kind, Kind::Char | Kind::Block);
        let rdev = if device { Device { major: 300, minor: 70_000 } } else { Device::default() };
        let attrs = Attrs { mode: 0o7501, uid: 70_000, gid: 5, atime: now, mtime: now };
        let marks = ovl_core::Marks::default();
        let new = New { kind, attrs, rdev, target: b"t", xattrs: &xattrs, marks, copied_up: false, faithful: false };
        let (node, name) = (upper.stage(&new).unwrap(), [b'a' + index as u8]);
        let step = Step::Place { node: &node, dir: &upper.root(), name: Name::new(&name).unwrap(), quiet: false };
        upper.commit(&[step], now).unwrap();
        let stat = upper.stat(&node).unwrap();
        assert_eq!((stat.kind, stat.attrs, stat.rdev), (kind, attrs, rdev));
        assert_eq!(upper.xattrs(&node).unwrap(), xattrs);
    }
    described(upper)
}

type Described = (Stat, Vec<Xattr>);

fn described(layer: &dyn Layer) -> Vec<Described> {
    let root = layer.root();
    let list = layer.list(&root, None, 100, true).unwrap();
    let describe = |entry: ovl_core::Entry| {
        let node = layer.lookup(&root, entry.name.as_name()).unwrap().unwrap();
        let stat = layer.stat(&node).unwrap();
        assert_eq!(entry.stat, Some(stat));
        (stat, layer.xattrs(&node).unwrap())
    };
    list.into_iter().map(describe).collect()
}

fn xattr_names(path: &std::path::Path) -> Vec<String> {
    let mut names = vec![0; 4096];
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
    names[..len].split(|b| *b == 0).filter(|name| !name.is_empty()).map(text).collect()
}

#[test]
fn a_full_file_system_takes_nothing_and_gives_everything_back() {
    if !is_root() {
        return;
    }
    for wanted in [Form::KernelTrusted, Form::Portable] {
        let place = Place::new();
        let disk = Mount::new("tmpfs", "size=4m,nr_inodes=60", place.path("disk"));
        place.file("l/doomed", "lower");
        place.file("l/doomed2", "lower");
        let options = form(wanted);
        let upper = host::upper(&disk.path().join("u"), options).unwrap();
        let overlay = stack(upper, &[place.path("l")]);
        put(&overlay, "kept", "kept");
        let upload = overlay.upload(&ctx()).unwrap();
        let written = (0..64).try_for_each(|i| upload.write_at(&[1; 128 * 1024], i * 128 * 1024));
        assert_eq!(written.unwrap_err().kind(), ErrorKind::NoSpace);
        // The disk is full as long as the upload is there; deleting works all the same.
        overlay.remove(&ctx(), &path("doomed"), Removal::File).unwrap();
        drop(upload);
        put(&overlay, "next", "next");
        let staging = |_: u32| overlay.upload(&ctx());
        let mut held = Vec::new();
        let full = (0..100).map(staging).try_for_each(|upload| upload.map(|upload| held.push(upload)));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::NoSpace, "inodes run out");
        overlay.remove(&ctx(), &path("doomed2"), Removal::File).unwrap();
        drop(held);
        let shown = ["kept", "next"].map(|name| read(&overlay, name));
        assert_eq!(shown, ["kept", "next"].map(String::from));
        assert!(overlay.entry(&path("doomed"), Follow::No).is_err());
    }
}

#[test]
fn on_a_tiny_file_system_the_reserve_leaves_room_for_changes() {
    if !is_root() {
        return;
    }
    for size in ["size=1m", "size=256k"] {
        let place = Place::new();
        let disk = Mount::new("tmpfs", size, place.path("disk"));
        place.file("l/doomed", "lower");
        let upper = host::upper(&disk.path().join("u"), form(Form::KernelTrusted)).unwrap();
        let overlay = stack(upper, &[place.path("l")]);
        put(&overlay, "small", "small");
        let upload = overlay.upload(&ctx()).unwrap();
        let written = (0..256).try_for_each(|i| upload.write_at(&[1; 4096], i * 4096));
        assert_eq!(written.unwrap_err().kind(), ErrorKind::NoSpace);
        overlay.remove(&ctx(), &path("doomed"), Removal::File).unwrap();
        assert_eq!(read(&overlay, "small"), "small");
    }
}

#[test]
fn without_privileges_an_upper_takes_a_read_only_tree_and_edits_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for dir in [place.dir(""), place.dir("l")] {
        let (uid, gid) = (rustix::fs::Uid::from_raw(4711), rustix::fs::Gid::from_raw(4711));
        rustix::fs::chown(dir, Some(uid), Some(gid)).unwrap();
    }
    // The thread alone gives up its privileges.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(4711)).unwrap();
            edit_read_only_tree(&place);
        });
    });
}

fn edit_read_only_tree(place: &Place) {
    let upper = place.upper(UpperOptions::default()).unwrap();
    assert_eq!(upper.form(), Form::KernelUser, "{}", upper.form_reason());
    let attrs = Attrs { mode: 0o555, ..Attrs::default() };
    let (kind, rdev, marks) = (Kind::Dir, Device::default(), ovl_core::Marks::default());
    let new = New { kind, attrs, rdev, target: b"", xattrs: &[], marks, copied_up: false, faithful: false };
    let node = upper.stage(&new).unwrap();
    let step = Step::Place { node: &node, dir: &upper.root(), name: Name::new(b"shut").unwrap(), quiet: false };
    upper.commit(&[step], Time::default()).unwrap();
    let refused = upper.stage(&New { faithful: true, ..new }).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "a host's owner is refused, not dropped");
    let overlay = stack(upper, &[place.path("l")]);
    put(&overlay, "shut/a", "edited");
    let shut = overlay.entry(&path("shut"), Follow::No).unwrap().stat.attrs;
    assert_eq!((shut.mode, shut.uid), (0o555, 0), "kept as data");
}

/// Somebody swaps a directory of the upper for a symlink while it is changed (trust T6).
#[test]
fn a_swapped_symlink_takes_no_change_out_of_the_upper() {
    for wanted in [Form::KernelUser, Form::Portable] {
        let place = Place::new();
        place.file("outside/secret", "canary");
        let overlay = place.overlay(UpperOptions { durability: Durability::None, ..form(wanted) });
        overlay.mkdir(&ctx(), &path("dir"), None).unwrap();
        std::os::unix::fs::symlink(place.path("outside"), place.path("u/link")).unwrap();
        let stop = AtomicBool::new(false);
        let done = std::thread::scope(|scope| {
            scope.spawn(|| swap(&place, &stop));
            // Two seconds at least; on a busy machine, as long as it takes to have changed something.
            let (begun, mut done) = (Instant::now(), 0);
            while begun.elapsed() < Duration::from_secs(if done > 50 { 2 } else { 60 }) {
                done += usize::from(change_beneath(&overlay));
            }
            stop.store(true, Ordering::Relaxed);
            done
        });
        assert!(done > 50, "{wanted}: only {done} changes were made");
        let outside: Vec<_> = fs::read_dir(place.path("outside")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(outside, ["secret"], "{wanted}");
        assert_eq!(fs::read_to_string(place.path("outside/secret")).unwrap(), "canary", "{wanted}");
    }
}

fn swap(place: &Place, stop: &AtomicBool) {
    let (dir, link) = (place.path("u/dir"), place.path("u/link"));
    while !stop.load(Ordering::Relaxed) {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(rustix::fs::CWD, &dir, rustix::fs::CWD, &link, flags).unwrap();
    }
}

/// Writes, renames and removes `dir/secret`; what fails because `dir` is a link just now, fails. A link that
/// is followed leads to a path inside the merged tree, where nothing stands.
fn change_beneath(overlay: &Overlay) -> bool {
    let upload = overlay.upload(&ctx()).unwrap();
    upload.write_at(b"ours", 0).unwrap();
    let (secret, moved) = (path("dir/secret"), path("dir/moved"));
    let put = overlay.put(&ctx(), &secret, &upload, &PutOptions::default()).is_ok();
    let renamed = overlay.rename(&ctx(), &secret, &moved, RenameHow::Replace).is_ok();
    let removed = overlay.remove(&ctx(), &moved, Removal::File).is_ok();
    put && renamed && removed
}

#[test]
fn new_content_keeps_the_owner_of_a_host_lower_on_the_inode() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let lower = place.file("l/f", "old");
    std::os::unix::fs::chown(&lower, Some(1234), Some(4321)).unwrap();
    put(&place.overlay(UpperOptions::default()), "f", "new");
    let meta = fs::metadata(place.path("u/f")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1234, 4321));
}

/// Copies what lies in `l` up, once for its attributes and twice for its content, and returns owner and mode of what stands in the
/// upper then.
fn edited_twice(place: &Place) -> (u32, u32) {
    let overlay = place.overlay(form(Form::KernelTrusted));
    overlay.set(&ctx(), &path("f"), Follow::No, &Change::default()).unwrap();
    put(&overlay, "f", "new");
    overlay.write(&ctx(), &path("f"), At::End, &b"er".to_vec()).unwrap();
    let meta = fs::symlink_metadata(place.path("u/f")).unwrap();
    (meta.uid(), meta.mode() & 0o7777)
}

#[test]
fn an_owner_that_came_from_the_host_stays_on_the_inode_through_edits() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let file = place.file("l/f", "old");
    rustix::fs::chown(&file, Some(rustix::fs::Uid::from_raw(1234)), None).unwrap();
    rustix::fs::chmod(&file, rustix::fs::Mode::from_raw_mode(0o640)).unwrap();
    assert_eq!(edited_twice(&place), (1234, 0o640));
}

#[test]
fn content_that_a_client_wrote_runs_with_no_rights_of_the_file_that_it_replaced() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for name in ["put", "written", "kept"] {
        let file = place.file(&format!("l/{name}"), "old");
        rustix::fs::chmod(&file, rustix::fs::Mode::from_raw_mode(0o4755)).unwrap();
    }
    let overlay = place.overlay(form(Form::KernelTrusted));
    put(&overlay, "put", "new");
    overlay.write(&ctx(), &path("written"), At::End, &b"er".to_vec()).unwrap();
    // Up before a client writes it.
    overlay.set(&ctx(), &path("kept"), Follow::No, &Change::default()).unwrap();
    let on_inode = |name: &str| fs::symlink_metadata(place.path("u").join(name)).unwrap().mode() & 0o7777;
    assert_eq!(["put", "written", "kept"].map(on_inode), [0o755, 0o755, 0o4755]);
    put(&overlay, "kept", "new");
    assert_eq!(on_inode("kept"), 0o755);
    // The bit is kept as data.
    for name in ["put", "written", "kept"] {
        assert_eq!(overlay.entry(&path(name), Follow::No).unwrap().stat.attrs.mode, 0o4755, "{name}");
    }
}

#[test]
fn what_an_upper_keeps_as_data_stays_data_above_it() {
    if !is_root() {
        return;
    }
    for wanted in [Form::KernelTrusted, Form::KernelUser, Form::Portable] {
        let place = Place::new();
        hostile(&place.upper(form(wanted)).unwrap());
        fs::rename(place.path("u"), place.path("l")).unwrap();
        let overlay = place.overlay(form(wanted));
        for name in ["a", "c", "d", "e", "f", "g"] {
            overlay.set(&ctx(), &path(name), Follow::No, &Change::default()).unwrap();
        }
        nothing_privileged(&place, wanted);
    }
}
