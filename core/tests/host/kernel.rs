//! The kernel mounts what we wrote, and shows the same tree.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use ovl_core::{
    Change, ErrorKind,
    layers::host::{self, Form, UpperOptions},
    overlay::{Follow, Removal, RenameHow},
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::place::{Mount, Place, ctx, form, is_root, on_host, path, put, read, shown};

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
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(mount.path().to_str().unwrap()), "{error}");
}

/// Lets the kernel mount `u` over `l` in the place that ovl keeps for it, for a moment.
fn mount_in_our_work(place: &Place, extra: &str) {
    lower_tree(place);
    let upper = host::upper_for_kernel(&place.dir("u"), &UpperOptions::default(), true).unwrap();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}/kernel{extra}",
        place.path("l").display(),
        place.path("u").display(),
        place.path("u.ovl-work").display()
    );
    let mount = Mount::new("overlay", &options, place.path("merged"));
    drop(upper);
    // Copying a file with two names up is what fills an index.
    fs::write(mount.path().join("f"), "kernel").unwrap();
}

fn why_not(place: &Place) -> (ErrorKind, String) {
    let error = place.upper(UpperOptions::default()).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn an_upper_that_goes_to_the_kernel_is_held_meanwhile() {
    let place = Place::new();
    let upper = place.dir("u");
    let mine = UpperOptions { form: Some(Form::KernelUser), ..UpperOptions::default() };
    let held = host::upper_for_kernel(&upper, &mine, false).unwrap();
    assert_eq!(held.form(), Form::KernelUser);
    assert_eq!(why_not(&place).0, ErrorKind::Busy);
    drop(held);
    assert!(place.upper(UpperOptions::default()).is_ok());
}

#[test]
fn a_portable_upper_does_not_go_to_the_kernel() {
    let place = Place::new();
    drop(place.upper(form(Form::Portable)).unwrap());
    let error = host::upper_for_kernel(&place.path("u"), &UpperOptions::default(), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongForm);
    assert!(error.to_string().contains("recorded on the upper"), "{error}");
}

#[test]
fn a_volatile_mount_must_be_accounted_for_before_anyone_writes() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    mount_in_our_work(&place, ",volatile");
    let (kind, why) = why_not(&place);
    assert!(kind == ErrorKind::Unsupported && why.contains("--volatile"), "{why}");
    assert!(host::upper_for_kernel(&place.path("u"), &UpperOptions::default(), false).is_err());
    fs::remove_dir_all(place.path("u.ovl-work/kernel/work/incompat")).unwrap();
    assert_eq!(read(&place.overlay(UpperOptions::default()), "f"), "kernel");
}

#[test]
fn an_upper_with_an_index_is_written_by_the_kernel_alone() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.file("l/f", "f");
    fs::hard_link(place.path("l/f"), place.path("l/f2")).unwrap();
    mount_in_our_work(&place, ",index=on");
    let (kind, why) = why_not(&place);
    assert!(kind == ErrorKind::Unsupported && why.contains("--index"), "{why}");
    let again = |index| host::upper_for_kernel(&place.path("u"), &UpperOptions::default(), index);
    assert!(again(false).is_err() && again(true).is_ok());
}

#[test]
fn mounts_are_told_with_their_layers() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (lower, upper) = (place.dir("l:,x"), place.dir("u:,x"));
    let escaped = |path: &Path| path.to_str().unwrap().replace(':', "\\:").replace(',', "\\,");
    let options = format!(
        "lowerdir={},upperdir={},workdir={},userxattr",
        escaped(&lower),
        escaped(&upper),
        place.dir("w").display()
    );
    let mount = Mount::new("overlay", &options, place.path("merged"));
    let found = host::overlay_mounts().unwrap().into_iter().find(|found| found.point == mount.path()).unwrap();
    assert_eq!((found.lowers, found.upper), (vec![lower], Some(upper.clone())));
    assert!(found.options.iter().any(|option| option == "userxattr") && !found.read_only);
    assert_eq!(host::upper(&upper, UpperOptions::default()).unwrap_err().kind(), ErrorKind::Busy);
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
