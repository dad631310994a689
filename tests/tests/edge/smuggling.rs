//! Requests whose end two servers could see in different places. Each is either refused, with the
//! connection closed, or read in the one way that nginx reads it too.

use crate::server::{Edge, is_nginx};

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    client_header_timeout 2s;
    lingering_timeout 1s;
    location / { return 200 "$request_method $uri\n"; }
}
"#;

/// What hides behind the first request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

fn statuses(edge: &Edge, fields: &str, body: &str) -> Vec<String> {
    let request = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}{HIDDEN}");
    let response = edge.raw(request.as_bytes());
    let response = String::from_utf8_lossy(&response).into_owned();
    let heads = response.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_body_whose_end_is_in_doubt_is_refused_and_nothing_follows() {
    let edge = Edge::start(CONF);
    for (fields, body, status) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello", "400"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "hello", "400"),
        ("Content-Length: 5, 5\r\n", "hello", "400"),
        ("Content-Length: +5\r\n", "hello", "400"),
        ("Content-Length: -5\r\n", "hello", "400"),
        ("Content-Length: 0x5\r\n", "hello", "400"),
        ("Content-Length: 5 5\r\n", "hello", "400"),
        ("Content-Length:\r\n", "hello", "400"),
        ("Content-Length: 99999999999999999999\r\n", "hello", "400"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: gzip, chunked\r\n", CHUNKS, "501"),
        ("Transfer-Encoding: identity\r\n", "", "501"),
        ("Transfer-Encoding: xchunked\r\n", CHUNKS, "501"),
        ("Transfer-Encoding: chunked;q=1\r\n", CHUNKS, "501"),
        ("Transfer-Encoding: \"chunked\"\r\n", CHUNKS, "501"),
        ("Transfer-Encoding : chunked\r\n", CHUNKS, "400"),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("X: y\rTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: chunked\r\n", "zz\r\nhello\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "-1\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n", "400"),
    ] {
        assert_eq!(statuses(&edge, fields, body), [status], "{fields:?} {body:?}");
    }
}

#[test]
fn a_body_whose_end_is_certain_is_passed_over() {
    let edge = Edge::start(CONF);
    for (fields, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length: 05\r\n", "hello"),
        ("Content-Length: 5 \r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", CHUNKS),
        ("Transfer-Encoding: Chunked\r\n", CHUNKS),
        ("Transfer-Encoding: chunked \r\n", CHUNKS),
        ("Transfer-Encoding: chunked\r\n", "0005\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"),
    ] {
        assert_eq!(statuses(&edge, fields, body), ["200", "200"], "{fields:?} {body:?}");
    }
}

#[test]
fn the_old_version_has_no_chunks() {
    let edge = Edge::start(CONF);
    let request = format!(
        "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}{HIDDEN}"
    );
    let response = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
}

/// A field of which two servers might take different ones.
#[test]
fn what_may_stand_once_stands_once() {
    let edge = Edge::start(CONF);
    // Of these, nginx refuses the second since 1.23.
    let newer = ["Expect", "If-Match", "If-None-Match", "If-Range", "Content-Range"];
    let older = ["Authorization", "If-Modified-Since", "If-Unmodified-Since"];
    let newer = newer.iter().filter(|_| !is_nginx());
    for name in newer.chain(&older) {
        let lower = name.to_ascii_lowercase();
        let fields = format!("{name}: a\r\n{lower}: a\r\n");
        assert_eq!(statuses(&edge, &fields, ""), ["400"], "{name}");
        assert_ne!(statuses(&edge, &format!("{name}: a\r\n"), "")[0], "400", "{name}");
    }
}

/// Names that reach no server as they are, or another one than the next hop takes them for.
#[test]
fn hosts_that_are_none_are_refused() {
    let edge = Edge::start(CONF);
    for host in
        ["a:65536", "a:1:2", "a:8x", "a@b", "a,b c", "[::1", "[::1].", "a\\b", "a..", "a\tb"]
    {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let response = edge.raw(request.as_bytes());
        // Ports and literals have been looked at since 1.29.
        let expected: &[u8] = if is_nginx() { b"HTTP/1.1 " } else { b"HTTP/1.1 400 " };
        assert!(response.starts_with(expected), "{host}");
    }
}

/// `$uri` is decoded: what was `%0d%0a` in it must not become a line of a head, here or at the next
/// hop.
#[test]
fn a_path_brings_no_field() {
    if is_nginx() {
        return; // It does there.
    }
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%;
            location /field { add_header X-Path $uri; return 204; }
            location /moved { return 302 http://else$uri; }
            location /after { add_trailer X-Path $uri; return 200 body; }
            location /rewritten { rewrite ^ http://else$uri redirect; }
            location /set { proxy_set_header X-Path $uri; proxy_pass http://127.0.0.1:%%PORT1%%; }
            location /asked { proxy_pass http://127.0.0.1:%%PORT1%%$uri; } }
         server { listen 127.0.0.1:%%PORT1%%;
            return 200 \"[$request_uri][$http_x_path][$http_injected]\"; }",
    );
    let injected = "%0d%0aInjected:%201";
    for (path, status) in [
        ("/field", 204),
        ("/moved", 302),
        ("/after", 200),
        ("/rewritten", 302),
        ("/set", 200),
        ("/asked", 200),
    ] {
        let request =
            format!("GET {path}{injected} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let response = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
        assert!(!response.contains("\nInjected"), "{path}: {response}");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {response}");
    }
    let seen = |path: &str| edge.get(&format!("{path}{injected}")).text().to_owned();
    assert_eq!(seen("/set"), "[/set%0d%0aInjected:%201][/set  Injected: 1][]");
    assert_eq!(seen("/asked"), "[/asked%0D%0AInjected:%201][][]");
}
