//! Requests as bytes over a socket: what a client library would clean up first (trust T17, T20, T25 to T27).

mod live;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use live::{END, Live, rest, slug, status};
use ovl_server::accept::{Limits, Timeouts};

#[test]
fn addresses_are_decoded_once_and_nothing_escapes() {
    let live = Live::start();
    let body = "Content-Length: 1\r\n";
    for path in ["a", "d%20e", "semi;colon", "plus+sign", "back%5Cslash", "caf%E9", "%25", "q%3F"] {
        let put = format!("PUT /v1/files/deep/er/{path}?parents=true HTTP/1.1\r\n{body}{END}x");
        assert_eq!(status(&live.exchange(&put)), 201, "{path}");
    }
    let rows: &[(&str, u16, &str)] = &[
        ("/v1/files/deep/er/a", 200, ""),
        ("/v1/files/deep%2Fer%2fa", 200, ""),
        ("/v1/files/%64eep/er/%61", 200, ""),
        ("/v1/files/deep/er/d%20e", 200, ""),
        ("/v1/files/deep/er/d+e", 404, "not-found"),
        ("/v1/files/deep/er/semi;colon", 200, ""),
        ("/v1/files/deep/er/semi%3Bcolon", 200, ""),
        ("/v1/files/deep/er/plus+sign", 200, ""),
        ("/v1/files/deep/er/plus%2Bsign", 200, ""),
        ("/v1/files/deep/er/plus%20sign", 404, "not-found"),
        ("/v1/files/deep/er/back\\slash", 200, ""),
        ("/v1/files/deep/er/caf%e9", 200, ""),
        ("/v1/files/deep/er/caf%C3%A9", 404, "not-found"),
        ("/v1/files/deep/er/%25", 200, ""),
        ("/v1/files/deep/er/%2525", 404, "not-found"),
        ("/v1/files/deep/er/q%3F", 200, ""),
        ("/v1/files/deep/er/q?", 404, "not-found"),
        ("/v1/files/deep/er/a/", 409, "not-a-directory"),
        ("/v1/files/deep/er/a%2F", 409, "not-a-directory"),
        ("/v1/files/deep/er", 409, "is-a-directory"),
        ("/v1/files/deep/er/", 409, "is-a-directory"),
        ("/v1/files/", 409, "is-a-directory"),
        ("/v1/files", 409, "is-a-directory"),
        ("/v1/files/deep//er/a", 400, "invalid-path"),
        ("/v1/files//deep/er/a", 400, "invalid-path"),
        ("/v1/files/deep/er/a//", 400, "invalid-path"),
        ("/v1/files//", 400, "invalid-path"),
        ("/v1/files/%2F", 409, "is-a-directory"),
        ("/v1/files/%2Fetc%2Fpasswd", 404, "not-found"),
        ("/v1/files/%2Fdeep%2Fer%2Fa", 200, ""),
        ("/v1/files/%2fdeep/er/a", 200, ""),
        ("/v1/files/%2Fdeep%2Fer%2F", 409, "is-a-directory"),
        ("/v1/layers/upper/files/%2Fdeep%2Fer%2Fa", 200, ""),
        ("/v1/files/%252Fdeep", 404, "not-found"),
        ("/v1/files/%2F%2F", 400, "invalid-path"),
        ("/v1/files/%2F%2Fdeep%2Fer%2Fa", 400, "invalid-path"),
        ("/v1/files/%2F/deep/er/a", 400, "invalid-path"),
        ("/v1/files//%2Fdeep/er/a", 400, "invalid-path"),
        ("/v1/files/%2F%2E%2E%2Fetc%2Fpasswd", 400, "invalid-path"),
        ("/v1/files/%2F.", 400, "invalid-path"),
        ("/v1/files/%2F%00", 400, "invalid-path"),
        ("/v1/files/.", 400, "invalid-path"),
        ("/v1/files/..", 400, "invalid-path"),
        ("/v1/files/deep/../deep/er/a", 400, "invalid-path"),
        ("/v1/files/deep/./er/a", 400, "invalid-path"),
        ("/v1/files/deep/%2e%2e/deep/er/a", 400, "invalid-path"),
        ("/v1/files/%2E%2E%2F%2E%2E%2Fetc", 400, "invalid-path"),
        ("/v1/files/..%2f..%2fetc/passwd", 400, "invalid-path"),
        ("/v1/files/%252e%252e/a", 404, "not-found"),
        ("/v1/files/a%00b", 400, "invalid-path"),
        ("/v1/files/%00", 400, "invalid-path"),
        ("/v1/files/a%", 400, "invalid-path"),
        ("/v1/files/a%4", 400, "invalid-path"),
        ("/v1/files/a%zz", 400, "invalid-path"),
        ("/v1/files/a%+1", 400, "invalid-path"),
        ("/v1/entries/deep/er", 200, ""),
        ("/v1/entries/deep/er/", 200, ""),
        ("/v1/entries/deep/er/a/", 409, "not-a-directory"),
        ("/v1/layers/upper/files/deep%2Fer/a", 200, ""),
        ("/v1/layers/upper/entries/deep/er/", 200, ""),
        ("/v1/layers/upper%2Ffiles/deep", 404, "not-found"),
        ("/v1/../v1/files/deep/er/a", 404, "not-found"),
        ("//v1/files/deep/er/a", 404, "not-found"),
        ("/v1%2Ffiles/deep/er/a", 404, "not-found"),
        ("/V1/files/deep/er/a", 404, "not-found"),
    ];
    for (target, expected, class) in rows {
        let answer = live.exchange(&format!("GET {target} HTTP/1.1\r\n{END}"));
        assert_eq!((status(&answer), slug(&answer)), (*expected, *class), "{target}: {answer}");
    }
    let long = format!("/v1/files/{}", "n".repeat(256));
    let answer = live.exchange(&format!("GET {long} HTTP/1.1\r\n{END}"));
    assert_eq!((status(&answer), slug(&answer)), (422, "name-too-long"));
    let deep = format!("/v1/files/{}a", "a/".repeat(255));
    let answer = live.exchange(&format!("GET {deep} HTTP/1.1\r\n{END}"));
    assert_eq!((status(&answer), slug(&answer)), (422, "name-too-long"));
}

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused() {
    let live = Live::start();
    let rows: &[(&str, u16)] = &[
        ("GET /v1 HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nhost: evil\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
        ("GET /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421),
        ("GET http://HOST/v1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 200),
        ("GET http://evil.example/v1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 421),
        ("GET http://HOST/v1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
        ("GET http://HOST@evil.example/v1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 421),
        ("GET /v1 HTTP/1.1\r\nHost : HOST\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\n folded: x\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\nConnection: close\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: +1\r\n\r\nx", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400),
        ("GET  /v1 HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
        ("GET /v1 HTTP/1.1 x\r\nHost: HOST\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
        ("GET /v1\r\n\r\n", 400),
        ("GET /v1 HTTP/3.0\r\nHost: HOST\r\n\r\n", 400),
        ("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 204),
        ("TRACE /v1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 405),
        ("NONSENSE /v1 HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n", 405),
    ];
    for (request, expected) in rows {
        let answer = live.exchange(request);
        assert_eq!(status(&answer), *expected, "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request:?}: {answer}");
    }
}

#[test]
fn a_second_request_is_never_smuggled_in_a_body() {
    let live = Live::start();
    let hidden = "GET /v1/overlay HTTP/1.1\r\nHost: HOST\r\n\r\n";
    let rows = [
        format!(
            "PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!(
            "PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{hidden}"),
        format!("PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n{hidden}"),
        format!(
            "PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n{hidden}"
        ),
    ];
    for request in rows {
        let answer = live.exchange(&request);
        assert!(answer.matches("HTTP/1.1 ").count() <= 1 && !answer.contains("generation\""), "{request:?}: {answer}");
    }
}

#[test]
fn requests_that_follow_one_another_are_answered_in_order() {
    let live = Live::start();
    let put = "PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\n\r\none";
    let answer =
        live.exchange(&format!("{put}GET /v1/files/a HTTP/1.1\r\nHost: HOST\r\n\r\nGET /v1/files/b HTTP/1.1\r\n{END}"));
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect();
    assert_eq!(statuses, ["201", "200", "404"]);
}

#[test]
fn a_client_that_waits_for_leave_to_send_gets_it_or_a_refusal() {
    let live = Live::start();
    let mut stream = live.connect();
    let host = live.address;
    write!(stream, "PUT /v1/files/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        .expect("sent");
    let mut head = [0; 25];
    stream.read_exact(&mut head).expect("leave");
    assert_eq!(&head, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 201");
    let refused = live
        .exchange(&format!("PUT /v1/files/a HTTP/1.1\r\nContent-Length: 9999999999\r\nExpect: 100-continue\r\n{END}"));
    assert_eq!((status(&refused), slug(&refused)), (413, "too-large"));
}

#[test]
fn large_heads_are_refused_and_all_answers_to_head_have_the_length_of_get() {
    let live = Live::start();
    let large = live.exchange(&format!("GET /v1 HTTP/1.1\r\nX: {}\r\n{END}", "y".repeat(70_000)));
    assert!([0, 431].contains(&status(&large)), "{large}");
    let many: String = (0..300).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(status(&live.exchange(&format!("GET /v1 HTTP/1.1\r\n{many}{END}"))), 431);
    live.exchange(&format!("PUT /v1/files/a HTTP/1.1\r\nContent-Length: 5\r\n{END}hello"));
    for path in
        ["/v1", "/v1/files/a", "/v1/entries/a", "/v1/entries?list=true", "/v1/why/a", "/nowhere", "/openapi.json"]
    {
        let (get, head) = (
            live.exchange(&format!("GET {path} HTTP/1.1\r\n{END}")),
            live.exchange(&format!("HEAD {path} HTTP/1.1\r\n{END}")),
        );
        let length = |answer: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
            line.expect("a length").parse::<usize>().expect("a number")
        };
        let body = get.split_once("\r\n\r\n").expect("a body").1;
        assert_eq!((length(&head), length(&get)), (body.len(), body.len()), "{path}");
        assert!(head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
}

#[test]
fn a_slow_body_is_told_why() {
    let live = Live::hasty();
    let answer = live.exchange("PUT /v1/files/a HTTP/1.1\r\nHost: HOST\r\nContent-Length: 99999\r\n\r\nx");
    assert_eq!((status(&answer), slug(&answer)), (408, "timeout"));
    assert_eq!(status(&live.exchange(&format!("GET /v1/files/a HTTP/1.1\r\n{END}"))), 404);
}

#[test]
fn a_reader_that_stops_is_cut_off() {
    let live = Live::hasty();
    let size = 64 << 20;
    let mut stream = live.connect();
    let host = live.address;
    write!(stream, "PUT /v1/files/big HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n").expect("sent");
    let piece = vec![7; 1 << 20];
    (0..size >> 20).for_each(|_| stream.write_all(&piece).expect("sent"));
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 201");
    let mut slow = live.connect();
    write!(slow, "GET /v1/files/big HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(rest(&mut slow).len() < size, "the rest was still sent");
    assert!(live.exchange(&format!("GET /v1/files/big HTTP/1.1\r\n{END}")).len() > size);
}

#[test]
fn one_address_has_only_so_many_connections() {
    let live = Live::with(Timeouts::default(), Limits { connections: 12_000, per_address: 3 });
    let held: Vec<_> = (0..3).map(|_| live.connect()).collect();
    let mut fourth = live.connect();
    assert_eq!(rest(&mut fourth), "");
    drop(held);
    let begun = Instant::now();
    while status(&live.exchange(&format!("GET /v1 HTTP/1.1\r\n{END}"))) != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5), "the places were not given back");
    }
}

#[test]
fn a_stop_lets_requests_under_way_finish_and_idle_connections_go() {
    let mut live = Live::hasty();
    let mut busy = live.connect();
    let mut idle = live.connect();
    let mut events = live.connect();
    let host = live.address;
    write!(events, "GET /v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    write!(busy, "PUT /v1/files/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nab").expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    let finish = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        busy.write_all(b"cd").expect("it still listens");
        rest(&mut busy)
    });
    live.stop();
    let answer = finish.join().expect("an answer");
    assert_eq!(status(&answer), 201);
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(rest(&mut idle), "");
    assert!(rest(&mut events).contains("text/event-stream"));
}

#[test]
fn events_come_as_they_happen_and_a_client_that_returns_misses_none() {
    let live = Live::start();
    let host = live.address;
    let mut follower = live.connect();
    write!(follower, "GET /v1/events HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    let mut seen = String::new();
    let read_until = |stream: &mut TcpStream, seen: &mut String, end: &str| {
        let mut piece = [0; 4096];
        while !seen.contains(end) {
            let more = stream.read(&mut piece).expect("more events");
            seen.push_str(&String::from_utf8_lossy(&piece[..more]));
        }
    };
    read_until(&mut follower, &mut seen, ": hello");
    live.exchange(&format!("PUT /v1/files/one HTTP/1.1\r\nContent-Length: 1\r\n{END}1"));
    read_until(&mut follower, &mut seen, "\"path\":\"/one\"");
    assert!(seen.contains("event: created\n"), "{seen}");
    let id = seen.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("an id").trim().to_owned();
    drop(follower);
    live.exchange(&format!("PUT /v1/files/two HTTP/1.1\r\nContent-Length: 1\r\n{END}2"));
    live.exchange(&format!("DELETE /v1/files/one HTTP/1.1\r\n{END}"));
    let mut returned = live.connect();
    write!(returned, "GET /v1/events HTTP/1.1\r\nHost: {host}\r\nLast-Event-ID: {id}\r\n\r\n").expect("sent");
    let mut seen = String::new();
    read_until(&mut returned, &mut seen, "event: removed");
    assert!(seen.contains("\"path\":\"/two\"") && !seen.contains("\"created\",\"path\":\"/one\""), "{seen}");
}
