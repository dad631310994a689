//! Requests that leave room for two readings are refused, and the application never hears of them.

use std::io::Write;

use crate::stack::{Gateway, Response, start};

/// Each begins a request to `/seen`, which says so if it is ever asked.
const REFUSED: &[(u16, &str)] = &[
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello"),
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
    (
        400,
        "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (400, "POST /seen HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    (501, "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (501, "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (
        400,
        "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    (400, "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n"),
    (
        400,
        "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
    ),
    (
        400,
        "POST /seen HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\nHost: a\n\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a b\r\n\r\n"),
    (400, "get /seen HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET  /seen HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET /seen\r\n\r\n"),
    (400, "GET /seen HTTP/2.0\r\nHost: a\r\n\r\n"),
    (400, "GET seen HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"),
    (400, "GET /seen HTTP/1.1\r\nHost: a\r\nX y\r\n\r\n"),
    (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (400, "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
    (417, "POST /seen HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx"),
    (501, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
];

#[test]
fn what_could_be_read_in_two_ways_is_not_read_at_all() {
    let gateway = start(&[]);
    for (status, request) in REFUSED {
        // Whatever follows must not be taken for the next request either.
        let smuggled = format!("{request}GET /seen?smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut stream = gateway.connect();
        let _ = stream.write_all(smuggled.as_bytes());
        let answer = Response::read(&mut stream).unwrap_or_else(|| panic!("{request:?}"));
        assert_eq!(answer.status, *status, "{request:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{request:?}");
        assert!(stream.rest().is_empty(), "{request:?}: one answer, then the end");
    }
    assert_eq!(gateway.get("/seen?honest").status, 200);
    gateway.log.wait_for("seen GET /seen?honest");
    assert_eq!(gateway.log.count("seen "), 1, "{}", gateway.log.text());
    assert_eq!(gateway.log.count("Invalid request from ip=127.0.0.1: "), REFUSED.len());
}

#[test]
fn limits_have_their_own_statuses() {
    let flags = ["--limit-request-line", "100", "--limit-request-fields", "4"];
    let more = ["--limit-request-field_size", "50", "--limit-request-body", "10"];
    let gateway = start(&[&flags[..], &more].concat());
    let long = "x".repeat(200);
    assert_eq!(gateway.get(&format!("/{long}")).status, 414);
    let with = |fields: &str| {
        gateway
            .send(&format!("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}"))
            .status
    };
    assert_eq!(with(&format!("X: {long}\r\n\r\n")), 431);
    assert_eq!(with("A: 1\r\nB: 2\r\nC: 3\r\n\r\n"), 431);
    assert_eq!(with("Content-Length: 11\r\n\r\n"), 413);
    assert_eq!(with("Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"), 413);
    assert_eq!(with("Content-Length: 10\r\n\r\nhelloworld"), 200);
}

/// The value of a variable in what `/env` answers.
fn variable(gateway: &Gateway, fields: &str, name: &str) -> Option<String> {
    let request =
        format!("GET /env/a%20b?q HTTP/1.1\r\nHost: h:81\r\nConnection: close\r\n{fields}\r\n");
    let text = gateway.send(&request).text();
    let prefix = format!("{name}=");
    text.lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

#[test]
fn a_header_does_not_pass_for_another() {
    let gateway = start(&["--forwarded-allow-ips", "10.0.0.1"]);
    let user = variable(&gateway, "X-User: me\r\nX_User: root\r\n", "HTTP_X_USER");
    assert_eq!(user.as_deref(), Some("me"));
    assert_eq!(variable(&gateway, "X_User: root\r\n", "HTTP_X_USER"), None);
    gateway.log.wait_for("header \"X_User\" from 127.0.0.1 is dropped");
    assert_eq!(gateway.log.count("is dropped"), 1, "each name once");
    assert_eq!(variable(&gateway, "Script_Name: /x\r\n", "SCRIPT_NAME").as_deref(), Some(""));
    assert_eq!(
        variable(&gateway, "CAUSEWAY_SERVER_TIMING: on\r\n", "CAUSEWAY_SERVER_TIMING"),
        None
    );
    let scheme = variable(&gateway, "X-Forwarded-Proto: https\r\n", "wsgi.url_scheme");
    assert_eq!(scheme.as_deref(), Some("http"));
    assert_eq!(variable(&gateway, "", "PATH_INFO").as_deref(), Some("/env/a b"));
    assert_eq!(variable(&gateway, "", "RAW_URI").as_deref(), Some("/env/a%20b?q"));
    let trusting = start(&[]);
    let scheme = variable(&trusting, "X-Forwarded-Proto: https\r\n", "wsgi.url_scheme");
    assert_eq!(scheme.as_deref(), Some("https"));
}

#[test]
fn slow_clients_hold_nobody() {
    let gateway = start(&["--workers", "1"]);
    let mut silent: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    let halves = [
        "GET / HT",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhe",
    ];
    for (index, stream) in silent.iter_mut().enumerate() {
        stream.write_all(halves[index % 2].as_bytes()).unwrap();
    }
    assert_eq!(gateway.get("/").status, 200, "the only worker is free");
    let mut slow = silent.swap_remove(1);
    slow.write_all(b"llo").unwrap();
    assert_eq!(slow.answer().text(), "hello");
}
