//! What failures tell: to clients nothing of the host (trust T32), to the log no control character (trust T18).

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use ovl_core::{
    Blob, Caps, Entry, Error, ErrorKind, Layer, Marks, Name, Node, Overlay, Result, Stat, WritableLayer, Xattr,
    layers::memory::Memory, overlay::Policy,
};
use ovl_server::{
    app::App,
    cli::stack::{Opened, Sheet},
    events::Events,
    guard::Guard,
    settings::Settings,
    state::State,
};

use crate::{
    api::operations,
    support::{Answer, Site, WHEEL},
};

const SECRET: &str = "hidden-place";

/// A layer on a disk that fails, whose every error names the host's file and would write to a terminal.
#[derive(Debug)]
struct Broken(Arc<Memory>);

fn broken<T>() -> Result<T> {
    let cause = format!("/srv/{SECRET}/f\r\n\x1b[31mforged\u{202e} line: Input/output error (os error 5)");
    Err(Error::new(ErrorKind::Io, "read").because(cause))
}

impl Layer for Broken {
    fn caps(&self) -> &Caps {
        self.0.caps()
    }

    fn root(&self) -> Node {
        self.0.root()
    }

    fn lookup(&self, _: &Node, _: Name<'_>) -> Result<Option<Node>> {
        broken()
    }

    fn list(&self, _: &Node, _: Option<Name<'_>>, _: usize, _: bool) -> Result<Vec<Entry>> {
        broken()
    }

    fn stat(&self, _: &Node) -> Result<Stat> {
        broken()
    }

    fn marks(&self, node: &Node) -> Result<Marks> {
        self.0.marks(node)
    }

    fn xattrs(&self, _: &Node) -> Result<Vec<Xattr>> {
        broken()
    }

    fn target(&self, _: &Node) -> Result<Vec<u8>> {
        broken()
    }

    fn open(&self, _: &Node) -> Result<Arc<dyn Blob>> {
        broken()
    }
}

fn over_a_broken_disk() -> Site {
    let upper: Arc<dyn WritableLayer> = Memory::new("upper", 0);
    let lower = Arc::new(Broken(Memory::new("broken", 0)));
    let overlay = Overlay::new(Some(upper), vec![lower as Arc<dyn Layer>], Policy::default(), None).expect("a stack");
    let sheet = |upper| Sheet { upper, path: None, root: ovl_core::VPath::root(), form: None };
    let opened = Opened { overlay, quota: None, layers: vec![sheet(true), sheet(false)], mount: None };
    let state = State::new(&opened, Settings::default(), Events::new(7, 10));
    Site { app: App::new(Guard::default(), state) }
}

/// Sends one request for each operation of the description, with bodies that it may take.
async fn answers(site: &Site) -> Vec<(String, Answer)> {
    let mut all = Vec::new();
    for (method, uri) in operations().into_iter().filter(|(_, uri)| uri != "/v1/events") {
        for (head, body) in [
            (&[][..], ""),
            (&["Content-Type: application/json", "If-Match: *"][..], r#"{"kind":"dir"}"#),
            (&["Content-Type: application/json"][..], r#"{"from":"a","to":"b"}"#),
            (&["Content-Type: application/json"][..], r#"{"mode":"0600"}"#),
        ] {
            let answer = site.send(&method, &uri, head, body).await;
            all.push((format!("{method} {uri} {body}"), answer));
        }
    }
    all
}

fn tells_nothing(asked: &str, answer: &Answer) {
    let told = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    for word in [SECRET, ".rs:", "panicked at", "backtrace"] {
        assert!(!told.contains(word), "{asked} tells {word:?}: {told}");
    }
}

#[tokio::test]
async fn a_failing_disk_is_told_without_the_hosts_paths() {
    let mut failed = 0;
    for (asked, answer) in answers(&over_a_broken_disk()).await {
        tells_nothing(&asked, &answer);
        failed += usize::from(answer.status == 500);
    }
    assert!(failed > 20, "only {failed} requests met the disk");
}

#[tokio::test]
async fn folders_and_archives_that_go_away_are_told_without_the_hosts_paths() {
    let place = tempfile::Builder::new().prefix(SECRET).tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name).to_str().expect("a text").to_owned();
    std::fs::create_dir_all(at("l/a")).expect("made");
    std::fs::write(at("l/a/f"), "1").expect("made");
    std::fs::copy(WHEEL, at("w.zip")).expect("copied");
    let (lower, zip, upper) = (at("l"), at("w.zip"), at("u"));
    let site = Site::open(&["--lower", &lower, "--lower", &zip, "--upper", &upper, "--work", &at("work")]);
    std::fs::write(at("w.zip"), "cut").expect("written");
    for folder in ["l", "u", "work"] {
        std::fs::remove_dir_all(at(folder)).expect("removed");
    }
    let mut refused = 0;
    for uri in ["/v1/files/click/core.py", "/v1/files/a/f", "/v1/layers/lower-2/files/click/core.py", "/v1/why/click"] {
        tells_nothing(uri, &site.get(uri).await);
        let put = site.put(uri, "x").await;
        tells_nothing(uri, &put);
        refused += usize::from(put.status.as_u16() >= 400);
    }
    assert!(refused > 0, "nothing failed");
    for (asked, answer) in answers(&site).await {
        tells_nothing(&asked, &answer);
    }
}

/// A log that tests can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_no_control_character_but_the_ends_of_its_lines() {
    let log = Log::default();
    let writer = log.clone();
    let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    builder.with_writer(move || writer.clone()).try_init().expect("this program logs nowhere else");
    let site = over_a_broken_disk();
    for name in ["a%0Ab", "a%0D%0Ab", "%1B%5B31m", "%E2%80%AE", "%C2%9B31m", "%FF%FE", "%7F"] {
        for resource in ["files", "entries", "why", "changes", "layers/lower-1/files", "nowhere"] {
            site.get(&format!("/v1/{resource}/{name}")).await;
        }
        site.send("DELETE", &format!("/v1/files/{name}"), &[], "").await;
    }
    let written = log.0.lock().expect("no panic").clone();
    let text = String::from_utf8(written).expect("a text");
    assert!(text.contains(SECRET) && text.contains("forged"), "the operator is told the cause: {text}");
    let odd = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert_eq!(text.lines().find(|line| line.contains(odd)), None);
    assert!(text.lines().all(|line| line.starts_with("20")), "a line that no message began: {text}");
}
