//! Requests that are refused before their body is read: the client hears why, and uses the connection again (RFC 9112
//! section 9.6).

mod live;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use live::{Live, rest, status};

/// What is refused by its head alone.
const REFUSED: [(&str, u16); 4] =
    [("POST /v1/files/f", 405), ("PUT /v1/files/a%00b", 400), ("PUT /nowhere", 404), ("PUT /v1/files/d/e", 404)];

fn head(live: &Live, line: &str, length: usize, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {}\r\n{more}Content-Length: {length}\r\n\r\n", live.address)
}

/// Reads one answer, whose length its head tells.
fn answer(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("an answer");
        text.push(byte[0]);
    }
    let mut text = String::from_utf8(text).expect("text");
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut body).expect("the rest");
    text.push_str(std::str::from_utf8(&body).expect("text"));
    text
}

#[test]
fn who_sends_all_before_listening_hears_the_answer_and_goes_on() {
    let live = Live::start();
    for (line, refusal) in REFUSED {
        let mut stream = live.connect();
        for length in [1, 10_000, 3_000_000] {
            stream.write_all(head(&live, line, length, "").as_bytes()).expect("the connection is open");
            stream.write_all(&vec![7; length]).expect("it takes the body");
            assert_eq!(status(&answer(&mut stream)), refusal, "{line} with {length} bytes");
        }
    }
}

#[test]
fn who_waits_to_be_told_is_told_not_to_send() {
    let live = Live::start();
    for (line, refusal) in &REFUSED[..3] {
        let mut stream = live.connect();
        let request = head(&live, line, 3_000_000, "Expect: 100-continue\r\n");
        stream.write_all(request.as_bytes()).expect("the connection is open");
        let answer = rest(&mut stream);
        assert!(status(&answer) == *refusal && answer.contains("connection: close"), "{line}: {answer}");
    }
}

#[test]
fn too_much_is_not_read_for_nothing() {
    let live = Live::start();
    let mut stream = live.connect();
    stream.write_all(head(&live, "PUT /nowhere", 65 << 20, "").as_bytes()).expect("the connection is open");
    let answer = rest(&mut stream);
    assert!(status(&answer) == 404 && answer.contains("connection: close"), "{answer}");
}
