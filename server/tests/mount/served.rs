//! A running `ovl-server`, and requests to it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::place::Place;

/// A server that runs until it is dropped.
pub(crate) struct Served {
    child: Child,
    told: BufReader<ChildStderr>,
    host: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// Returns whether this machine has FUSE, or tells that it has not.
pub(crate) fn has_fuse() -> bool {
    let has = Path::new("/dev/fuse").exists();
    if !has {
        eprintln!("skipped: needs /dev/fuse");
    }
    has
}

impl Place {
    pub(crate) fn server(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ovl-server"));
        command.current_dir(self.path("")).env_clear().env("XDG_CONFIG_HOME", self.path("config"));
        command.env("XDG_CACHE_HOME", self.path("cache")).env("OVL_LISTEN", "127.0.0.1:0").args(line.split(' '));
        command
    }

    /// Runs a server that does not get so far as to serve.
    pub(crate) fn never_serves(&self, line: &str) -> Output {
        self.server(line).output().unwrap()
    }

    /// Starts a server, and returns when it answers.
    pub(crate) fn serve(&self, line: &str) -> Served {
        let ready = self.path("ready");
        let mut command = self.server(line);
        let mut child = command.args(["--ready-file", "ready"]).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while !ready.exists() {
            if let Some(status) = child.try_wait().unwrap() {
                let mut told = String::new();
                child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
                panic!("{line}: {status}: {told}");
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it does not get ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        let url = fs::read_to_string(&ready).unwrap();
        fs::remove_file(&ready).unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        Served { child, told, host: url.trim().strip_prefix("http://").unwrap().to_owned() }
    }
}

impl Served {
    fn connect(&self, method: &str, path: &str, more: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (host, length) = (&self.host, body.len());
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\n{more}Connection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        stream
    }

    /// Sends a request with further lines of its head, each with its end.
    pub(crate) fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> Answer {
        let mut all = Vec::new();
        self.connect(method, path, more, body.as_bytes()).read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(all[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: all[end + 4..].to_vec() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let answer = self.ask("PUT", &format!("/v1/files/{path}"), "", text);
        assert!(matches!(answer.status, 201 | 204), "{answer:?}");
    }

    pub(crate) fn text(&self, path: &str) -> String {
        let answer = self.get(&format!("/v1/files/{path}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        String::from_utf8(answer.body).unwrap()
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let page = self.json(&format!("/v1/entries/{path}?list=true&fields=name"));
        page["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Follows the events from now on.
    pub(crate) fn events(&self) -> Events {
        let mut events = Events(BufReader::new(self.connect("GET", "/v1/events", "", b"")));
        while !events.line().starts_with(": hello") {}
        events
    }

    /// Asks for content, reads the beginning of the answer and no more.
    pub(crate) fn begin(&self, path: &str) -> TcpStream {
        let mut stream = self.connect("GET", path, "", b"");
        stream.read_exact(&mut [0; 100]).unwrap();
        stream
    }

    /// Waits until it prints a line that begins so.
    pub(crate) fn has_said(&mut self, words: &str) {
        let mut line = String::new();
        while !line.starts_with(words) {
            line.clear();
            assert_ne!(self.told.read_line(&mut line).unwrap(), 0, "it never says {words}");
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for its end, and returns its exit code and what it printed.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let mut printed = String::new();
        self.told.read_to_string(&mut printed).unwrap();
        (self.child.wait().unwrap().code(), printed)
    }

    /// Asks it to stop, and returns its exit code and what it printed.
    pub(crate) fn stop(self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.ended()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already where the test asked it to. A first signal lets it unmount.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("-TERM");
        }
        drop(self.child.wait());
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn slug(&self) -> String {
        self.json()["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
    }
}

/// Events on their way to one client.
pub(crate) struct Events(BufReader<TcpStream>);

impl Events {
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the events end");
        line
    }

    /// Waits for an event, and returns what came before it, too.
    pub(crate) fn until(&mut self, kind: &str, path: &str) -> Vec<(String, String)> {
        let mut told = Vec::new();
        loop {
            let line = self.line();
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).unwrap();
            told.push((event["kind"].as_str().unwrap().to_owned(), event["path"].as_str().unwrap().to_owned()));
            if told.last().is_some_and(|(one, at)| one == kind && at == path) {
                return told;
            }
        }
    }
}
