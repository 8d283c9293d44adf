//! Mounts by FUSE: the process that stays, and its end.

use std::fs;

use crate::place::Place;

/// Returns a place like [`Place::private`], where FUSE is there, too.
fn place() -> Option<Place> {
    if !std::path::Path::new("/dev/fuse").exists() {
        eprintln!("skipped: no /dev/fuse");
        return None;
    }
    let place = Place::private()?;
    place.ok("export -q -o low.zip --lower low");
    Some(place)
}

#[test]
fn a_zip_is_mounted_by_fuse_and_the_reason_is_told() {
    let Some(place) = place() else { return };
    let said = String::from_utf8(place.run("mount --lower low.zip --upper u m").stderr).unwrap();
    assert!(said.contains("mounted at m by FUSE (the kernel cannot: the lower low.zip is a zip"), "{said}");
    assert!(said.contains("changes go to u as kernel-trusted"), "{said}");
    let line = place.mounted().unwrap();
    assert!(line.contains(" fuse.ovl ovl ") && line.contains("nosuid,nodev"), "{line}");
    place.file("m/a", "changed");
    fs::rename(place.path("m/d"), place.path("m/moved")).unwrap();
    place.ok("unmount m");
    assert_eq!(place.mounted(), None);
    assert_eq!(place.ok("cat a moved/b --lower low.zip --upper u"), "changedtwo");
}
