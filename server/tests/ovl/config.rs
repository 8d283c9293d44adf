//! Settings: where they come from, and how they are shown.

use std::fs;

use crate::Place;

const FILE: &str = "lower = [\"low\"]\nlisten = \"127.0.0.1:9\"\nlog = \"info\"\nstrict = true\n";

fn with_file(text: &str) -> Place {
    let place = Place::new();
    fs::create_dir_all(place.path().join("config/ovl")).unwrap();
    fs::write(place.path().join("config/ovl/config.toml"), text).unwrap();
    place
}

#[test]
fn every_setting_is_shown_with_its_origin() {
    let place = with_file(FILE);
    let mut command = place.command("config show --origin --quota 4K --log debug");
    let output = command.env("OVL_DURABILITY", "none").env("OVL_LISTEN", "127.0.0.1:7").output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let file = format!("# file {}", place.path().join("config/ovl/config.toml").display());
    for (setting, origin) in [
        ("lower = [\"low\"] ", &*file),
        ("strict = true ", &file),
        ("quota = \"4K\" ", "# flag"),
        ("log = \"debug\" ", "# flag"),
        ("durability = \"none\" ", "# environment OVL_DURABILITY"),
        ("listen = \"127.0.0.1:7\" ", "# environment OVL_LISTEN"),
        ("redirect-dir = \"on\" ", "# default"),
        ("no-auth = false ", "# default"),
        ("# upper is not set ", "# default"),
        ("# token is not set ", "# default"),
    ] {
        let is_it = |line: &str| line.starts_with(setting) && line.ends_with(origin);
        assert!(shown.lines().any(is_it), "{setting}{origin}: {shown}");
    }
}

#[test]
fn what_is_shown_is_a_configuration_file() {
    let place = with_file(FILE);
    let shown = place.ok("config show --max-body 1M --cors-origin https://a.example --cors-origin https://b.example");
    fs::write(place.path().join("shown.toml"), &shown).unwrap();
    assert_eq!(place.ok("config show --config shown.toml"), shown);
    assert!(shown.contains("cors-origin = [\"https://a.example\", \"https://b.example\"]"), "{shown}");
}

#[test]
fn the_token_is_never_shown() {
    let place = Place::new();
    for line in ["config show --origin", "config show --json"] {
        let output = place.command(line).env("OVL_TOKEN", "a-secret-of-some-length").output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains("environment OVL_TOKEN") && !shown.contains("secret-of"), "{shown}");
    }
    let shown = place.json("config show --json --listen 127.0.0.1:1");
    let settings = shown["settings"].as_array().unwrap();
    let listen = settings.iter().find(|setting| setting["name"] == "listen").unwrap();
    assert_eq!((&listen["value"], &listen["origin"]), (&"127.0.0.1:1".into(), &"flag".into()));
}

#[test]
fn ovl_reads_the_file_of_the_server_and_takes_what_it_has() {
    let place = with_file(FILE);
    assert_eq!(place.ok("ls"), "a\nd/\n");
    assert_eq!(place.ok("cat -- a"), "one");
    fs::create_dir(place.path().join("other")).unwrap();
    assert_eq!(place.ok("ls --lower other"), "");
    let output = place.command("ls").env("OVL_LOWER", "other").output().unwrap();
    assert_eq!(output.stdout, b"");
}

#[test]
fn a_mistake_in_the_file_is_named_with_the_file() {
    for (text, reason) in [
        ("lowr = \"low\"", "config.toml: unknown key \"lowr\"; `ovl config show` lists the keys"),
        ("dry-run = true", "config.toml: unknown key \"dry-run\""),
        ("lower = \"low\"\nstrict = maybe", "config.toml: line 2: "),
        ("strict = \"yes\"", "config.toml: strict is true or false"),
        ("durability = \"much\"", "config.toml: invalid value 'much' for '--durability <LEVEL>'"),
    ] {
        let (code, message) = with_file(text).fails("ls");
        assert_eq!(code, 2, "{text}: {message}");
        assert!(message.contains(reason) && message.lines().count() == 1, "{text}: {message}");
    }
}

#[test]
fn a_switch_in_the_environment_is_said_as_people_say_it() {
    for (said, meant) in [("1", true), ("yes", true), ("true", true), ("0", false), ("off", false), ("false", false)] {
        let output = Place::new().command("config show").env("OVL_STRICT", said).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(&format!("strict = {meant}\n")), "{said}: {shown}");
    }
}

#[test]
fn a_newline_parts_layers_in_the_environment_alone() {
    let place = Place::new();
    for (dir, name) in [("x\ny", "odd"), ("more", "b")] {
        fs::create_dir(place.path().join(dir)).unwrap();
        fs::write(place.path().join(dir).join(name), "").unwrap();
    }
    let told = |line: &str, variable: &str| {
        let output = place.command(line).env("OVL_LOWER", variable).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(place.ok("ls --lower x\ny --lower more"), "b\nodd\n");
    assert_eq!(told("ls", "low\nmore"), "a\nb\nd/\n");
    // A flag is stronger than the list.
    assert_eq!(told("ls --lower more", "low\nnone"), "b\n");
    fs::write(place.path().join("conf"), "lower = [\"x\\ny\"]\n").unwrap();
    assert_eq!(place.ok("ls --config conf"), "odd\n");
    let settings = told("config show --origin --config conf", "low\nmore");
    assert!(
        settings.contains("lower = [\"low\", \"more\"]") && settings.contains("# environment OVL_LOWER"),
        "{settings}"
    );
    assert!(place.ok("ls --help").contains("[env: OVL_LOWER="));
}
