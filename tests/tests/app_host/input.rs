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

#[test]
fn random_operations_on_random_bodies() {
    let host = Host::start("input_like_bytesio");
    let mut random = fastrand::Rng::with_seed(3333);
    for _ in 0..300 {
        let length = random.usize(..200);
        let body: Vec<u8> =
            (0..length).map(|_| if random.u8(..8) == 0 { b'\n' } else { random.u8(..) }).collect();
        let operations: Vec<String> = (0..random.usize(1..12))
            .map(|_| {
                let size = random.i32(-1..60);
                match random.u8(..6) {
                    0 => "next".to_owned(),
                    1 => format!("readline {size}"),
                    2 => "readline".to_owned(),
                    3 => format!("readlines {size}"),
                    _ => format!("read {size}"),
                }
            })
            .collect();
        let part = random.usize(1..100);
        check(&host, &body, &operations.join(";"), &body.chunks(part).collect::<Vec<_>>());
    }
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
