//! Lowers that give content alone, in every command and under the kernel's mount.

use std::fs::File;

use rustix::fs::{XattrFlags, setxattr};

use crate::place::Place;

/// Adds the lower `top`, whose file `f` holds metadata alone, and the lower `data`, which has the content.
pub(crate) fn with_data(place: &Place) {
    for (name, redirect) in [("top/f", "/ab/cdef"), ("top/lost", "/ab/none")] {
        place.file(name, "");
        File::options().write(true).open(place.path(name)).unwrap().set_len(7).unwrap();
        setxattr(place.path(name), "trusted.overlay.metacopy", b"", XattrFlags::empty()).unwrap();
        setxattr(place.path(name), "trusted.overlay.redirect", redirect.as_bytes(), XattrFlags::empty()).unwrap();
    }
    place.file("data/ab/cdef", "content");
    place.file("data/unseen", "");
}

fn place() -> Option<Place> {
    let place = Place::private()?;
    with_data(&place);
    Some(place)
}

const LOWERS: &str = "--lower low --lower top --lower path=data,data-only";

#[test]
fn every_command_finds_content_in_data_only_lowers() {
    let Some(place) = place() else { return };
    assert_eq!(place.ok(&format!("cat f {LOWERS}")), "content");
    assert_eq!(place.ok(&format!("ls -0 {LOWERS}")), "a\0d\0f\0lost\0");
    let why = place.ok(&format!("why f {LOWERS}"));
    assert!(why.contains("shows from lower-2") && why.contains("lower-3"), "{why}");
    assert!(place.ok(&format!("stat lost {LOWERS}")).contains('7'));
    let (code, told) = place.fails(&format!("cat lost {LOWERS}"));
    assert!(code == 3 && told.contains("no layer has the content at /ab/none"), "{code} {told}");
    place.ok(&format!("discard --all --yes --upper u {LOWERS}"));
    place.ok(&format!("export --what layer:lower-3 -o data.tar {LOWERS}"));
}

#[test]
fn the_kernel_mounts_data_only_lowers() {
    let Some(place) = place() else { return };
    let mount = format!("mount --upper u {LOWERS} m");
    place.ok(&mount);
    assert_eq!(place.read("m/f"), "content");
    assert!(place.path("m/lost").exists() && std::fs::read(place.path("m/lost")).is_err());
    assert!(!place.path("m/unseen").exists());
    let mounts = place.json("mounts --json m");
    assert_eq!(mounts["mounts"][0]["data_only"][0], place.path("data").to_str().unwrap());
    std::fs::write(place.path("m/f"), "changed").unwrap();
    std::fs::rename(place.path("m/lost"), place.path("m/moved")).unwrap_err();
    std::fs::remove_file(place.path("m/lost")).unwrap();
    let by_kernel = place.ok("digest --lower m");
    place.ok("unmount m");
    assert_eq!(place.ok(&format!("digest --upper u {LOWERS}")), by_kernel);
    // Without an upper every lower may hold the metadata.
    place.ok("mount --lower top --lower low --lower path=data,data-only m");
    assert_eq!(place.read("m/f"), "content");
}

#[test]
fn data_only_lowers_come_last() {
    let Some(place) = place() else { return };
    for (line, reason) in [
        ("--lower path=data,data-only --lower low", "the lower data is data-only and no lower is above it"),
        ("--lower low --lower path=data,data-only --lower top", "data is data-only and above top"),
        ("--lower low --upper path=u,data-only", "data-only is for a lower"),
    ] {
        let (code, told) = place.fails(&format!("ls {line}"));
        assert!(code == 2 && told.contains(reason), "{line}: {code} {told}");
        let (code, told) = place.fails(&format!("mount {line} m"));
        assert!(code == 2 && told.contains(reason), "mount {line}: {code} {told}");
    }
}
