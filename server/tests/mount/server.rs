//! A server that mounts what it serves, as its users see it: by HTTP, in the mount, and at its end.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    place::{Place, failed},
    served::has_fuse,
};

const BY_FUSE: &str = "--lower low --upper u --mount m";
const BY_KERNEL: &str = "--lower low --upper u --mount m --driver kernel";

#[test]
fn http_and_the_mount_show_each_others_changes_at_once() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    let server = place.serve(BY_FUSE);
    assert_eq!((place.read("m/a"), place.read("m/d/b")), ("one".into(), "two".into()));
    assert!(!place.path("m/new").exists());
    for round in 0..20 {
        let told = format!("round {round} {}", "x".repeat(round));
        server.put("a", &told);
        server.put("new", &told);
        assert_eq!((place.read("m/a"), place.read("m/new")), (told.clone(), told.clone()));
        assert_eq!(fs::metadata(place.path("m/a")).unwrap().len(), told.len() as u64);
        let etag = server.get("/v1/entries/a").header("etag").unwrap().to_owned();
        place.file("m/a", &format!("{told} by the mount"));
        assert_eq!(server.text("a"), format!("{told} by the mount"));
        assert_ne!(server.get("/v1/entries/a").header("etag").unwrap(), etag);
        fs::rename(place.path("m/new"), place.path("m/d/moved")).unwrap();
        assert_eq!(
            (server.names(""), server.names("d")),
            (vec!["a".into(), "d".into()], vec!["b".into(), "moved".into()])
        );
        assert_eq!(server.ask("DELETE", "/v1/files/d/moved", "", "").status, 204);
        assert!(!place.path("m/d/moved").exists());
    }
    assert_eq!(server.json("/v1/changes")["changes"][0]["path"], "/a");
    assert_eq!(server.ask("DELETE", "/v1/changes/a", "", "").status, 204);
    assert_eq!(place.read("m/a"), "one");
}

#[test]
fn changes_of_both_sides_are_told_as_events() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    let server = place.serve(BY_FUSE);
    let mut events = server.events();
    server.put("by-http", "x");
    place.file("m/by-mount", "x");
    fs::remove_file(place.path("m/a")).unwrap();
    let told = events.until("whiteout", "/a");
    for path in ["/by-http", "/by-mount"] {
        assert!(told.contains(&("created".into(), path.into())), "{told:?}");
    }
}

#[test]
fn the_upper_of_a_server_that_mounts_is_its_alone() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    place.dir("m2");
    for line in [BY_FUSE, BY_KERNEL] {
        let server = place.serve(line);
        assert_eq!(place.fails("discard --yes a --lower low --upper u").0, 8, "{line}");
        assert_eq!(place.fails("mount --lower low --upper u m2").0, 8, "{line}");
        let (code, why) = failed(place.never_serves("--lower low --upper u --mount m2"));
        assert!(code == 8 && why.contains("in use"), "{line}: {why}");
        // What only looks may.
        assert_eq!(place.ok("cat a --lower low --upper u"), "one");
        assert_eq!(server.stop().0, Some(0), "{line}");
    }
    place.ok("mount --lower low --upper u m2");
}

#[test]
fn while_the_kernel_has_the_upper_http_reads_what_it_writes_and_changes_nothing() {
    let Some(place) = Place::private() else { return };
    let server = place.serve(BY_KERNEL);
    assert_eq!(server.text("a"), "one");
    let etags =
        || ["/v1/entries/a", "/v1/entries?list=true"].map(|at| server.get(at).header("etag").unwrap().to_owned());
    let before = etags();
    place.file("m/a", "by the kernel");
    place.file("m/d/new", "new");
    fs::remove_file(place.path("m/d/b")).unwrap();
    assert_eq!((server.text("a"), server.names("d")), ("by the kernel".into(), vec!["new".into()]));
    let after = etags();
    assert!(before[0] != after[0] && before[1] != after[1], "{before:?} {after:?}");
    fs::rename(place.path("m/d"), place.path("m/moved")).unwrap();
    assert_eq!((server.names(""), server.text("moved/new")), (vec!["a".into(), "moved".into()], "new".into()));

    let changes = server.get("/v1/changes");
    let json = changes.json();
    let told: Vec<_> = json["changes"].as_array().unwrap().iter().map(|one| (&one["path"], &one["what"])).collect();
    assert!(
        told.contains(&(&"/a".into(), &"modified".into())) && told.contains(&(&"/moved".into(), &"renamed".into())),
        "{json}"
    );
    assert_eq!((changes.header("etag"), server.get("/v1/overlay").header("etag")), (None, None));
    assert_eq!(server.get("/v1/why/moved/b").json()["layers"][0]["found"], "whiteout");
    fs::write(place.path("all.tar"), server.get("/v1/export?format=tar").body).unwrap();
    let listed = Command::new("tar").args(["-tf", "all.tar"]).current_dir(place.path("")).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "a\nmoved/\nmoved/new\n");

    let by_kernel = place.ok("digest --lower m");
    let transfer = r#"{"from":"/a","to":"/z"}"#;
    for (method, path, more, body) in [
        ("PUT", "/v1/files/a", "", "x"),
        ("PUT", "/v1/files/x/y?parents=true", "If-None-Match: *\r\n", "x"),
        ("PATCH", "/v1/files/a?offset=0", "", "x"),
        ("DELETE", "/v1/files/a", "", ""),
        ("PUT", "/v1/entries/e", "Content-Type: application/json\r\n", r#"{"kind":"dir"}"#),
        ("PATCH", "/v1/entries/a", "Content-Type: application/merge-patch+json\r\n", r#"{"mode":"0600"}"#),
        ("DELETE", "/v1/entries/moved?recursive=true", "", ""),
        ("POST", "/v1/moves", "Content-Type: application/json\r\n", transfer),
        ("POST", "/v1/copies", "Content-Type: application/json\r\n", transfer),
        ("DELETE", "/v1/changes/a", "", ""),
        ("DELETE", "/v1/changes", "If-Match: *\r\n", ""),
        ("POST", "/v1/imports", "", "no archive"),
        ("GET", "/v1/events", "", ""),
    ] {
        let answer = server.ask(method, path, more, body);
        assert_eq!((answer.status, answer.slug()), (409, "mounted".into()), "{method} {path}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("\\\"m\\\"") && detail.contains("--driver fuse"), "{method} {path}: {detail}");
    }
    assert_eq!(place.ok("digest --lower m"), by_kernel);
    assert_eq!(server.json("/v1")["features"], serde_json::json!(["mount"]));
    assert_eq!(server.json("/v1/overlay")["read_only"], true);

    assert_eq!(server.stop().0, Some(0));
    assert_eq!(place.ok("digest --lower low --upper u"), by_kernel);
    assert!(!place.path("u.ovl-work/kernel/work").exists(), "what the kernel leaves is removed");
}

#[test]
fn a_stopped_server_leaves_no_mount() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    place.dir("low2");
    for line in [BY_FUSE, BY_KERNEL, "--lower low --lower low2 --mount m", "--lower low --upper mem: --mount m"] {
        for signal in ["-INT", "-TERM"] {
            let server = place.serve(line);
            assert_eq!(place.read("m/a"), "one", "{line}");
            assert!(place.mounted().is_some());
            server.signal(signal);
            let (code, printed) = server.ended();
            assert_eq!((code, place.mounted()), (Some(0), None), "{line} {signal}: {printed}");
        }
    }
}

#[test]
fn a_stopped_server_takes_away_what_has_been_moved() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    for driver in ["fuse", "kernel"] {
        place.dir("before/m");
        let server = place.serve(&format!("--lower low --upper u --mount before/m --driver {driver}"));
        fs::rename(place.path("before"), place.path("after")).unwrap();
        assert_eq!(place.read("after/m/a"), "one");
        let (code, said) = server.stop();
        assert_eq!((code, fs::read_dir(place.path("after/m")).unwrap().count()), (Some(0), 0), "{driver}: {said}");
        fs::remove_dir_all(place.path("after")).unwrap();
    }
}

#[test]
fn a_second_signal_leaves_no_mount_either() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    place.dir("low2");
    place.file("low/big", &"x".repeat(32 << 20));
    for line in [BY_FUSE, "--lower low --lower low2 --mount m"] {
        let mut server = place.serve(line);
        // Who does not read an answer keeps the server from stopping.
        let _unread = server.begin("/v1/files/big");
        server.signal("-TERM");
        server.has_said("Stopping");
        server.signal("-TERM");
        let (code, printed) = server.ended();
        assert_eq!((code, place.mounted()), (Some(143), None), "{line}: {printed}");
    }
}

#[test]
fn a_mount_that_is_used_at_the_end_is_told() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    for (line, stays) in [(BY_FUSE, false), (BY_KERNEL, true)] {
        let server = place.serve(line);
        let mut user = Command::new("cat").current_dir(place.path("m")).stdin(Stdio::piped()).spawn().unwrap();
        let (code, printed) = server.stop();
        assert!(code == Some(4) && printed.contains("is still used"), "{line}: {code:?} {printed}");
        assert_eq!(place.mounted().is_some(), stays, "{line}");
        drop(user.stdin.take());
        user.wait().unwrap();
    }
    // What stays protects the upper.
    assert_eq!(place.fails("discard --yes a --lower low --upper u").0, 8);
    place.ok("unmount m");
}

#[test]
fn what_cannot_be_mounted_is_refused_with_the_reason() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    place.dir("m/inner");
    for (line, code, reason) in [
        ("--lower low --upper u --mount low/d", 2, "lie in one another"),
        ("--lower low --upper u --mount low", 2, "lie in one another"),
        ("--lower m/inner --upper u --mount m", 2, "lie in one another"),
        ("--lower low --upper m/inner --mount m", 2, "lie in one another"),
        ("--lower low --upper u --mount low/a", 2, "is no directory"),
        ("--lower low --upper u --mount none", 3, "no such mount point: none"),
        ("--lower low --upper u --driver kernel", 2, "--mount"),
        ("--lower low --upper mem: --mount m --driver kernel", 1, "in memory"),
        ("--lower low --mount m --driver kernel", 1, "one layer alone"),
        ("--lower low --upper p --upper-form portable --mount m --driver kernel", 9, "portable"),
        ("--lower low --upper u --mount m --driver other", 2, "other"),
    ] {
        let (real, why) = failed(place.never_serves(line));
        assert!(real == code && why.contains(reason), "{line}: {real} {why}");
        assert_eq!(place.mounted(), None, "{line}");
    }
}

#[test]
fn a_server_that_cannot_listen_leaves_no_mount() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for line in [BY_FUSE, BY_KERNEL] {
        let output = place.server(line).env("OVL_LISTEN", &address).output().unwrap();
        assert_eq!((failed(output).0, place.mounted()), (7, None), "{line}");
    }
}

#[test]
fn the_choice_of_a_driver_is_told_with_its_reason() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    place.ok("export -o low.zip --lower low");
    place.dir("low2");
    for (line, driver, reason) in [
        (BY_FUSE, "fuse", "HTTP and the mount can both change the tree"),
        (BY_KERNEL, "kernel", "asked for"),
        ("--lower low --lower low2 --mount m", "kernel", "every layer is a directory"),
        ("--lower low --mount m", "fuse", "the kernel cannot mount this"),
        ("--lower low --lower low2 --mount m --driver fuse", "fuse", "asked for"),
        ("--lower low.zip --lower low --mount m", "fuse", "the kernel cannot mount this"),
        ("--lower low --lower low/d --mount m", "fuse", "the kernel cannot mount this"),
    ] {
        let dry = String::from_utf8(place.server(line).arg("--dry-run").output().unwrap().stdout).unwrap();
        assert_eq!(place.mounted(), None, "{line}");
        let server = place.serve(line);
        let mounts = server.json("/v1/mounts");
        let mount = &mounts[0];
        assert_eq!(
            (&mount["driver"], &mount["state"], &mount["name"]),
            (&driver.into(), &"mounted".into(), &"m".into())
        );
        assert!(mount["reason"].as_str().unwrap().starts_with(reason), "{line}: {mount}");
        let fstype = if driver == "kernel" { "overlay" } else { "fuse.ovl" };
        assert_eq!(
            (&mount["table"]["fstype"], &mount["table"]["read_only"]),
            (&fstype.into(), &(!line.contains("--upper")).into())
        );
        assert_eq!(server.json("/v1/overlay")["mount"], serde_json::json!({"driver": driver, "state": "mounted"}));
        // Nothing of the host is told to who may only ask.
        for at in ["/v1/mounts", "/v1/overlay", "/v1/graphdriver", "/v1/layers"] {
            let body = String::from_utf8(server.get(at).body).unwrap();
            assert!(!body.contains(place.path("").to_str().unwrap()) && !body.contains("low.zip is"), "{at}: {body}");
        }
        assert_eq!(server.get("/v1/graphdriver").slug(), "paths-not-told");
        let (_, printed) = server.stop();
        let mounted = printed.lines().find(|line| line.starts_with("Mount: ")).unwrap();
        let name = if driver == "kernel" { "the kernel" } else { "FUSE" };
        assert!(mounted.contains(&format!("{} by {name} ({reason}", place.path("m").display())), "{mounted}");
        // That these lie in one another only the kernel finds out.
        assert!(dry.lines().any(|line| line == mounted) || line.contains("low/d"), "{dry}");
    }
}

#[test]
fn where_paths_are_told_a_mount_is_told_as_docker_and_findmnt_tell_it() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    let at = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let server = place.serve(&format!("{BY_FUSE} --tell-paths"));
    let graph = server.json("/v1/graphdriver");
    assert_eq!((&graph["Name"], &graph["Data"]["LowerDir"]), (&"ovl".into(), &at("low").into()));
    assert_eq!((&graph["Data"]["MergedDir"], &graph["Data"]["UpperDir"]), (&at("m").into(), &at("u").into()));
    drop(server);

    let server = place.serve(&format!("{BY_KERNEL} --tell-paths"));
    let by_command: Value = serde_json::from_str(&place.ok("inspect --graphdriver m")).unwrap();
    assert_eq!(server.json("/v1/graphdriver"), by_command);
    let mount = &server.json("/v1/mounts")[0];
    let host = &mount["host"];
    let told = (&host["mountpoint"], &host["upper"], &host["lowers"][0]);
    assert_eq!(told, (&at("m").into(), &at("u").into(), &at("low").into()));
    assert!(mount["table"]["options"].as_array().unwrap().contains(&format!("upperdir={}", at("u")).into()), "{mount}");
    let refusal = server.ask("PUT", "/v1/files/a", "", "").json();
    assert!(refusal["detail"].as_str().unwrap().contains(&at("m")), "{refusal}");
}

#[test]
fn the_command_that_is_told_mounts_the_same_without_a_server() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    let ovl = std::path::Path::new(env!("CARGO_BIN_EXE_ovl")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", ovl.display());
    let kind = |line: &str| line.split_once(" - ").unwrap().1.to_owned();
    for line in [BY_KERNEL, BY_FUSE, "--lower low --upper u --mount m --allow-other"] {
        let server = place.serve(&format!("{line} --tell-paths"));
        let mount = &server.json("/v1/mounts")[0];
        let others = mount["table"]["options"].as_array().unwrap().contains(&"allow_other".into());
        assert_eq!(others, line.contains("allow-other"), "{mount}");
        let before = place.mounted().unwrap();
        assert_eq!(server.stop().0, Some(0));
        let command = mount["host"]["command"].as_str().unwrap();
        let done = Command::new("sh").args(["-c", command]).env("PATH", &path).status().unwrap();
        assert!(done.success(), "{command}");
        assert_eq!(kind(&place.mounted().unwrap()), kind(&before), "{command}");
        place.ok("unmount m");
    }
}

#[test]
fn a_mount_that_somebody_ends_is_noticed_and_the_server_goes_on() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    for line in [BY_FUSE, BY_KERNEL] {
        let server = place.serve(line);
        let etag = server.get("/v1/overlay").header("etag").map(str::to_owned);
        assert!(Command::new("umount").arg(place.path("m")).status().unwrap().success());
        assert_eq!(server.json("/v1/mounts")[0]["state"], "gone", "{line}");
        let condition = etag.map(|etag| format!("If-None-Match: {etag}\r\n")).unwrap_or_default();
        let overlay = server.ask("GET", "/v1/overlay", &condition, "");
        assert_eq!((overlay.status, &overlay.json()["mount"]["state"]), (200, &"gone".into()), "{line}");
        assert_eq!(server.get("/v1/graphdriver").status, 404);
        assert_eq!(server.text("a"), "one");
        match line {
            BY_FUSE => {
                server.put("later", "x");
                let whole = format!("If-Match: {}\r\n", server.get("/v1/overlay").header("etag").unwrap());
                assert_eq!(server.ask("DELETE", "/v1/changes", &whole, "").status, 204);
            }
            _ => assert!(
                server.ask("PUT", "/v1/files/a", "", "").json()["detail"].to_string().contains("restart the server")
            ),
        }
        // What another mounts at that place stays.
        let tmpfs = ["-t", "tmpfs", "other"];
        assert!(Command::new("mount").args(tmpfs).arg(place.path("m")).status().unwrap().success());
        assert_eq!(server.stop().0, Some(0), "{line}");
        assert!(place.mounted().unwrap().contains(" - tmpfs other "), "{line}");
        assert!(Command::new("umount").arg(place.path("m")).status().unwrap().success());
    }
}

#[test]
fn what_a_killed_server_leaves_mounted_is_cleared_by_the_next() {
    let Some(place) = Place::private().filter(|_| has_fuse()) else { return };
    let server = place.serve(BY_FUSE);
    place.file("m/kept", "x");
    server.signal("-KILL");
    server.ended();
    assert!(fs::metadata(place.path("m/kept")).is_err() && place.mounted().is_some());
    let server = place.serve(BY_FUSE);
    assert_eq!(place.read("m/kept"), "x");
    let (code, printed) = server.stop();
    assert!(code == Some(0) && printed.contains("its process is gone"), "{printed}");
    assert_eq!(place.mounted(), None);
    assert_eq!(fs::metadata(place.path("m")).unwrap().dev(), fs::metadata(place.path("low")).unwrap().dev());
}

#[test]
fn what_the_kernel_keeps_mounted_for_a_killed_server_is_taken_away_by_the_next_of_the_same_stack() {
    let Some(place) = Place::private() else { return };
    place.file("low2/b", "b");
    let killed = || {
        let server = place.serve(BY_KERNEL);
        place.file("m/kept", "x");
        server.signal("-KILL");
        server.ended();
    };
    killed();
    // Another stack has no claim to it.
    let other = failed(place.never_serves("--lower low2 --upper u --mount m --driver kernel"));
    assert!(other.0 == 8 && place.mounted().is_some(), "{other:?}");
    let server = place.serve(BY_KERNEL);
    assert_eq!((place.read("m/kept"), server.text("kept")), ("x".into(), "x".into()));
    let (code, printed) = server.stop();
    assert!(code == Some(0) && printed.contains("took away what was mounted"), "{printed}");
    assert_eq!(place.mounted(), None);
    // One that is used stays, and it is told how to go on.
    killed();
    let open = fs::File::open(place.path("m/kept")).unwrap();
    let (code, why) = failed(place.never_serves(BY_KERNEL));
    assert!(code == 4 && why.contains("server that was killed") && why.contains("fuser -vm"), "{code} {why}");
    drop(open);
    drop(place.serve(BY_KERNEL));
    assert_eq!(place.mounted(), None);
}

#[test]
fn what_no_killed_server_has_mounted_is_left_alone() {
    let Some(place) = Place::private() else { return };
    place.ok("mount --driver kernel --lower low --upper u m");
    let before = place.mounted();
    let (code, why) = failed(place.never_serves(BY_KERNEL));
    assert!(code == 8 && place.mounted() == before, "{why}");
    place.ok("unmount m");
    // Nor what somebody mounts in the place of one that a killed server has left.
    let server = place.serve(BY_KERNEL);
    server.signal("-KILL");
    server.ended();
    place.ok("unmount m");
    place.ok("mount --driver kernel --lower low --upper u m");
    let before = place.mounted();
    assert_eq!(failed(place.never_serves(BY_KERNEL)).0, 8);
    assert_eq!(place.mounted(), before);
}
