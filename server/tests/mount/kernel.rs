//! What is mounted, and what is refused with which reason.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use ovl_core::layers::host::{self, UpperOptions};

use crate::place::{Place, failed};

#[test]
fn the_kernel_and_ovl_take_turns_on_one_upper() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --lower low --upper u m");
    place.file("m/new", "by the kernel");
    fs::remove_file(place.path("m/a")).unwrap();
    fs::rename(place.path("m/d"), place.path("m/moved")).unwrap();
    let by_kernel = place.ok("digest --lower m");
    place.ok("unmount m");
    assert_eq!(place.mounted(), None);
    assert_eq!(place.ok("digest --lower low --upper u"), by_kernel);
    assert_eq!(place.ok("cat moved/b --lower low --upper u"), "two");

    place.file("more/moved/c", "by ovl");
    place.ok("export -o more.tar --lower more");
    place.ok("import more.tar --on-conflict replace --yes --lower low --upper u");
    place.ok("discard --yes new --lower low --upper u");
    let by_ovl = place.ok("digest --lower low --upper u");
    place.ok("mount --lower low --upper u m");
    assert_eq!(place.ok("digest --lower m"), by_ovl);
    assert_eq!(place.read("m/moved/c"), "by ovl");
    assert!(!place.path("m/new").exists() && !place.path("m/a").exists());
}

#[test]
fn a_mount_tells_who_mounted_and_where_changes_go() {
    let Some(place) = Place::private() else { return };
    let said = String::from_utf8(place.run("mount --lower low --upper u m").stderr).unwrap();
    assert!(said.contains("by the kernel (every layer is a directory"), "{said}");
    assert!(said.contains("changes go to u as kernel-trusted"), "{said}");
    assert!(place.run("unmount m").stderr.is_empty());
    let said = place.run("mount -q --lower low --upper u m");
    assert!(said.status.success() && said.stderr.is_empty());
}

#[test]
fn any_name_of_a_layer_works() {
    let Some(place) = Place::private() else { return };
    for name in ["a:b", "a,b", r"a\b", r"a\:b", "a b", "a\tb", "a=b", " ", "a\u{301}"] {
        let (lower, upper) = (format!("l{name}"), format!("u{name}"));
        place.file(Path::new(&lower).join("x"), "lower");
        let spec = |path: &str| format!("path={}", path.replace(',', ",,"));
        let words = ["mount", "--lower", &spec(&lower), "--upper", &spec(&upper), "m"];
        let output = place.ovl(words).output().unwrap();
        assert!(output.status.success(), "{name:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(place.read("m/x"), "lower", "{name:?}");
        place.file("m/y", "upper");
        let mounts = place.json("mounts --json m");
        assert_eq!(mounts["mounts"][0]["upper"], place.path(&upper).to_str().unwrap());
        assert_eq!(mounts["mounts"][0]["lowers"][0], place.path(&lower).to_str().unwrap());
        place.ok("unmount m");
        assert_eq!(place.read(Path::new(&upper).join("y")), "upper");
    }
}

#[test]
fn layers_and_mount_points_with_newlines_and_long_paths_work() {
    let Some(place) = Place::private() else { return };
    let deep = "n\newline/".to_owned() + &format!("{}/", "x".repeat(250)).repeat(12);
    place.file(Path::new(&deep).join("low/x"), "lower");
    place.dir(Path::new(&deep).join("m"));
    let at = |name: &str| place.path(&deep).join(name);
    let (words, points) = (["mount", "--lower"], [at("low"), "--upper".into(), at("u"), at("m")]);
    let output = place.ovl(words).args(points).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(place.read(Path::new(&deep).join("m/x")), "lower");
    let point = place.path(&deep).join("m");
    assert!(place.ovl([Path::new("unmount"), &point]).output().unwrap().status.success());
}

#[test]
fn five_hundred_lowers_are_mounted_and_one_more_is_not() {
    let Some(place) = Place::private() else { return };
    for number in 0..501 {
        place.file(format!("many/{number}/f{number}"), "");
        place.file(format!("many/{number}/same"), &number.to_string());
    }
    let lowers = |count: usize| (0..count).flat_map(|number| ["--lower".to_owned(), format!("many/{number}")]);
    let mount =
        |count| place.ovl(["mount".to_owned(), "m".to_owned()].into_iter().chain(lowers(count))).output().unwrap();
    assert!(mount(500).status.success());
    assert_eq!((fs::read_dir(place.path("m")).unwrap().count(), place.read("m/same")), (501, "0".into()));
    place.ok("unmount m");
    let (code, why) = failed(mount(501));
    assert!(code == 2 && why.contains("at most 500"), "{why}");
}

#[test]
fn what_the_kernel_would_refuse_is_refused_with_the_reason() {
    let Some(place) = Place::private() else { return };
    place.dir("low2");
    place.dir("m/inner");
    for (line, code, reason) in [
        ("--upper u m", 2, "no lower"),
        ("--driver kernel --lower low m", 1, "one layer alone"),
        ("--lower low --lower low m", 2, "is also the lower low"),
        ("--lower low --lower low/d m", 2, "the lower low/d is also the lower low"),
        ("--lower low --upper low/u m", 2, "overlap"),
        ("--lower none --upper u m", 3, "no such lower: none"),
        ("--lower path=low,root=/none --upper u m", 3, "has no directory /none"),
        ("--lower path=low,root=/a --upper u m", 2, "is no directory"),
        ("--lower low --upper none/u m", 3, "parent of the upper"),
        ("--lower low --upper u none", 3, "no such mount point"),
        ("--lower low --upper u low/a", 2, "is no directory"),
        ("--lower low --upper u low/d", 2, "lie in one another"),
        ("--lower m/inner --upper u m", 2, "lie in one another"),
        ("--lower low --upper m/inner m", 2, "lie in one another"),
        ("--lower low --upper u --metacopy --redirect-dir off m", 2, "--redirect-dir off"),
        ("--lower low --upper u --metacopy --userxattr m", 2, "--metacopy"),
        ("--lower low --upper u --metacopy --upper-form kernel-user m", 2, "--metacopy"),
        ("--lower low --upper u --userxattr --upper-form kernel-trusted m", 2, "--upper-form"),
        ("--lower low --lower low2 --index m", 2, "--index is about an upper"),
        ("--lower low --lower low2 --volatile m", 2, "--volatile is about an upper"),
        ("--driver kernel --lower low --upper mem: m", 1, "in memory"),
        ("--driver kernel --lower low --upper u --quota 1M m", 1, "--quota"),
        ("--driver kernel --lower low --upper p --upper-form portable m", 9, "portable"),
        ("--lower low --upper u --foreground m", 2, "for FUSE"),
        ("--lower low --upper u --allow-other m", 2, "for FUSE"),
        ("--driver fuse --lower low --upper u --index m", 2, "--index is the kernel's own"),
    ] {
        let (real, why) = place.fails(&format!("mount {line}"));
        assert!(real == code && why.contains(reason), "{line}: {real} {why}");
        assert_eq!(place.mounted(), None, "{line}");
    }
    // From now on the form is recorded.
    assert_eq!(place.fails("discard --yes a --lower low --upper p --upper-form portable").0, 3);
    let (code, why) = place.fails("mount --driver kernel --lower low --upper p m");
    assert!(code == 9 && why.contains("only ovl reads it"), "{code} {why}");
}

#[test]
fn an_upper_in_use_is_not_mounted_and_a_mounted_one_takes_no_changes() {
    let Some(place) = Place::private() else { return };
    let held = host::upper(&place.path("u"), UpperOptions::default()).unwrap();
    assert_eq!(place.fails("mount --lower low --upper u m").0, 8);
    drop(held);
    place.ok("mount --lower low --upper u m");
    place.file("m/a", "by the kernel");
    place.dir("m2");
    for line in ["mount --lower low --upper u m2", "discard --yes a --lower low --upper u"] {
        let (code, why) = place.fails(line);
        assert!(code == 8 && why.contains(place.path("m").to_str().unwrap()), "{line}: {why}");
    }
    assert_eq!(place.ok("cat a --lower low --upper u"), "by the kernel");
    assert_eq!(place.ok("changes --lower low --upper u"), "modified     /a\n");
}

#[test]
fn setuid_programs_and_devices_are_dead_unless_asked_for() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --lower low --upper u m");
    assert!(place.mounted().unwrap().contains(" rw,nosuid,nodev"));
    place.ok("unmount m");
    place.ok("mount --suid --dev --lower low --upper u m");
    let line = place.mounted().unwrap();
    assert!(!line.contains("nosuid") && !line.contains("nodev"), "{line}");
}

#[test]
fn layers_without_an_upper_are_only_read() {
    let Some(place) = Place::private() else { return };
    place.file("patch/a", "patched");
    place.ok("mount --lower patch --lower low m");
    assert_eq!((place.read("m/a"), place.read("m/d/b")), ("patched".into(), "two".into()));
    let error = fs::write(place.path("m/new"), "").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn a_directory_within_a_lower_is_mounted_by_itself() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --lower path=low,root=/d --upper u m");
    assert_eq!(place.read("m/b"), "two");
    assert!(!place.path("m/a").exists());
}

#[test]
fn an_upper_of_a_user_is_mounted_with_the_marks_of_one() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --userxattr --lower low --upper u m");
    fs::remove_dir_all(place.path("m/d")).unwrap();
    place.dir("m/d");
    let mounts = place.json("mounts --json m");
    assert_eq!(mounts["mounts"][0]["form"], "kernel-user");
    assert!(mounts["mounts"][0]["options"].as_array().unwrap().contains(&"userxattr".into()));
    let by_kernel = place.ok("digest --lower m");
    place.ok("unmount m");
    assert_eq!(place.ok("digest --lower low --upper u"), by_kernel);
    // The form is recorded, so the next mount needs no flag.
    place.ok("mount --lower low --upper u m");
    assert!(place.mounted().unwrap().contains("userxattr"));
}

#[test]
fn attributes_alone_that_the_kernel_copied_up_are_read() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --metacopy --lower low --upper u m");
    fs::set_permissions(place.path("m/a"), fs::Permissions::from_mode(0o600)).unwrap();
    place.ok("unmount m");
    assert_eq!(place.ok("cat a --lower low --upper u"), "one");
    assert_eq!(place.json("stat --json a --lower low --upper u")["entries"][0]["mode"], "0600");
}

#[test]
fn a_file_whose_attributes_alone_came_up_is_not_left_unreadable() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --metacopy --lower low --upper u m");
    fs::set_permissions(place.path("m/d/b"), fs::Permissions::from_mode(0o600)).unwrap();
    place.ok("unmount m");
    for line in ["mount --lower low --upper u m", "run --upper u --lower low -- cat d/b"] {
        let (code, why) = place.fails(line);
        assert!(code == 4 && why.contains("/d/b") && why.contains("`ovl mount --metacopy`"), "{line}: {code} {why}");
        assert_eq!(place.mounted(), None);
    }
    place.ok("mount --metacopy --lower low --upper u m");
    assert_eq!(place.read("m/d/b"), "two");
    // With its content it is a file as any other.
    place.file("m/d/b", "changed");
    place.ok("unmount m");
    place.ok("mount --lower low --upper u m");
    assert_eq!(place.read("m/d/b"), "changed");
}

#[test]
fn an_index_binds_an_upper_to_its_lowers_and_to_the_kernel() {
    let Some(place) = Place::private() else { return };
    fs::hard_link(place.path("low/a"), place.path("low/a2")).unwrap();
    place.file("other/a", "other");
    place.ok("mount --index --lower low --upper u m");
    place.file("m/a", "changed");
    assert_eq!(place.read("m/a2"), "changed");
    place.ok("unmount m");
    for (line, reason) in
        [("mount --index --lower other --upper u m", "other lowers"), ("mount --lower low --upper u m", "--index")]
    {
        let (code, why) = place.fails(line);
        assert!(code == 4 && why.contains(reason), "{line}: {code} {why}");
    }
    assert!(place.fails("discard --yes a --lower low --upper u").1.contains("--index"));
}

#[test]
fn a_volatile_mount_leaves_a_mark_that_is_told() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --volatile --lower low --upper u m");
    place.file("m/a", "changed");
    place.ok("unmount m");
    let (code, why) = place.fails("mount --lower low --upper u m");
    assert!(code == 4 && why.contains("kernel/work/incompat"), "{why}");
    fs::remove_dir_all(place.path("u.ovl-work/kernel/work/incompat")).unwrap();
    place.ok("mount --lower low --upper u m");
    assert_eq!(place.read("m/a"), "changed");
}

#[test]
fn a_third_overlay_over_overlays_is_explained() {
    let Some(place) = Place::private() else { return };
    place.file("top/x", "");
    place.ok("mount --lower low --upper u m");
    for (lower, point) in [("m", "m1"), ("m1", "m2")] {
        place.dir(point);
        let output = place.run(&format!("mount --lower {lower} --lower top {point}"));
        if point == "m2" {
            let (code, why) = failed(output);
            assert!(code == 1 && why.contains("overlay over overlays"), "{why}");
        }
    }
}

#[test]
fn older_kernels_are_told_in_one_string() {
    let Some(place) = Place::private() else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: needs strace");
        return;
    }
    place.file("o:d,d/x", "odd");
    place.ok("export -q -o low.zip --lower low");
    let old = |calls: &str, words: &str| {
        let trace = format!("trace={}", calls.split(':').next().unwrap());
        let inject = format!("inject={calls}");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject]).arg(env!("CARGO_BIN_EXE_ovl"));
        let strace =
            strace.args(words.split(' ')).current_dir(place.path("")).env("XDG_CACHE_HOME", place.path("cache"));
        strace.output().unwrap()
    };
    // Before 5.2 there are no such calls; before 6.8 they take no layers one by one.
    for missing in ["fsopen:error=ENOSYS", "fsconfig:error=EINVAL"] {
        let line = "mount --driver kernel --lower path=o:d,,d --lower low.zip --upper u m";
        let output = old(missing, line);
        assert!(output.status.success(), "{missing}: {}", String::from_utf8_lossy(&output.stderr));
        place.file("m/a", missing);
        assert_eq!((place.read("m/x"), place.read("m/d/b")), ("odd".into(), "two".into()));
        assert!(place.mounted().unwrap().contains(" rw,nosuid,nodev"));
        let mounts = &place.json("mounts --json m")["mounts"][0];
        assert_eq!(mounts["upper"], place.path("u").to_str().unwrap());
        assert_eq!(mounts["lowers"][0], place.path("o:d,d").to_str().unwrap());
        assert_eq!(place.fails("discard --yes a --lower low --upper u").0, 8, "the upper is in use");
        assert_eq!(place.ok("cache clear"), "", "and so is the tree");
        let by_kernel = place.ok("digest --lower m");
        place.ok("unmount m");
        assert_eq!(place.ok("digest --lower path=o:d,,d --lower low.zip --upper u"), by_kernel);
        let (code, why) = failed(old(missing, "mount --driver kernel --lower low --lower low m"));
        assert!(code == 2 && why.contains("is also the lower low"), "{why}");
    }
}
