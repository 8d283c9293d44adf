//! What is wrong with an upper is told, and mended where nothing that shows changes; the kernel judges both.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
};

use ovl_core::{
    ErrorKind, Layer,
    layers::host::{self, Form, LowerOptions, Suspect, UpperOptions},
    overlay::{Removal, RenameHow},
    verify::{Effect, Finding, Mend, verify},
};
use rustix::{
    fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr},
    io::Errno,
};

use crate::place::{Mount, Place, ctx, form, is_root, on_host, path, put, shown};

/// Returns what is wrong with the upper `u` over the folder `l`, if that is to be known.
pub(crate) fn findings(place: &Place, lowers: bool, repair: bool) -> Vec<Finding> {
    let open = if repair { Suspect::hold } else { Suspect::open };
    let suspect = open(&place.path("u"), &UpperOptions::default()).unwrap();
    let lower = || host::lower(&place.dir("l"), LowerOptions::default()).unwrap() as Arc<dyn Layer>;
    verify(suspect, if lowers { vec![lower()] } else { Vec::new() }).unwrap().map(Result::unwrap).collect()
}

/// Returns the findings as `defect path`, sorted.
fn told(findings: &[Finding]) -> Vec<String> {
    let mut told: Vec<_> =
        findings.iter().map(|found| format!("{} {}", found.fault.defect.word(), found.path)).collect();
    told.sort();
    told
}

fn whiteout(place: &Place, name: &str) {
    let at = place.path(name);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    mknodat(CWD, &at, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
}

fn mark(place: &Place, name: &str, mark: &str, value: &[u8]) {
    setxattr(place.path(name), mark, value, XattrFlags::empty()).unwrap();
}

fn marked_dir(place: &Place, name: &str, key: &str, value: &[u8]) {
    place.dir(name);
    mark(place, name, &format!("trusted.overlay.{key}"), value);
}

fn metadata(place: &Place, name: &str, value: &[u8]) {
    let at = place.file(name, "");
    File::options().write(true).open(at).unwrap().set_len(3).unwrap();
    mark(place, name, "trusted.overlay.metacopy", value);
}

/// Makes an upper in which everything that the kernel form can have wrong is wrong, and its lower.
fn spoil(place: &Place) -> Vec<String> {
    for name in [
        "l/a",
        "l/b",
        "l/d/x",
        "l/merged/x",
        "l/from/x",
        "l/twice/x",
        "l/still/x",
        "l/out-there/x",
        "l/opaque-by-x/below",
        "l/o/x",
    ] {
        place.file(name, "low");
    }
    // What is as it should be.
    whiteout(place, "u/a");
    whiteout(place, "u/from");
    whiteout(place, "u/twice");
    whiteout(place, "u/out-there");
    marked_dir(place, "u/moved", "redirect", b"from");
    marked_dir(place, "u/o", "opaque", b"y");
    marked_dir(place, "u/o/out", "redirect", b"/out-there");
    place.file("u/plain", "upper");
    mark(place, "u/plain", "trusted.overlay.origin", b"");
    mark(place, "u/plain", "trusted.overlay.overlay.opaque", b"anything");
    // And what is not.
    whiteout(place, "u/none");
    whiteout(place, "u/merged/none");
    whiteout(place, "u/o/x");
    whiteout(place, "u/o/deep/x");
    whiteout(place, "u/pure/x");
    place.file("u/b", "");
    mark(place, "u/b", "trusted.overlay.whiteout", b"");
    marked_dir(place, "u/dangling", "redirect", b"nowhere");
    marked_dir(place, "u/odd-redirect", "redirect", b"/a//b");
    marked_dir(place, "u/one", "redirect", b"/twice");
    marked_dir(place, "u/other", "redirect", b"/twice");
    marked_dir(place, "u/shown-twice", "redirect", b"still");
    marked_dir(place, "u/opaque-by-x", "opaque", b"x");
    mark(place, "u", "trusted.overlay.opaque", b"y");
    metadata(place, "u/odd-metacopy", &[7]);
    metadata(place, "u/no-content", b"");
    mark(place, "u/plain", "trusted.overlay.nlink", b"many");
    marked_dir(place, "u/d", "impure", b"y");
    mark(place, "u/d", "user.overlay.opaque", b"y");
    place.file("u/damaged", "x");
    mark(place, "u/damaged", "trusted.overlay.ovl_meta", b"\xffdamaged");
    mark(place, "u/pure", "user.fuseoverlayfs.opaque", b"y");
    place.file("u/.wh.b", "");
    place.file("u/.ovl.w.b", "");
    place.file("u.ovl-work/stage/#3/half", "done");
    place.file("u.ovl-work/kernel/work/#4", "half done");
    [
        "bad-metacopy /odd-metacopy",
        "bad-opaque /opaque-by-x",
        "bad-record /damaged",
        "bad-redirect /odd-redirect",
        "dangling-redirect /dangling",
        "foreign-mark /pure",
        "foreign-name /.ovl.w.b",
        "foreign-name /.wh.b",
        "leftover /kernel/work/#4",
        "leftover /stage/#3",
        "marked-whiteout /b",
        "missing-content /no-content",
        "mixed-forms /",
        "needless-whiteout /o/deep/x",
        "needless-whiteout /o/x",
        "needless-whiteout /pure/x",
        "odd-mark /plain",
        "opaque-root /",
        "orphan-whiteout /merged/none",
        "orphan-whiteout /none",
        "other-marks /d",
        "shared-redirect /other",
        "shared-redirect /shown-twice",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn mount(place: &Place) -> Mount {
    let at = |name: &str| place.dir(name).display().to_string();
    let options = format!("lowerdir={},upperdir={},workdir={},redirect_dir=follow", at("l"), at("u"), at("judge.work"));
    Mount::new("overlay", &options, place.path("merged"))
}

/// Copies the upper and the work directory with everything that the file system keeps of them.
fn everything(place: &Place, name: &str) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    note(&place.path(name), &mut lines);
    lines
}

fn note(at: &Path, lines: &mut BTreeMap<String, String>) {
    let Ok(meta) = fs::symlink_metadata(at) else { return };
    let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
    lines.insert(at.display().to_string(), format!("{:o} {times:?} {}", meta.mode(), meta.len()));
    if meta.is_dir() {
        fs::read_dir(at).unwrap().for_each(|entry| note(&entry.unwrap().path(), lines));
    }
}

#[test]
fn everything_that_is_wrong_is_told_and_nothing_is_touched() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let wrong = spoil(&place);
    let before = (everything(&place, "u"), everything(&place, "u.ovl-work"));
    let found = findings(&place, true, false);
    assert_eq!(told(&found), wrong);
    assert!(found.iter().all(|found| found.mend != Mend::Done));
    assert_eq!((everything(&place, "u"), everything(&place, "u.ovl-work")), before);
    // Without the lowers nothing is said that only they tell.
    let alone = told(&findings(&place, false, false));
    let known = |line: &&String| {
        !["orphan", "dangling", "missing", "needless-whiteout /pure"].iter().any(|word| line.starts_with(word))
    };
    let expected: Vec<_> =
        wrong.iter().filter(known).filter(|line| *line != "shared-redirect /shown-twice").cloned().collect();
    assert_eq!(alone, expected);
}

#[test]
fn the_kernel_fails_where_it_is_told_to() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    spoil(&place);
    let found = findings(&place, true, false);
    let at = |name: &str| place.dir(name).display().to_string();
    let options =
        format!("lowerdir={},upperdir={},workdir={},redirect_dir=on,metacopy=on", at("l"), at("u"), at("judge.work"));
    let mount = Mount::new("overlay", &options, place.path("merged"));
    let look = |path: &str| {
        let looked = fs::read_dir(mount.path().join(&path[1..]));
        looked.err().map(|error| Errno::from_io_error(&error).unwrap()).filter(|errno| *errno != Errno::NOTDIR)
    };
    let mut fails = Vec::new();
    for finding in found.iter().filter(|found| found.fault.defect.word() != "bad-record") {
        let at = look(&finding.path.to_string());
        match finding.fault.defect.effect() {
            Effect::Fails("EINVAL") => assert_eq!(at, Some(Errno::INVAL), "{finding:?}"),
            Effect::Fails("EIO") => assert_eq!(at, Some(Errno::IO), "{finding:?}"),
            Effect::Fails("ESTALE") => {
                assert!([at, look(&finding.fault.detail)].contains(&Some(Errno::STALE)), "{finding:?}");
            }
            Effect::Fails(other) => panic!("{other}"),
            _ => continue,
        }
        fails.push(finding.fault.defect.word());
    }
    assert_eq!(fails, ["missing-content", "bad-metacopy", "bad-redirect", "shared-redirect", "shared-redirect"]);
    let names = |dir: &str| {
        let names = fs::read_dir(mount.path().join(dir)).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    // A ghost: it is listed, and not there.
    assert!(names("o/deep").contains(&"x".to_owned()) && !mount.path().join("o/deep/x").exists());
    assert!(names("opaque-by-x").contains(&"below".to_owned()), "resurrected");
    assert!(mount.path().join("d/x").exists(), "the root hides nothing");
}

/// Makes an upper with defects, of which some can be mended, and returns those that cannot.
fn spoil_a_little(place: &Place) -> Vec<String> {
    for name in ["l/a", "l/d/x", "l/merged/x", "l/o/x", "l/t/x"] {
        place.file(name, "low");
    }
    let overlay = place.overlay(form(Form::KernelTrusted));
    overlay.remove(&ctx(), &path("a"), Removal::File).unwrap();
    put(&overlay, "merged/y", "upper");
    overlay.remove(&ctx(), &path("o"), Removal::Tree).unwrap();
    overlay.mkdir(&ctx(), &path("o"), None).unwrap();
    overlay.mkdir(&ctx(), &path("o/deep"), None).unwrap();
    put(&overlay, "o/deep/y", "upper");
    put(&overlay, "t/y", "upper");
    drop(overlay);
    whiteout(place, "u/none");
    whiteout(place, "u/merged/none");
    whiteout(place, "u/o/x");
    whiteout(place, "u/o/deep/x");
    marked_dir(place, "u/dangling", "redirect", b"nowhere");
    place.file("u/.wh.a", "");
    place.file("u.ovl-work/stage/#3/half", "done");
    place.file("u.ovl-work/kernel/work/#4", "half done");
    ["dangling-redirect /dangling", "foreign-name /.wh.a"].map(str::to_owned).to_vec()
}

#[test]
fn what_is_mended_changes_nothing_that_shows() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let stays = spoil_a_little(&place);
    let before = on_host(&place.path("u"));
    let (ours, theirs) = (shown(&place.overlay(UpperOptions::default())), on_merged(&place));
    fs::create_dir_all(place.path("u.ovl-work/stage/#3")).unwrap();
    place.file("u.ovl-work/kernel/work/#4", "half done");
    let found = findings(&place, true, true);
    let mended = |found: &&Finding| found.mend == Mend::Done;
    assert_eq!(found.iter().filter(mended).count(), 6, "{found:#?}");
    assert_eq!(told(&findings(&place, true, false)), stays);
    let after = on_host(&place.path("u"));
    let gone: Vec<_> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert_eq!(gone, ["/merged/none", "/none", "/o/deep/x", "/o/x"]);
    // Directories keep their times, and the rest is as it was.
    assert!(after.iter().all(|(name, line)| before.get(name) == Some(line)), "{before:#?} {after:#?}");
    assert_eq!(shown(&place.overlay(UpperOptions::default())), ours);
    assert_eq!(on_merged(&place), theirs);
}

/// Draws the kernel's merged tree, without the ghosts that it lists.
fn on_merged(place: &Place) -> BTreeMap<String, String> {
    let mount = mount(place);
    let mut lines = BTreeMap::new();
    merged(mount.path(), &mut lines);
    lines
}

fn merged(dir: &Path, lines: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let at = entry.unwrap().path();
        let Ok(meta) = fs::symlink_metadata(&at) else { continue };
        let content = if meta.is_file() { fs::read_to_string(&at).unwrap() } else { String::new() };
        lines.insert(at.display().to_string(), format!("{:o} {} {content}", meta.mode(), meta.mtime()));
        if meta.is_dir() {
            merged(&at, lines);
        }
    }
}

#[test]
fn an_upper_in_use_is_looked_at_and_not_mended() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.file("l/a", "low");
    let overlay = place.overlay(form(Form::KernelTrusted));
    put(&overlay, "new", "upper");
    let upload = overlay.upload(&ctx()).unwrap();
    whiteout(&place, "u/none");
    // What is being uploaded is no leftover.
    assert_eq!(told(&findings(&place, true, false)), ["orphan-whiteout /none"]);
    let held = Suspect::hold(&place.path("u"), &UpperOptions::default());
    assert_eq!(held.unwrap_err().kind(), ErrorKind::Busy);
    drop((upload, overlay));
    let mounted = mount(&place);
    let held = Suspect::hold(&place.path("u"), &UpperOptions::default());
    assert_eq!(held.unwrap_err().kind(), ErrorKind::Busy);
    drop(mounted);
    assert!(place.path("u/none").symlink_metadata().is_ok());
    assert_eq!(findings(&place, true, true)[0].mend, Mend::Done);
    assert!(place.path("u/none").symlink_metadata().is_err());
}

#[test]
fn a_portable_upper_is_verified_and_mended() {
    let place = Place::new();
    for name in ["l/a", "l/d/x", "l/o/x"] {
        place.file(name, "low");
    }
    let overlay = place.overlay(form(Form::Portable));
    overlay.remove(&ctx(), &path("a"), Removal::File).unwrap();
    put(&overlay, "d/y", "upper");
    overlay.rename(&ctx(), &path("d"), &path("moved"), RenameHow::Replace).unwrap();
    let before = shown(&overlay);
    drop(overlay);
    assert_eq!(told(&findings(&place, true, false)), [""; 0]);
    place.file("u/.ovl.w.none", "");
    place.file("u/.wh.a", "");
    assert_eq!(told(&findings(&place, true, false)), ["foreign-name /.wh.a", "orphan-whiteout /none"]);
    let found = findings(&place, true, true);
    assert_eq!(found.iter().filter(|found| found.mend == Mend::Done).count(), 1);
    fs::remove_file(place.path("u/.wh.a")).unwrap();
    assert_eq!(told(&findings(&place, true, false)), [""; 0]);
    assert_eq!(shown(&place.overlay(UpperOptions::default())), before);
}
