//! `ovl verify` on uppers of ovl and the kernel, and on what other tools leave.

use std::{fs, process::Command};

use crate::place::Place;

/// Changes what is shown in a mount: a file and a directory replaced, another moved away.
fn change(place: &Place) {
    fs::remove_file(place.path("m/a")).unwrap();
    fs::remove_dir_all(place.path("m/d")).unwrap();
    place.file("m/d/new", "new");
    place.file("m/added", "added");
}

/// Runs another tool in the place. Returns whether it is there and has done it.
fn tool(place: &Place, program: &str, words: &str) -> bool {
    let done = Command::new(program).current_dir(place.path("")).args(words.split(' ')).output();
    let is_done = done.as_ref().is_ok_and(|output| output.status.success());
    if !is_done {
        eprintln!("skipped: {program} {words}: {done:?}");
    }
    is_done
}

/// Returns the defects that are told of an upper over `low`, as `defect path`.
fn told(place: &Place, words: &str) -> Vec<String> {
    let output = place.run(&format!("verify --ndjson --lower low {words}"));
    let text = String::from_utf8(output.stdout).unwrap();
    let told: Vec<_> = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect();
    let code = if told.iter().all(|line| line["mended"] == true) { 0 } else { 10 };
    assert_eq!(output.status.code(), Some(code), "{text} {}", String::from_utf8_lossy(&output.stderr));
    told.iter().map(|line| format!("{} {}", line["defect"].as_str().unwrap(), line["path"].as_str().unwrap())).collect()
}

#[test]
fn an_upper_of_a_mount_is_whole_and_a_copy_without_attributes_is_not() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --lower low --upper u m");
    change(&place);
    place.ok("unmount m");
    assert_eq!(told(&place, "u"), [""; 0]);
    assert_eq!(place.ok("verify u"), "");
    let whole = place.ok("digest --lower low --upper u");
    for (copy, words) in [("-a", "-a u attributes"), ("-r", "-r u plain")] {
        if !tool(&place, "cp", words) {
            return;
        }
        let (copied, expected): (&str, &[&str]) =
            if copy == "-a" { ("attributes", &[]) } else { ("plain", &["no-marks /"]) };
        assert_eq!(told(&place, copied), expected);
        // That it matters: what the directory hid shows again.
        let shown = place.ok(&format!("digest --lower low --upper {copied}"));
        assert_eq!(shown == whole, copy == "-a");
    }
    fs::create_dir(place.path("untarred")).unwrap();
    if tool(&place, "tar", "-cf u.tar -C u .") && tool(&place, "tar", "-xf u.tar -C untarred") {
        assert_eq!(told(&place, "untarred"), ["no-marks /"]);
    }
}

#[test]
fn what_fuse_overlayfs_leaves_is_told_and_its_needless_whiteouts_are_mended() {
    let Some(place) = Place::private() else { return };
    let (_upper, _work) = (place.dir("u"), place.dir("w"));
    if !tool(&place, "fuse-overlayfs", "-o lowerdir=low,upperdir=u,workdir=w m") {
        return;
    }
    change(&place);
    assert!(tool(&place, "umount", "m"));
    let left = ["needless-whiteout /d/.wh..opq", "foreign-name /d/.wh..wh..opq"];
    assert_eq!(told(&place, "u"), left);
    let before = place.ok("digest --lower low --upper u");
    assert_eq!(told(&place, "u --repair"), left);
    assert_eq!(told(&place, "u"), [left[1]]);
    assert!(fs::symlink_metadata(place.path("u/d/.wh..opq")).is_err());
    assert_eq!(place.ok("digest --lower low --upper u"), before);
    // Without the right to trusted attributes it keeps marks of its own, which hide nothing from others.
    place.dir("u/own");
    rustix::fs::setxattr(place.path("u/own"), "user.fuseoverlayfs.opaque", b"y", rustix::fs::XattrFlags::empty())
        .unwrap();
    assert_eq!(told(&place, "u"), [left[1], "foreign-mark /own"]);
}

#[test]
fn a_volatile_mount_and_an_index_are_told() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --lower low --upper v --volatile m");
    change(&place);
    assert_eq!(told(&place, "v"), [""; 0], "it is mounted");
    place.ok("unmount m");
    assert_eq!(told(&place, "v"), ["volatile /kernel/work/incompat/volatile/dirty"]);
    let (code, why) = place.fails("verify v --repair --lower low");
    assert!(code == 1 && why.contains("--volatile"), "{code} {why}");
    fs::hard_link(place.path("low/a"), place.path("low/linked")).unwrap();
    place.ok("mount --lower low --upper i --index m");
    place.file("m/a", "changed");
    place.ok("unmount m");
    assert_eq!(told(&place, "i"), ["index /kernel/index"]);
}

#[test]
fn a_docker_layer_is_told_by_its_names_and_left_alone() {
    let Some(place) = Place::private() else { return };
    place.file("layer/.wh.a", "");
    place.file("layer/d/.wh..wh..opq", "");
    let names = ["foreign-name /.wh.a", "foreign-name /d/.wh..wh..opq"];
    assert_eq!(told(&place, "layer"), names);
    assert_eq!(told(&place, "layer --repair"), names);
    assert!(place.path("layer/.wh.a").exists() && place.path("layer/d/.wh..wh..opq").exists());
    assert_eq!(place.ok("ls -0 --lower low --upper layer"), ".wh.a\0a\0d\0");
}

#[test]
fn findings_are_printed_for_people_and_programs() {
    let Some(place) = Place::private() else { return };
    place.file("u/.wh.a", "");
    let line = "foreign-name      /.wh.a: the name means a deletion to other tools; here it is a name as any other\n";
    let output = place.run("verify u");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(10), line));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 findings, 0 mended"));
    let json: serde_json::Value = serde_json::from_slice(&place.run("verify u --json").stdout).unwrap();
    assert_eq!((&json["schema"], &json["found"], &json["mended"]), (&"ovl.verify/1".into(), &1.into(), &0.into()));
    let finding = &json["findings"][0];
    assert_eq!((&finding["within"], &finding["effect"]), (&"upper".into(), &"resurrected".into()));
    assert_eq!(place.run("verify -0 u").stdout, b".wh.a\0");
    for (words, code, reason) in [
        ("verify", 2, "no upper"),
        ("verify none", 3, "no such upper"),
        ("verify mem:", 2, "always whole"),
        ("verify low --lower low", 2, "overlap"),
        ("verify u --lower none", 3, "no such lower"),
    ] {
        let (real, why) = place.fails(words);
        assert!(real == code && why.contains(reason), "{words}: {real} {why}");
    }
}
