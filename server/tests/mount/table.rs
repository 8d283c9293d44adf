//! What is mounted, as it is told, and its end.

use std::process::Stdio;

use crate::place::Place;

#[test]
fn mounts_are_listed_with_their_layers() {
    let Some(place) = Place::private() else { return };
    place.file("patch/a", "patched");
    place.ok("mount --lower patch --lower low --upper u m");
    let at = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let text = place.ok("mounts m");
    let (m, u, patch, low) = (at("m"), at("u"), at("patch"), at("low"));
    assert_eq!(text, format!("{m}\n  upper  {u} (ovl's, kernel-trusted)\n  lower  {patch}\n  lower  {low}\n"));
    let json = place.json("mounts --json");
    assert_eq!(json["schema"], "ovl.mounts/1");
    let mount = json["mounts"].as_array().unwrap().iter().find(|mount| mount["mountpoint"] == m).unwrap();
    assert_eq!((&mount["work"], &mount["read_only"]), (&at("u.ovl-work/kernel").into(), &false.into()));
    assert_eq!(place.ok("mounts -0 m"), format!("{m}\0"));
}

#[test]
fn a_mount_is_told_as_docker_tells_its_own() {
    let Some(place) = Place::private() else { return };
    place.file("pa:tch/a", "patched");
    place.ok("mount --lower ./pa:tch --lower low --upper u m");
    let json = place.json("mounts --graphdriver m");
    let at = |name: &str| place.path(name).to_str().unwrap().to_owned();
    assert_eq!(json["Name"], "overlay2");
    let data = &json["Data"];
    assert_eq!(data["LowerDir"], format!("{}:{}", at("pa\\:tch"), at("low")));
    assert_eq!((&data["UpperDir"], &data["MergedDir"]), (&at("u").into(), &at("m").into()));
    assert_eq!(data["WorkDir"], at("u.ovl-work/kernel"));
    assert_eq!(place.ok("inspect --graphdriver m"), place.ok("mounts --graphdriver m"));
    place.ok("unmount m");
    assert_eq!(place.fails("mounts --graphdriver m").0, 3);
    assert_eq!(place.fails("inspect --graphdriver m").0, 3);
}

#[test]
fn what_is_used_or_not_mounted_is_not_unmounted() {
    let Some(place) = Place::private() else { return };
    let (code, why) = place.fails("unmount m");
    assert!(code == 3 && why.contains("ovl mounts"), "{why}");
    place.ok("mount --lower low --upper u m");
    let mut user = std::process::Command::new("cat");
    let mut user = user.current_dir(place.path("m")).stdin(Stdio::piped()).spawn().unwrap();
    let (code, why) = place.fails("unmount m");
    assert!(code == 4 && why.contains("still used"), "{why}");
    drop(user.stdin.take());
    user.wait().unwrap();
    place.ok("unmount m");
}
