//! A server on a socket in this process, and requests to it as bytes.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use clap::Parser;
use ovl_server::{
    accept::{Address, Limits, Listener, Server, Timeouts},
    app::App,
    cli::{serve::ServeArgs, stack},
    events::Events,
    guard::Guard,
    settings::Settings,
    state::State,
};
use tokio::sync::oneshot;

/// The rest of a head that needs nothing more.
pub(crate) const END: &str = "Host: HOST\r\nConnection: close\r\n\r\n";

/// A server on a socket, stopped when it is dropped.
pub(crate) struct Live {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    pub(crate) fn start() -> Self {
        Self::with(Timeouts::default(), Limits::default())
    }

    /// A server whose waits are short enough to be waited for.
    pub(crate) fn hasty() -> Self {
        let wait = Duration::from_millis(300);
        let (body_grace, body_rate, drain) = (wait, 1_000_000, Duration::from_secs(5));
        let timeouts = Timeouts { first_byte: wait, head: wait, idle: wait, write: wait, body_grace, body_rate, drain };
        Self::with(timeouts, Limits::default())
    }

    pub(crate) fn with(timeouts: Timeouts, limits: Limits) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let address: Address = "127.0.0.1:0".parse().expect("an address");
                let mut listener = Listener::bind(&address).await.expect("a free port");
                let bound = listener.bound().expect("an address").expect("over TCP");
                tell.send(bound).expect("the test waits");
                let server = Server::new(app(bound), timeouts, limits);
                server.run(&mut listener, async { stopped.await.unwrap_or_default() }).await;
            });
        });
        Self { address: told.recv().expect("it starts"), stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream
    }

    /// Sends bytes and returns what comes until the connection ends. `HOST` stands for the server's own name.
    pub(crate) fn exchange(&self, request: &str) -> String {
        let request: Vec<u8> = request.replace("HOST", &self.address.to_string()).chars().map(|c| c as u8).collect();
        let mut stream = self.connect();
        stream.write_all(&request).expect("it takes the request");
        rest(&mut stream)
    }

    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).expect("it runs");
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends in peace");
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop();
    }
}

fn app(bound: SocketAddr) -> Arc<App> {
    let settings = Settings { max_body: 1 << 30, ..Settings::default() };
    let events = Events::new(7, settings.events_kept);
    let args = ServeArgs::parse_from(["ovl-server", "--upper", "mem:"]);
    let opened = stack::open(&args.stack, 7, Some(events.observer())).expect("a stack");
    App::new(Guard::default().hosts(bound, &[]), State::new(&opened, settings, events))
}

/// Reads until the other side ends the connection, in peace or not.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 65536];
    while let Ok(more @ 1..) = stream.read(&mut piece) {
        all.extend_from_slice(&piece[..more]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

/// The status of the first answer; 0 when the connection just ends.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub(crate) fn slug(answer: &str) -> &str {
    let after = answer.split("\"type\":\"/problems/").nth(1).unwrap_or_default();
    after.split('"').next().unwrap_or_default()
}
