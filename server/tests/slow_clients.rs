//! Clients that let the server wait: all of them are cut off in time, and the others do not notice (trust T25).
#![cfg(target_os = "linux")]

mod live;

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use live::{END, Live, rest, status};
use ovl_server::accept::{Limits, Timeouts};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many clients of each kind there are.
const EACH: usize = 300;
/// Every wait of the server.
const LIMIT: Duration = Duration::from_secs(2);
/// How much later they must be gone, on a machine that does much else.
const MARGIN: Duration = Duration::from_secs(15);
/// More than the buffers of a connection hold.
const BIG: usize = 32 << 20;

/// What the clients of a kind send at once, and whether one more byte each second.
type Kind = (String, bool);

fn kinds(host: &str) -> [Kind; 7] {
    let body = format!("PUT /v1/files/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999\r\n\r\nx");
    [
        (String::new(), false),
        ("GET /v1 HTTP/1.1\r\nHo".into(), false),
        ("GET /v1 HTTP/1.1\r\nX: ".into(), true),
        (body.clone(), false),
        (body, true),
        (format!("GET /v1 HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
        // Its answer is never read.
        (format!("GET /v1/files/big HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
    ]
}

/// Lets this process have as many descriptors as the system allows.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the maximum is allowed");
}

/// Counts the descriptors of this process: those of the clients, and those of the server.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux tells them").count()
}

fn patient() -> Live {
    let waits = Timeouts { first_byte: LIMIT, head: LIMIT, idle: LIMIT, write: LIMIT, ..Timeouts::default() };
    let timeouts = Timeouts { body_grace: LIMIT, body_rate: 1024, ..waits };
    let live = Live::with(timeouts, Limits { connections: 12_000, per_address: 12_000 });
    let mut stream = live.connect();
    let head = format!("PUT /v1/files/big HTTP/1.1\r\nHost: {}\r\nContent-Length: {BIG}\r\n", live.address);
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).expect("sent");
    stream.write_all(&vec![7; BIG]).expect("sent");
    assert_eq!(status(&rest(&mut stream)), 201);
    live
}

#[test]
fn clients_that_let_the_server_wait_are_cut_off_and_the_others_do_not_notice() {
    raise_limit();
    let live = patient();
    let before = descriptors();
    let mut clients: Vec<(TcpStream, bool)> = Vec::new();
    for (opening, drips) in kinds(&live.address.to_string()) {
        for _ in 0..EACH {
            let mut stream = live.connect();
            stream.write_all(opening.as_bytes()).expect("sent");
            clients.push((stream, drips));
        }
    }
    let opened = Instant::now();
    let (mut dripped, mut waits) = (opened, Vec::new());
    // What a client holds is there until the end; what the server holds goes.
    while descriptors() > before + clients.len() {
        let left = descriptors() - before - clients.len();
        assert!(opened.elapsed() < LIMIT + MARGIN, "{left} of {} are still served", clients.len());
        let begun = Instant::now();
        assert_eq!(status(&live.exchange(&format!("GET /v1 HTTP/1.1\r\n{END}"))), 200);
        waits.push(begun.elapsed());
        if dripped.elapsed() >= Duration::from_secs(1) {
            dripped = Instant::now();
            // One that was cut off cannot be written to.
            clients.iter_mut().filter(|(_, drips)| *drips).for_each(|(stream, _)| drop(stream.write(b"x")));
        }
    }
    waits.sort();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
    let (count, others, half, most, longest) = (clients.len(), waits.len(), at(50), at(99), at(100));
    println!("{count} gone after {:?}; {others} others waited {half:?}, {most:?}, {longest:?}", opened.elapsed());
    assert!(most < LIMIT, "one of a hundred others waited {most:?}, as long as those clients");
    let (mut reader, _) = clients.pop().expect("the last kind reads nothing");
    assert!(rest(&mut reader).len() < BIG, "all of it was sent");
}
