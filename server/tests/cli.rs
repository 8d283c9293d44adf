//! The program as a person starts it: what it prints, and how it ends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

const WHEEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/click-8.5.1-py3-none-any.whl");

fn program(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ovl-server"));
    command.current_dir(folder).env_clear().env("XDG_CONFIG_HOME", folder.path().join("config"));
    command
}

fn run(folder: &TempDir, flags: &[&str]) -> Output {
    program(folder).args(flags).output().expect("it starts")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server that runs until it is dropped.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(folder: &TempDir, flags: &[&str]) -> Self {
        let ready = folder.path().join("ready");
        let mut command = program(folder);
        command.args(["--listen", "127.0.0.1:0", "--ready-file", "ready"]).args(flags);
        let child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let begun = Instant::now();
        while !ready.exists() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not get ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        let url = std::fs::read_to_string(&ready).expect("an address").trim().to_owned();
        Self { child, url }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        self.ask_with("X-Nothing: more", method, path, body)
    }

    fn ask_with(&self, line: &str, method: &str, path: &str, body: &str) -> String {
        let host = self.url.strip_prefix("http://").expect("over TCP");
        let mut stream = TcpStream::connect(host).expect("it listens");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{line}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        text(&answer)
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    }

    /// Asks it to stop, and returns its exit code and what it printed.
    fn stop(mut self) -> (Option<i32>, String) {
        self.signal("-TERM");
        let mut printed = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut printed).expect("text");
        (self.child.wait().expect("it ends").code(), printed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test asked it to.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_server_starts_keeps_changes_in_its_upper_and_stops() {
    let folder = folder();
    let server = Running::start(&folder, &["--lower", WHEEL, "--upper", "./u"]);
    assert!(server.ask("PUT", "/v1/files/click/core.py", "changed").starts_with("HTTP/1.1 204"));
    let url = server.url.clone();
    let (code, printed) = server.stop();
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(std::fs::read_to_string(folder.path().join("u/click/core.py")).expect("the upper has it"), "changed");
    assert!(!folder.path().join("ready").exists());
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "Layers, topmost first:");
    assert!(lines[1].contains("upper") && lines[1].contains("./u"), "{printed}");
    assert!(lines[2].contains("lower  zip") && lines[2].contains(WHEEL), "{printed}");
    assert!(lines[3].starts_with("Changes: ./u as "), "{printed}");
    assert!(
        printed.contains(&format!("Serving {url}\nLook     {url}/ in a browser\n"))
            && printed.contains(&format!("curl '{url}/v1/entries")),
        "{printed}"
    );
    let again = Running::start(&folder, &["--lower", WHEEL, "--upper", "./u"]);
    assert!(again.ask("GET", "/v1/files/click/core.py", "").ends_with("changed"));
}

#[test]
fn the_stack_is_drawn_with_the_directories_that_are_shown() {
    let folder = folder();
    let lower = format!("type=zip,path={WHEEL},root=/click");
    let printed = text(&run(&folder, &["--lower", &lower, "--dry-run"]).stdout);
    assert!(printed.contains(&format!("  0  lower  zip  {WHEEL}  (from /click down)\n")), "{printed}");
}

#[test]
fn a_flag_is_stronger_than_the_environment_and_that_than_the_file() {
    let folder = folder();
    for name in ["flag", "variable", "file"] {
        std::fs::create_dir(folder.path().join(name)).expect("made");
    }
    let config = folder.path().join("config/ovl");
    std::fs::create_dir_all(&config).expect("made");
    std::fs::write(config.join("config.toml"), "lower = [\"file\", \"flag\"]\nupper = \"mem:\"\n").expect("made");
    let stack = |command: &mut Command| {
        let output = command.arg("--dry-run").output().expect("it starts");
        text(&output.stdout).lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let from_file = stack(&mut program(&folder));
    assert_eq!(from_file.len(), 3, "{from_file:?}");
    assert!(from_file[1].contains("file") && from_file[2].contains("flag"), "{from_file:?}");
    let from_variable = stack(program(&folder).env("OVL_LOWER", "variable"));
    assert!(from_variable.len() == 2 && from_variable[1].contains("variable"), "{from_variable:?}");
    let from_flag = stack(program(&folder).env("OVL_LOWER", "variable").args(["--lower", "flag"]));
    assert!(from_flag.len() == 2 && from_flag[1].contains("flag"), "{from_flag:?}");
}

#[test]
fn the_help_teaches_with_examples() {
    let folder = folder();
    let help = text(&run(&folder, &["--help"]).stdout);
    for word in
        ["Examples:", "--lower site.zip --upper ./changes", "curl", "Exit codes:", "OVL_LISTEN", "Layers:", "Server:"]
    {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[cfg(unix)]
#[test]
fn a_socket_file_is_for_its_owner_alone() {
    use std::os::unix::{fs::PermissionsExt, net::UnixStream};

    let folder = folder();
    let socket = folder.path().join("s");
    let listen = format!("unix:{}", socket.display());
    let mut child = program(&folder)
        .args(["--upper", "mem:", "--listen", &listen, "--ready-file", "ready"])
        .spawn()
        .expect("it starts");
    let begun = Instant::now();
    while !folder.path().join("ready").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not get ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(mode(&socket) & 0o777, 0o600);
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    stream.write_all(b"GET /v1 HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("it is there").permissions().mode()
    }
}

#[test]
fn the_token_is_asked_for_and_never_printed() {
    let folder = folder();
    let token = "a-secret-of-some-length";
    std::fs::write(folder.path().join("token"), format!("{token}\n")).expect("made");
    let server = Running::start(&folder, &["--upper", "mem:", "--token-file", "token", "--log", "trace"]);
    assert!(server.ask("GET", "/v1", "").starts_with("HTTP/1.1 401"));
    let auth = format!("Authorization: Bearer {token}");
    assert!(server.ask_with(&auth, "GET", "/v1", "").starts_with("HTTP/1.1 200"));
    assert!(server.ask_with(&format!("{auth}x"), "GET", "/v1", "").starts_with("HTTP/1.1 401"));
    let (_, printed) = server.stop();
    assert!(!printed.contains(token), "{printed}");
}

#[test]
fn a_second_signal_ends_at_once_what_the_first_lets_finish() {
    for (second, code) in [("-TERM", 143), ("-INT", 130)] {
        let folder = folder();
        let mut server = Running::start(&folder, &["--upper", "mem:"]);
        let host = server.url.strip_prefix("http://").expect("over TCP").to_owned();
        let mut upload = TcpStream::connect(&host).expect("it listens");
        let head = "Content-Length: 9\r\nExpect: 100-continue";
        upload
            .write_all(format!("PUT /v1/files/a HTTP/1.1\r\nHost: {host}\r\n{head}\r\n\r\n").as_bytes())
            .expect("sent");
        // The answer says that the upload is under way.
        upload.read_exact(&mut [0; "HTTP/1.1 100 ".len()]).expect("an answer");
        server.signal("-TERM");
        let mut told = BufReader::new(server.child.stderr.take().expect("piped")).lines();
        assert!(told.any(|line| line.expect("text").starts_with("Stopping: ")));
        assert!(server.child.try_wait().expect("it can be asked").is_none(), "it waits for the upload");
        server.signal(second);
        assert_eq!(server.child.wait().expect("it ends").code(), Some(code));
    }
}

#[cfg(unix)]
#[test]
fn a_service_manager_hears_when_the_server_is_ready_and_when_it_stops() {
    let folder = folder();
    let manager = std::os::unix::net::UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    let hear = || {
        let mut said = [0; 100];
        let length = manager.recv(&mut said).expect("something is said");
        text(&said[..length]).trim().to_owned()
    };
    let mut command = program(&folder);
    command.args(["--upper", "mem:", "--listen", "127.0.0.1:0"]).stderr(Stdio::null());
    let child = command.env("NOTIFY_SOCKET", folder.path().join("notify")).env("WATCHDOG_USEC", "10000").spawn();
    let server = Running { child: child.expect("it starts"), url: String::new() };
    assert_eq!(hear(), "READY=1");
    assert_eq!((hear(), hear()), ("WATCHDOG=1".into(), "WATCHDOG=1".into()));
    server.signal("-TERM");
    assert!((0..2000).any(|_| hear() == "STOPPING=1"));
}

#[cfg(unix)]
#[test]
fn a_socket_that_the_service_manager_passes_is_served() {
    let folder = folder();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let host = socket.local_addr().expect("an address").to_string();
    // Only the process itself knows its number, which must stand in its environment.
    let mut command = Command::new("sh");
    command.args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"]);
    command.args([env!("CARGO_BIN_EXE_ovl-server"), "--upper", "mem:", "--listen", "127.0.0.1:1"]);
    command.current_dir(&folder).stdin(std::os::fd::OwnedFd::from(socket)).stderr(Stdio::null());
    // A client may come before the server is there: it waits.
    let server = Running { child: command.spawn().expect("it starts"), url: format!("http://{host}") };
    assert!(server.ask("GET", "/v1", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_access_log_has_a_line_a_request_with_the_id_of_its_answer() {
    let folder = folder();
    let server = Running::start(&folder, &["--upper", "mem:", "--log", "access=info", "--log-format", "json"]);
    let own = server.ask("GET", "/v1/entries/none", "");
    let given = server.ask_with("X-Request-Id: from-a-proxy", "GET", "/v1", "");
    let odd = server.ask_with("X-Request-Id: with a space", "GET", "/v1", "");
    let (_, printed) = server.stop();
    let lines = printed.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let fields: Vec<_> = lines.map(|line| line["fields"].clone()).collect();
    let seen: Vec<_> = fields.iter().map(|line| (line["path"].as_str(), line["status"].as_u64())).collect();
    assert_eq!(seen, [(Some("/v1/entries/none"), Some(404)), (Some("/v1"), Some(200)), (Some("/v1"), Some(200))]);
    for (line, answer) in fields.iter().zip([&own, &given, &odd]) {
        let id = format!("x-request-id: {}\r\n", line["id"].as_str().expect("an id"));
        assert!(answer.contains(&id), "{id}: {answer}");
    }
    assert_eq!(fields[1]["id"], "from-a-proxy");
    assert!(fields[0]["id"] != fields[2]["id"] && !odd.contains("with a space"), "{fields:?}");
}

#[test]
fn quiet_says_nothing_and_verbose_every_request() {
    let folder = folder();
    let server = Running::start(&folder, &["--upper", "mem:", "-q"]);
    server.ask("GET", "/v1", "");
    assert_eq!(server.stop(), (Some(0), String::new()));
    let server = Running::start(&folder, &["--upper", "mem:", "-q", "-v"]);
    server.ask("GET", "/v1", "");
    let (_, printed) = server.stop();
    assert!(printed.lines().count() == 1 && printed.contains("method=GET path=\"/v1\" status=200"), "{printed}");
}
