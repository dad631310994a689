//! `wsgi.input`, operation by operation against `io.BytesIO`, however its records are cut.

use std::fmt::Write;

use crate::host::{Host, begin};

fn hex(body: &[u8]) -> String {
    body.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[track_caller]
fn check(host: &Host, body: &[u8], operations: &str, parts: &[&[u8]]) {
    let wire = begin("/", &[("TEST_BODY", &hex(body)), ("TEST_OPERATIONS", operations)]);
    let mut client = host.connect();
    client.send(&wire);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        client.stdin(part);
    }
    client.stdin(b"");
    let answer = client.answer();
    assert_eq!(answer.text(), "the same", "{operations} on {body:?} in {parts:?}\n{}", host.log());
}

#[test]
fn every_operation_does_what_bytesio_does() {
    let host = Host::start("input_like_bytesio");
    let body = b"first line\nsecond\n\nfourth, and no end";
    for operations in [
        "read",
        "read -1;read",
        "read None;read None",
        "read 0;read 5;read 100;read 1",
        "readline;readline;readline;readline;readline",
        "readline 3;readline 100;readline 0;readline -1;readline None",
        "readline 11;readline 10",
        "readlines",
        "readlines 0",
        "readlines None;readlines",
        "readlines 1;readlines 12;readlines 100",
        "readlines -1",
        "next;next;next;next;next",
        "next;read 2;readline 2;list;read;next",
        "list",
        "read 'x';readline 1.5;readlines 'x';read",
        "read 10**30;readline 10**30",
        "read 1,2;readline 1,2;read",
    ] {
        check(&host, body, operations, &[body]);
        check(&host, b"", operations, &[]);
        for cut in 0..body.len() {
            check(&host, body, operations, &[&body[..cut], &body[cut..]]);
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        check(&host, body, operations, &bytes);
    }
}

/// What a body is made of decides which lines there are.
fn random_body(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = match random.u8(..4) {
        0 => random.usize(..4),
        1 => random.usize(..20),
        _ => random.usize(..300),
    };
    let feeds = random.choice([0, 2, 8, 64, 255]).unwrap();
    (0..length).map(|_| if random.u8(..) <= feeds { b'\n' } else { random.u8(..) }).collect()
}

/// As the fixture reads it. Every one of them has an argument that is left out, `None`, negative,
/// zero, usual, too large for the body, and too large for an index.
fn random_operation(random: &mut fastrand::Rng) -> String {
    let name = random.choice(["read", "readline", "readlines", "next", "list"]).unwrap();
    if matches!(name, "next" | "list") {
        return name.to_owned();
    }
    match random.u8(..12) {
        0 | 1 => name.to_owned(),
        2 => format!("{name} None"),
        3 => format!("{name} {}", -random.i32(1..100)),
        4 => format!("{name} 0"),
        5 => format!("{name} 2**40"),
        6 => format!("{name} 2**63 - 1"),
        7 => format!("{name} 10**30"),
        8 => format!("{name} True"),
        _ => format!("{name} {}", random.usize(1..60)),
    }
}

/// In records of every length, none of which is the reader's business.
fn random_parts<'a>(random: &mut fastrand::Rng, mut body: &'a [u8]) -> Vec<&'a [u8]> {
    let longest = random.choice([1, 3, 20, 300]).unwrap();
    let mut parts = Vec::new();
    while !body.is_empty() {
        let (part, rest) = body.split_at(random.usize(1..=longest).min(body.len()));
        parts.push(part);
        body = rest;
    }
    parts
}

#[test]
fn random_operations_on_random_bodies() {
    let host = Host::start("input_like_bytesio");
    let mut random = fastrand::Rng::with_seed(3333);
    for _ in 0..600 {
        let body = random_body(&mut random);
        let operations: Vec<String> =
            (0..random.usize(1..16)).map(|_| random_operation(&mut random)).collect();
        let parts = random_parts(&mut random, &body);
        check(&host, &body, &operations.join(";"), &parts);
    }
}

#[test]
fn sizes_may_be_named_as_with_gunicorn() {
    let host = Host::start("echo_body");
    let answer = host.connect().request("/named", &[], b"one\ntwo\nthree\nfour");
    assert_eq!(answer.text(), "[b'on', b'e\\n', [b'two\\n', b'three\\n'], b'four']");
}

#[test]
fn a_large_body_arrives_whole() {
    let host = Host::start("echo_body");
    let body: Vec<u8> = (0..10_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut client = host.connect();
    for path in ["/read", "/parts", "/lines"] {
        let answer = client.request(path, &[], &body);
        assert!(answer.body == body, "{path}: {} bytes", answer.body.len());
    }
}

#[test]
fn a_body_nobody_reads_does_not_disturb_the_next_request() {
    let host = Host::start("echo_body");
    let mut client = host.connect();
    for _ in 0..3 {
        assert_eq!(client.request("/ignored", &[], &[b'x'; 5000]).text(), "ignored");
        assert_eq!(client.request("/read", &[], b"mine").text(), "mine");
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_to_whoever_reads_it() {
    let host = Host::start("echo_body");
    let mut client = host.connect();
    client.send(&begin("/read", &[]));
    client.stdin(b"half");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.answer().status(), 500);
    assert!(host.log().contains("ConnectionResetError: "), "{}", host.log());
}

#[test]
fn an_input_is_over_when_its_request_is() {
    let host = Host::start("echo_body");
    let mut client = host.connect();
    assert_eq!(client.request("/keep", &[], b"never read").text(), "kept");
    let text = client.request("/read_kept", &[], b"of another").body;
    assert_eq!(text, b"the request this input belongs to has ended");
}
