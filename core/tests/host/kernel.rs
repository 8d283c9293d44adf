//! The kernel mounts what we wrote, and shows the same tree.

use std::{fs, os::unix::fs::MetadataExt};

use ovl_core::{
    Change,
    layers::host::{Form, UpperOptions},
    overlay::{Follow, Removal, RenameHow},
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::place::{Mount, Place, ctx, form, is_root, on_host, path, put, shown};

/// Lets the kernel mount `u` over `l`, with a work directory of its own.
fn mount(place: &Place, extra: &str) -> Mount {
    let work = place.dir("kernel-work");
    let (u, l) = (place.path("u"), place.path("l"));
    let options = format!("lowerdir={},upperdir={},workdir={}{extra}", l.display(), u.display(), work.display());
    Mount::new("overlay", &options, place.path("merged"))
}

fn lower_tree(place: &Place) {
    for (name, content) in
        [("l/f", "f"), ("l/g", "g"), ("l/d/a", "a"), ("l/d/b", "b"), ("l/e/deep/x", "x"), ("l/h/y", "y")]
    {
        place.file(name, content);
    }
    std::os::unix::fs::symlink("f", place.path("l/s")).unwrap();
}

fn change(place: &Place, options: UpperOptions) {
    let overlay = place.overlay(options);
    put(&overlay, "f", "changed");
    put(&overlay, "d/new", "new");
    let remove = |at: &str, how| overlay.remove(&ctx(), &path(at), how).unwrap();
    remove("g", Removal::File);
    remove("d/a", Removal::File);
    remove("e", Removal::Tree);
    overlay.mkdir(&ctx(), &path("e"), None).unwrap();
    overlay.mkdir(&ctx(), &path("pure"), Some(0o700)).unwrap();
    put(&overlay, "pure/z", "z");
    overlay.rename(&ctx(), &path("pure"), &path("pure2"), RenameHow::Replace).unwrap();
    overlay.rename(&ctx(), &path("s"), &path("t"), RenameHow::Replace).unwrap();
    overlay.link(&ctx(), &path("d/new"), &path("linked")).unwrap();
    if overlay.redirects() {
        overlay.rename(&ctx(), &path("h"), &path("moved"), RenameHow::Replace).unwrap();
    }
    let mode = Change { mode: Some(0o640), ..Change::default() };
    overlay.set(&ctx(), &path("d/b"), Follow::No, &mode).unwrap();
}

fn same_tree(form_: Form, extra: &str) {
    if !is_root() {
        return;
    }
    let place = Place::new();
    lower_tree(&place);
    change(&place, form(form_));
    let ours = shown(&place.overlay(UpperOptions::default()));
    {
        let mount = mount(&place, extra);
        assert_eq!(on_host(mount.path()), ours);
    }
    // The kernel's turn has left nothing that we read otherwise.
    assert_eq!(shown(&place.overlay(form(form_))), ours);
}

#[test]
fn a_trusted_upper_shows_the_same_to_the_kernel() {
    same_tree(Form::KernelTrusted, ",redirect_dir=on");
}

#[test]
fn a_user_upper_shows_the_same_to_the_kernel() {
    same_tree(Form::KernelUser, ",userxattr");
}

#[test]
fn what_the_kernel_wrote_is_read_and_written_on() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    lower_tree(&place);
    place.dir("u");
    {
        let mount = mount(&place, ",redirect_dir=on");
        let at = |name: &str| mount.path().join(name);
        fs::write(at("f"), "kernel").unwrap();
        fs::remove_file(at("g")).unwrap();
        fs::rename(at("h"), at("moved")).unwrap();
        fs::remove_dir_all(at("e")).unwrap();
        fs::create_dir(at("e")).unwrap();
    }
    let overlay = place.overlay(UpperOptions::default());
    let first = shown(&overlay);
    assert!(
        first.contains_key("/moved/y") && !first.contains_key("/g") && !first.contains_key("/e/deep"),
        "{first:#?}"
    );
    put(&overlay, "moved/y", "ours");
    let ours = shown(&overlay);
    drop(overlay);
    assert_eq!(on_host(mount(&place, ",redirect_dir=on").path()), ours);
}

#[test]
fn a_kernel_mount_on_the_upper_is_busy() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.dir("l");
    place.dir("u");
    let mount = mount(&place, "");
    let error = place.upper(UpperOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ovl_core::ErrorKind::Busy);
    assert!(error.to_string().contains(mount.path().to_str().unwrap()), "{error}");
}

#[test]
fn deletions_share_one_whiteout_inode() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    lower_tree(&place);
    let overlay = place.overlay(UpperOptions::default());
    for name in ["f", "g", "s"] {
        overlay.remove(&ctx(), &path(name), Removal::File).unwrap();
    }
    let inode = |name: &str| fs::symlink_metadata(place.path("u").join(name)).unwrap();
    let first = inode("f");
    assert_eq!((first.rdev(), first.mode() & 0o7777), (0, 0));
    assert!(inode("g").ino() == first.ino() && inode("s").ino() == first.ino());
}

#[test]
fn copying_up_keeps_what_the_kernel_keeps() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let file = place.file("l/d/f", "data");
    rustix::fs::chown(&file, Some(rustix::fs::Uid::from_raw(1234)), Some(rustix::fs::Gid::from_raw(99))).unwrap();
    rustix::fs::chmod(&file, Mode::from_raw_mode(0o4751)).unwrap();
    rustix::fs::setxattr(&file, "trusted.note", b"t", rustix::fs::XattrFlags::empty()).unwrap();
    mknodat(CWD, place.path("l/d/null"), FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)).unwrap();
    let before = on_host(&place.path("l"));
    let parent = fs::metadata(place.path("l/d")).unwrap();
    let overlay = place.overlay(UpperOptions::default());
    let touch = Change::default();
    for name in ["d/f", "d/null"] {
        overlay.set(&ctx(), &path(name), Follow::No, &touch).unwrap();
    }
    assert_eq!(on_host(&place.path("u")), before);
    let up = fs::metadata(place.path("u/d")).unwrap();
    assert_eq!((up.mtime(), up.mtime_nsec(), up.mode()), (parent.mtime(), parent.mtime_nsec(), parent.mode()));
    let get = |name: &str, of: &str| {
        let mut value = [0; 8];
        rustix::fs::getxattr(place.path(of), name, &mut value[..]).map(|len| value[..len].to_vec())
    };
    assert_eq!(get("trusted.note", "u/d/f").unwrap(), b"t");
    assert_eq!(get("trusted.overlay.origin", "u/d/f").unwrap(), b"");
    assert_eq!(get("trusted.overlay.impure", "u/d").unwrap(), b"y");
    assert_eq!(get("trusted.overlay.impure", "u").unwrap(), b"y");
}
