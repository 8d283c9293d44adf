//! The program `ovl`, as a script sees it: output, exit codes, and what it refuses.

mod config;
mod guides;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::SystemTime,
};

use ovl_core::layers::host::{self, UpperOptions};
use serde_json::Value;

struct Place(tempfile::TempDir);

impl Place {
    /// Returns a place with a lower: `a`, `d/b` and a link `l`.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path().join("low/d")).unwrap();
        fs::write(place.path().join("low/a"), "one").unwrap();
        fs::write(place.path().join("low/d/b"), "two").unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Returns `ovl` with the words of `line`, away from the settings of this machine.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovl"));
        command.current_dir(self.path()).env_clear().env("XDG_CONFIG_HOME", self.path().join("config"));
        command.args(line.split(' '));
        command
    }

    /// Runs a command that must succeed, and returns its output.
    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(line)).unwrap()
    }

    /// Runs a command that must fail, and returns its exit code and message.
    fn fails(&self, line: &str) -> (i32, String) {
        let output = self.run(line);
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Puts `new=1`, another `a` and no `d` into the upper `u`.
    fn change(&self) {
        let zip = zip(&[("new", b"1"), ("a", b"changed")]);
        fs::write(self.path().join("in.zip"), zip).unwrap();
        self.ok("import in.zip --on-conflict replace --yes --lower low --upper u");
    }
}

/// Returns a directory and what is in it, each with the time of its last change.
fn stamps(dir: &Path) -> Vec<(PathBuf, SystemTime)> {
    let inside = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = inside.chain([dir.to_owned()]).map(|path| (path.clone(), time_of(&path))).collect();
    all.sort();
    all
}

fn time_of(path: &Path) -> SystemTime {
    fs::symlink_metadata(path).unwrap().modified().unwrap()
}

/// A zip of stored files, written by its first principles.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let head = |version: &[u8]| {
            let mut head = version.to_vec();
            head.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
            head.extend(crc32(content).to_le_bytes());
            head.extend([(content.len() as u32).to_le_bytes(); 2].concat());
            head.extend((name.len() as u16).to_le_bytes());
            head.extend([0, 0]);
            head
        };
        directory.extend(head(b"PK\x01\x02\x14\x03"));
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.bytes());
        bytes.extend(head(b"PK\x03\x04"));
        bytes.extend(name.bytes());
        bytes.extend(*content);
    }
    let (start, count) = (bytes.len() as u32, files.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([(directory.len() as u32).to_le_bytes(), start.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (0..8).fold(crc, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 });
    !bytes.iter().fold(!0, |crc, byte| step(crc ^ u32::from(*byte)))
}

#[test]
fn the_tree_is_listed_read_and_explained() {
    let place = Place::new();
    assert_eq!(place.ok("ls --lower low"), "a\nd/\n");
    assert_eq!(place.ok("ls -R -0 --lower low"), "a\0d\0d/b\0");
    assert_eq!(place.ok("cat a /d/b --lower low"), "onetwo");
    let listed = place.json("ls -R --json --lower low");
    assert_eq!((&listed["schema"], &listed["entries"][2]["path"]), (&"ovl.ls/1".into(), &"/d/b".into()));
    assert_eq!(place.ok("ls --ndjson --lower low").lines().count(), 2);
    let stat = place.json("stat d/b --json --lower low");
    assert_eq!((&stat["entries"][0]["kind"], &stat["entries"][0]["size"]), (&"file".into(), &3.into()));
    place.change();
    let why = place.ok("why a --lower low --upper u");
    assert!(why.starts_with("/a shows from upper\n") && why.contains("hidden by upper (covered at /a)"), "{why}");
    let why = place.json("why a --json --lower low --upper u");
    assert_eq!((&why["schema"], &why["layers"][1]["fate"]), (&"ovl.why/1".into(), &"hidden".into()));
}

#[test]
fn changes_are_listed_looked_at_and_discarded() {
    let place = Place::new();
    place.change();
    let listed = "modified     /a\nadded        /new\n";
    assert_eq!(place.ok("changes --lower low --upper u"), listed);
    let json = place.json("changes --json --lower low --upper u");
    assert_eq!((&json["schema"], &json["changes"][0]["what"]), (&"ovl.changes/1".into(), &"modified".into()));
    assert_eq!(place.ok("changes -0 --lower low --upper u"), "a\0new\0");
    let (code, message) = place.fails("discard a --lower low --upper u");
    assert!(code == 2 && message.contains("--yes"), "{code} {message}");
    assert_eq!(place.ok("discard a --dry-run --lower low --upper u"), "modified     /a\n");
    assert_eq!(place.ok("changes --lower low --upper u"), listed);
    assert_eq!(place.ok("discard a --yes --lower low --upper u"), "modified     /a\n");
    assert_eq!(place.ok("cat a --lower low --upper u"), "one");
    place.ok("discard --all --yes --lower low --upper u");
    assert_eq!(place.ok("changes --lower low --upper u"), "");
    assert_eq!(fs::read(place.path().join("low/a")).unwrap(), b"one");
}

#[test]
fn looking_at_an_upper_needs_and_leaves_nothing() {
    let place = Place::new();
    let look =
        ["ls", "cat a", "stat a", "why a", "changes", "digest", "discard --all --dry-run", "export -o out.tar --yes"];
    for command in look {
        place.ok(&format!("{command} --lower low --upper u"));
        assert!(!place.path().join("u").exists(), "{command} made the upper");
    }
    let (code, _) = place.fails("ls --lower low --upper none/u");
    assert_eq!(code, 3, "an upper needs a parent");
    place.change();
    fs::remove_dir_all(place.path().join("u.ovl-work")).unwrap();
    let before = stamps(&place.path().join("u"));
    for command in look {
        place.ok(&format!("{command} --lower low --upper u"));
        assert_eq!(stamps(&place.path().join("u")), before, "{command} changed the upper");
        assert!(!place.path().join("u.ovl-work").exists(), "{command} made a work directory");
    }
}

#[test]
fn an_upper_in_use_is_looked_at_but_not_changed() {
    let place = Place::new();
    place.change();
    let _server = host::upper(&place.path().join("u"), UpperOptions::default()).unwrap();
    assert_eq!(place.ok("changes --lower low --upper u"), "modified     /a\nadded        /new\n");
    assert_eq!(place.ok("cat a --lower low --upper u"), "changed");
    let (code, message) = place.fails("discard --all --yes --lower low --upper u");
    assert!(code == 8 && message.contains("in use"), "{code} {message}");
}

#[test]
fn an_upper_goes_out_and_comes_back() {
    let place = Place::new();
    place.change();
    for file in ["out.zip", "out.tar"] {
        let report = place.json(&format!("export --what upper --json -o {file} --lower low --upper u"));
        assert_eq!((&report["entries"], &report["lossy"]), (&2.into(), &serde_json::json!({})), "{file}");
        let fresh = format!("fresh-{file}");
        let look = place.json(&format!("import {file} --dry-run --json --lower low --upper {fresh}"));
        assert_eq!((&look["entries"], &look["is_upper"], &look["dry_run"]), (&2.into(), &true.into(), &true.into()));
        assert!(!place.path().join(&fresh).exists());
        place.ok(&format!("import {file} --lower low --upper {fresh}"));
        let digest = |upper: &str| place.ok(&format!("digest --what upper --lower low --upper {upper}"));
        assert_eq!(digest(&fresh), digest("u"));
    }
    let (code, message) = place.fails("export --what upper -o out.zip --lower low --upper u");
    assert!(code == 4 && message.contains("--yes"), "{code} {message}");
    let (code, _) = place.fails("import out.zip --lower low --upper u");
    assert_eq!(code, 4, "what is there already is a conflict");
}

#[test]
fn an_archive_on_the_standard_output_is_nothing_else() {
    let place = Place::new();
    let output = place.run("export --lower low");
    assert!(output.stdout.starts_with(b"PK\x03\x04"));
    let output = place.run("export --format tar --lower low");
    assert!(output.stdout.len().is_multiple_of(512) && output.stdout[257..262] == *b"ustar");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ovl: 3 entries"));
    let output = place.run("export --json --lower low");
    let report: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&report["schema"], &report["entries"]), (&"ovl.export/1".into(), &3.into()));
}

#[test]
fn quiet_leaves_the_output_alone() {
    let place = Place::new();
    fs::write(place.path().join("x.zip"), zip(&[("fine", b"1"), ("../up", b"2")])).unwrap();
    for line in ["export -q --lower low", "inspect -q x.zip", "import -q x.zip --upper mem:", "digest -q --lower low"] {
        let output = place.run(line);
        let notes = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !output.stdout.is_empty() && notes.is_empty(), "{line}: {notes}");
    }
}

#[test]
fn an_archive_is_inspected() {
    let place = Place::new();
    fs::write(place.path().join("x.zip"), zip(&[("fine", b"1"), ("../up", b"2"), ("d/deep", b"345")])).unwrap();
    let json = place.json("inspect --json x.zip");
    assert_eq!((&json["schema"], &json["archive"]), (&"ovl.inspect/1".into(), &"x.zip".into()));
    let names: Vec<&str> = json["entries"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
    assert_eq!(names, ["/d", "/d/deep", "/fine"]);
    assert_eq!((&json["omissions"][0]["name"], &json["omissions"][0]["shown"]), (&"../up".into(), &false.into()));
    let output = place.run("inspect x.zip");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ovl: left out: ../up: "));
    let (code, message) = place.fails("inspect x.zip --strict");
    assert!(code == 6 && message.contains("strict"), "{code} {message}");
}

#[test]
fn a_directory_of_a_layer_is_shown_as_its_root() {
    let place = Place::new();
    fs::write(place.path().join("x,y.zip"), zip(&[("beside", b"1"), ("sub/in", b"2"), ("../up", b"3")])).unwrap();
    assert_eq!(place.ok("ls -R --lower type=zip,path=x,,y.zip,root=/sub --lower path=low,root=d"), "b\nin\n");
    let json = place.json("inspect --json path=x,,y.zip,root=sub");
    assert_eq!((&json["root"], &json["entries"][0]["path"]), (&"/sub".into(), &"/in".into()));
    assert_eq!(json["omissions"][0]["name"], "../up", "what is left out is told wherever it lies");
    let output = place.run("inspect path=x,,y.zip,root=sub");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ovl: only what lies beneath /sub is shown\n"));
    for (lower, code, said) in [
        ("path=low,root=/none", 3, "the lower low has no directory /none; check root="),
        ("path=low,root=/a", 2, "/a in the lower low is no directory"),
        ("path=low,root=../low", 2, "root=../low is no path"),
        ("path=x,y.zip", 2, "a comma in a value is written twice"),
    ] {
        let (found, message) = place.fails(&format!("ls --lower {lower}"));
        assert!(found == code && message.contains(said), "{lower}: {found} {message}");
    }
    let (code, message) = place.fails("ls --lower low --upper path=u,root=/d");
    assert!(code == 2 && message.contains("root= is for a lower"), "{code} {message}");
}

#[test]
fn a_digest_is_the_same_for_a_folder_and_its_archive() {
    let place = Place::new();
    let one = ovl_core::digest::content(&b"one".to_vec()).unwrap();
    assert_eq!(place.ok("digest a --lower low"), format!("{one}  /a\n"));
    place.ok("export -o low.zip --lower low");
    assert_eq!(place.ok("digest --lower low"), place.ok("digest --lower low.zip"));
    let json = place.json("digest --what lower-1 --json --lower low");
    assert_eq!((&json["schema"], &json["what"]), (&"ovl.digest/1".into(), &"lower-1".into()));
}
