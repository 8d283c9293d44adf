//! How both programs end: a code for every kind of failure, and one line that says what failed and what to do.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use ovl_core::layers::host::{self, UpperOptions};
use tempfile::TempDir;

const WHEEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/click-8.5.1-py3-none-any.whl");

/// Makes a place with everything that can go wrong in it.
fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name);
    fs::create_dir_all(at("low/d")).expect("made");
    fs::write(at("low/a"), "one").expect("made");
    fs::write(at("low/d/b"), "two").expect("made");
    fs::create_dir(at("upper")).expect("made");
    fs::write(at("text"), "no archive").expect("made");
    let wheel = fs::read(WHEEL).expect("the example");
    fs::write(at("cut.zip"), &wheel[..wheel.len() - 30]).expect("made");
    fs::write(at("typo.toml"), "lowr = \"a\"").expect("made");
    place
}

/// Runs a line, the program first.
fn run(place: &Path, line: &str, out: Stdio) -> Output {
    let mut words = line.split_whitespace();
    let program = match words.next() {
        Some("ovl") => env!("CARGO_BIN_EXE_ovl"),
        _ => env!("CARGO_BIN_EXE_ovl-server"),
    };
    let mut command = Command::new(program);
    command.current_dir(place).env_clear().env("XDG_CONFIG_HOME", place.join("config"));
    command.args(words).stdin(Stdio::null()).stdout(out).output().expect("it starts")
}

/// Checks that a line ends with `code`, and says in one line what failed and what to do.
fn check(place: &Path, (line, code, what, advice): (&str, i32, &str, &str)) {
    let output = run(place, line, Stdio::null());
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}: {printed}");
    let program = line.split(' ').next().expect("a program");
    assert!(printed.starts_with(&format!("{program}: ")), "{line}: {printed}");
    assert!(printed.contains(what), "{line}: {what:?} is missing: {printed}");
    assert!(printed.contains(advice), "{line}: {advice:?} is missing: {printed}");
    assert_eq!(printed.lines().count(), 1, "{line}: {printed}");
}

#[test]
fn every_failure_has_its_code_and_one_line_with_advice() {
    let place = place();
    let at = place.path();
    for row in [
        // 2: the command line
        ("ovl-server", 2, "no layers", "--lower PATH"),
        ("ovl-server --lower low --upperr u", 2, "'--upperr'", "a similar argument exists: '--upper'"),
        ("ovl-server --lower low --listen nonsense", 2, "'nonsense'", "IP:PORT, [IPv6]:PORT or unix:PATH"),
        ("ovl-server --lower low --listen 0.0.0.0:0", 2, "reached by other machines", "--token-file or OVL_TOKEN"),
        ("ovl-server --lower low --token-file text", 2, "fewer than 16 characters", "make one with"),
        ("ovl-server --lower low --log =x=", 2, "--log =x=", "say warn, info"),
        ("ovl-server --lower low --quota 5X", 2, "'5X'", "with K, M or G"),
        ("ovl-server --lower tar:x.tar", 2, "\"tar\" is none of dir, zip, mem", "./tar:"),
        ("ovl-server --lower low --upper zip:u.zip", 2, "a zip cannot take changes", "--upper is a directory, or mem:"),
        ("ovl-server --lower low --upper text", 2, "the upper text is no directory", "--upper takes a directory"),
        ("ovl-server --lower low --upper low", 2, "overlap", "put the upper somewhere else"),
        ("ovl-server --lower low --upper low/d", 2, "overlap", "put the upper somewhere else"),
        ("ovl-server --lower low --upper low/new", 2, "overlap", "put the upper somewhere else"),
        ("ovl-server --lower low/d --upper low", 2, "overlap", "put the upper somewhere else"),
        ("ovl-server --config typo.toml", 2, "typo.toml: unknown key \"lowr\"", "`ovl config show` lists"),
        ("ovl ls", 2, "no layers", "--lower PATH"),
        ("ovl lss", 2, "'lss'", "a similar subcommand exists: 'ls'"),
        ("ovl ls --json --ndjson --lower low", 2, "'--json' cannot be used with '--ndjson'", "--help"),
        ("ovl ls ../up --lower low", 2, "not a valid path", "names joined by /"),
        ("ovl digest --what lower-7 --lower low", 2, "\"lower-7\"", "the layers are lower-1"),
        ("ovl discard --lower low --upper mem:", 2, "<PATHS>", "--help"),
        ("ovl import cut.zip --on-conflict replace --upper mem:", 2, "will be replaced", "--yes"),
        // 3: not found
        ("ovl-server --lower gone.zip", 3, "gone.zip", "check --lower"),
        ("ovl-server --lower low --upper none/u", 3, "the parent of the upper none/u is missing", "make it first"),
        ("ovl-server --lower low --token-file none", 3, "the token file none", "check --token-file"),
        ("ovl-server --lower low --config none.toml", 3, "the configuration none.toml", "check --config"),
        ("ovl-server --upper mem: --listen 127.0.0.1:0 --ready-file none/x", 3, "none/x", "check --ready-file"),
        ("ovl-server --upper mem: --listen unix:none/s", 3, "unix:none/s", "choose another --listen"),
        ("ovl ls missing --lower low", 3, "list /missing: no such file", "`ovl ls` lists what there is"),
        ("ovl cat missing --lower low", 3, "/missing: no such file", "`ovl why`"),
        ("ovl ls --lower missing", 3, "no such lower: missing", "check --lower"),
        ("ovl ls --lower path=low,root=/x", 3, "no directory /x", "check root="),
        ("ovl import missing.zip --upper mem:", 3, "cannot read missing.zip: no such file", "a zip or tar"),
        ("ovl discard a --yes --lower low --upper mem:", 3, "the upper holds nothing there", "`ovl changes` lists"),
        ("ovl export -o none/x.zip --lower low", 3, "cannot write none/x.zip", "choose another --output"),
        // 4: conflict
        ("ovl-server --upper mem: --listen unix:text", 4, "no socket is there", "choose another --listen"),
        ("ovl cat d --lower low", 4, "/d in layer low: is a directory", "`ovl stat` tells"),
        ("ovl ls a --lower low", 4, "list /a: not a directory", "`ovl stat` tells"),
        ("ovl export -o text --lower low", 4, "text is there already", "--yes"),
        // 5: read-only
        ("ovl discard a --yes --lower low", 5, "no upper", "--upper"),
        ("ovl import cut.zip --lower low", 5, "no upper", "--upper"),
        // 6: a corrupt layer
        ("ovl-server --lower text", 6, "neither a directory nor a zip", "is the download complete?"),
        ("ovl-server --lower cut.zip", 6, "cut.zip is damaged", "fetch it again"),
        ("ovl inspect cut.zip", 6, "cut.zip is damaged", "fetch it again"),
    ] {
        check(at, row);
    }
}

#[test]
fn success_is_zero_for_help_and_for_what_was_asked() {
    let place = place();
    for line in ["ovl --help", "ovl ls --help", "ovl --version", "ovl-server -h", "ovl ls --lower low"] {
        let output = run(place.path(), line, Stdio::piped());
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{line}");
        assert!(!output.stdout.is_empty(), "{line}");
    }
    let output = run(place.path(), "ovl", Stdio::null());
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Commands:"),
        "a program without a command explains itself"
    );
}

#[test]
fn a_busy_port_is_seven_and_leaves_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let line = format!("ovl-server --upper new --listen {address}");
    let place = place();
    check(place.path(), (&line, 7, &format!("{address} is taken"), "choose another --listen"));
    assert!(!place.path().join("new").exists(), "an upper was made for nobody");
}

#[test]
fn an_upper_in_use_is_eight_and_one_in_another_form_nine() {
    let place = place();
    let upper = host::upper(&place.path().join("upper"), UpperOptions::default()).expect("it can be written");
    for program in ["ovl-server", "ovl discard --all --yes"] {
        let line = format!("{program} --lower low --upper upper");
        check(place.path(), (&line, 8, "the upper upper is in use", "stop the other server"));
    }
    let other = if upper.form().to_string() == "portable" { "kernel-user" } else { "portable" };
    drop(upper);
    for program in ["ovl-server --dry-run", "ovl ls"] {
        let line = format!("{program} --lower low --upper upper --upper-form {other}");
        check(place.path(), (&line, 9, "written in another form", "leave out --upper-form"));
    }
}

#[cfg(unix)]
#[test]
fn what_has_no_code_of_its_own_is_one() {
    let place = place();
    std::os::unix::fs::symlink("loop", place.path().join("low/loop")).expect("made");
    check(place.path(), ("ovl cat loop --lower low", 1, "/loop: too many symbolic links", "`ovl stat` tells"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_upper_that_cannot_be_written_is_five() {
    // The kernel's own tree takes no directory, not even root's.
    let row =
        ("ovl-server --lower low --upper /sys/ovl", 5, "the upper /sys/ovl cannot be written", "choose a directory");
    check(place().path(), row);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_seventy_four() {
    let full = File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = run(place().path(), "ovl ls --lower low", full.into());
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(74), "{printed}");
    assert!(printed.starts_with("ovl: cannot write the output: No space left"), "{printed}");
    assert!(printed.ends_with("; send it elsewhere\n"), "{printed}");
}
