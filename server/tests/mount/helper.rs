//! `mount -t fuse.ovl`, as mount(8) and fstab call it.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Output},
};

use rustix::mount::{MountFlags, mount};

use crate::{
    data_only::with_data,
    fuse::place,
    place::{Place, failed},
};

/// Returns a place where mount(8) finds us, or `None` where it cannot.
fn installed() -> Option<Place> {
    let place = place()?;
    let (sbin, work) = (place.dir("sbin"), place.dir("sbin-work"));
    symlink(env!("CARGO_BIN_EXE_ovl"), sbin.join("mount.fuse.ovl")).unwrap();
    let real = fs::canonicalize("/sbin").unwrap();
    let options = format!("lowerdir={},upperdir={},workdir={}", real.display(), sbin.display(), work.display());
    let options = std::ffi::CString::new(options).unwrap();
    mount("overlay", &real, "overlay", MountFlags::empty(), Some(&*options)).unwrap();
    if Command::new("mount").arg("--version").output().is_err() {
        eprintln!("skipped: no mount(8)");
        return None;
    }
    Some(place)
}

fn mount_8(place: &Place, words: &[&str]) -> Output {
    Command::new("mount").args(words).current_dir(place.path("")).env_clear().output().unwrap()
}

fn by_type(place: &Place, options: &str) -> Output {
    let point = place.path("m");
    mount_8(place, &["-t", "fuse.ovl", "some-name", point.to_str().unwrap(), "-o", options])
}

#[test]
fn mount_with_our_type_takes_the_options_of_an_overlay() {
    let Some(place) = installed() else { return };
    place.file("top/a", "top");
    let at = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let layers = format!("lowerdir={}:{},upperdir={},workdir={}", at("top"), at("low.zip"), at("u"), at("w"));
    let output = by_type(&place, &layers);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    // As other mounts of root's: for all users, and with setuid programs and devices.
    let line = place.mounted().unwrap();
    assert!(line.contains(" rw,relatime - fuse.ovl some-name ") && line.contains("allow_other"), "{line}");
    assert_eq!((place.read("m/a"), place.read("m/d/b")), ("top".into(), "two".into()));
    place.file("m/d/b", "changed");
    assert_eq!(place.read("u/d/b"), "changed");
    assert!(place.path("w/stage").is_dir());
    assert!(Command::new("umount").arg(place.path("m")).status().unwrap().success());
    let (code, why) = failed(by_type(&place, &format!("{layers},userxattr")));
    assert!(code == 9 && why.contains("another form"), "{code} {why}");
    assert!(by_type(&place, &format!("{layers},ro,nosuid,nodev,noexec,noatime")).status.success());
    let line = place.mounted().unwrap();
    assert!(line.contains(" ro,nosuid,nodev,noexec"), "{line}");
    assert_eq!(fs::write(place.path("m/x"), "").unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn a_line_of_fstab_with_odd_names_is_mounted() {
    let Some(place) = installed() else { return };
    place.file("a b/x", "space");
    place.file("c:d/y", "colon");
    place.file(r"e\f/z", "backslash");
    let root = place.path("");
    let root = root.to_str().unwrap();
    let line = format!(
        r"name {root}m fuse.ovl noauto,nofail,x-note=1,lowerdir={root}a\040b:{root}c\:d:{root}e\\f,upperdir={root}u\,v 0 0"
    );
    fs::write(place.path("fstab"), line + "\n").unwrap();
    let output = mount_8(&place, &["-T", "fstab", place.path("m").to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(["x", "y", "z"].map(|name| place.read(format!("m/{name}"))), ["space", "colon", "backslash"]);
    place.file("m/new", "new");
    assert_eq!(place.read("u,v/new"), "new");
}

#[test]
fn names_with_a_newline_are_taken_as_they_are() {
    let Some(place) = installed() else { return };
    place.file("a\nb/x", "newline");
    place.file("c\n,d/y", "both");
    let at = |name: &str| place.path(name).to_str().unwrap().replace(',', "\\,");
    let output = by_type(&place, &format!("lowerdir={}:{},upperdir={}", at("a\nb"), at("c\n,d"), at("u\n")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((place.read("m/x"), place.read("m/y")), ("newline".into(), "both".into()));
    place.file("m/new", "new");
    assert_eq!(place.read("u\n/new"), "new");
}

#[test]
fn layers_behind_two_colons_give_content_alone() {
    let Some(place) = installed() else { return };
    with_data(&place);
    place.file("more/ab/none", "more...");
    let at = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let (low, top, data, more) = (at("low"), at("top"), at("data"), at("more"));
    let forms = [
        format!("lowerdir={low}:{top}::{data}::{more}"),
        format!("lowerdir+={low},lowerdir+={top},datadir+={data},datadir+={more}"),
    ];
    for form in &forms {
        let output = by_type(&place, form);
        assert!(output.status.success(), "{form}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(["a", "f", "lost"].map(|name| place.read(format!("m/{name}"))), ["one", "content", "more..."]);
        assert!(!place.path("m/unseen").exists());
        place.ok("unmount m");
    }
}

#[test]
fn what_mount_cannot_mean_is_refused_by_name() {
    let Some(place) = installed() else { return };
    for (options, code, reason) in [
        ("lowerdir=low,colour=red", 2, "colour=red: fuse.ovl has no such mount option"),
        ("lowerdir=low,index=on", 2, "index=on: fuse.ovl has no"),
        ("lowerdir=low,metacopy=on", 2, "metacopy=on: fuse.ovl has no"),
        ("lowerdir=::low", 2, "an empty layer"),
        ("lowerdir=low:::low", 2, "an empty layer"),
        ("lowerdir=low:", 2, "an empty layer"),
        ("lowerdir=low::", 2, "an empty layer"),
        ("lowerdir=low::data:low", 2, "data is data-only and above low"),
        ("upperdir=none/u,lowerdir=low", 3, "parent of the upper"),
        ("lowerdir=none", 3, "no such lower"),
        ("rw", 2, "no layers"),
    ] {
        let (real, why) = failed(by_type(&place, options));
        assert!(real == code && why.contains(reason), "{options}: {real} {why}");
        assert_eq!(place.mounted(), None, "{options}");
    }
    // Nothing is done with -f, and with -s nobody minds.
    let point = place.path("m");
    let words = ["-t", "fuse.ovl", "name", point.to_str().unwrap(), "-o", "lowerdir=low,colour=red"];
    assert!(mount_8(&place, &[&["-f"], &words[..4]].concat()).status.success());
    assert_eq!(place.mounted(), None);
    assert!(mount_8(&place, &[&["-s"], &words[..]].concat()).status.success());
    assert_eq!(place.read("m/a"), "one");
}

#[test]
fn a_mount_follows_an_umount_at_once() {
    let Some(place) = installed() else { return };
    for _ in 0..20 {
        let output = by_type(&place, "lowerdir=low.zip,upperdir=u");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(Command::new("umount").arg(place.path("m")).status().unwrap().success());
    }
}
