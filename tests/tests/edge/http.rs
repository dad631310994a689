//! HTTP/1 as nginx reads it: lines, fields, hosts, bodies, and how connections go on or end.

use std::io::{Read, Write};

use crate::server::{Edge, is_nginx, read_response};

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    server_name localhost;
    client_header_buffer_size 1k;
    large_client_header_buffers 4 1k;
    client_header_timeout 1s;
    client_max_body_size 20;
    lingering_timeout 1s;
    location / { return 200 "$request_method $uri [$http_x_a] $host\n"; }
    location /404 { return 404; }
    location /500 { return 500; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    server_name other;
    underscores_in_headers on;
    location / { return 200 "other $uri [$http_x_a]\n"; }
}
"#;

const HOST: &str = "Host: localhost\r\nConnection: close\r\n";

#[track_caller]
fn check(edge: &Edge, request: &[u8], expected: &str) {
    let response = edge.raw(request);
    let response = String::from_utf8_lossy(&response);
    let found = match response.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 OK") => body.to_owned(),
        Some((head, _)) => head.split(' ').nth(1).unwrap_or_default().to_owned(),
        None => response.clone().into_owned(),
    };
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(request));
}

#[test]
fn request_lines() {
    let edge = Edge::start(CONF);
    for (line, expected) in [
        ("GET /x HTTP/1.0", "GET /x [] localhost\n"),
        ("FOO /x HTTP/1.0", "FOO /x [] localhost\n"),
        ("G_T /x HTTP/1.0", "G_T /x [] localhost\n"),
        ("GET  /x HTTP/1.0", "GET /x [] localhost\n"),
        ("GET /x  HTTP/1.0", "GET /x [] localhost\n"),
        ("GET http://other/y HTTP/1.0", "other /y []\n"),
        ("GET /%e2%82%ac HTTP/1.0", "GET /\u{20ac} [] localhost\n"),
        ("get / HTTP/1.0", "400"),
        ("GET / HTTX/1.0", "400"),
        ("GET / HTTP/1", "400"),
        ("GET / http/1.0", "400"),
        ("GET / HTTP/2.0", "505"),
        ("GET /a b HTTP/1.0", "400"),
        ("GET foo HTTP/1.0", "400"),
        ("GET /%2 HTTP/1.0", "400"),
        ("GET /%zz HTTP/1.0", "400"),
        ("GET /%00 HTTP/1.0", "400"),
        ("GET /../x HTTP/1.0", "400"),
        ("GET /..%2fx HTTP/1.0", "400"),
        ("GET http:///x HTTP/1.0", "400"),
        ("GET 1http://other/ HTTP/1.0", "400"),
        ("TRACE / HTTP/1.0", "405"),
        // The older nginx looks at the method first, the newer at what is to be connected to.
        ("CONNECT / HTTP/1.0", if is_nginx() { "405" } else { "400" }),
    ] {
        check(&edge, format!("{line}\r\n\r\n").as_bytes(), expected);
    }
    check(&edge, b"\r\n\r\nGET /x HTTP/1.0\n\n", "GET /x [] localhost\n");
    let long = format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(1200));
    check(&edge, long.as_bytes(), "414");
}

#[test]
fn the_oldest_version_has_no_head() {
    let edge = Edge::start(CONF);
    assert_eq!(edge.raw(b"GET /x\r\n"), b"GET /x [] localhost\n");
    assert!(edge.raw(b"POST /\r\n").starts_with(b"<html>\r\n<head><title>400 Bad Request"));
}

#[test]
fn hosts() {
    let edge = Edge::start(CONF);
    for (fields, expected) in [
        ("Host: OTHER:80\r\n", "other / []\n"),
        ("Host: other.\r\n", "other / []\n"),
        ("", "400"),
        ("Host:\r\n", "400"),
        ("Host: .\r\n", "400"),
        ("Host: :80\r\n", "400"),
        ("Host: a b\r\n", "400"),
        ("Host: a/b\r\n", "400"),
        ("Host: a..b\r\n", "400"),
        ("Host: localhost\r\nHost: localhost\r\n", "400"),
        ("Host : localhost\r\n", "400"),
        (" Host: localhost\r\n", "400"),
    ] {
        let request = format!("GET / HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        check(&edge, request.as_bytes(), expected);
    }
}

#[test]
fn fields() {
    let edge = Edge::start(CONF);
    for (fields, expected) in [
        ("X-A:  1  \r\n", "GET / [1] localhost\n"),
        ("X-A:\r\n", "GET / [] localhost\n"),
        ("x-a: 1\nX-B: 2\r\n", "GET / [1] localhost\n"),
        ("X_A: 1\r\n", "GET / [] localhost\n"),
        ("X@A: 1\r\n", "GET / [] localhost\n"),
        ("X A: 1\r\n", "400"),
        ("X-A: 1\r\n 2\r\n", "400"),
        (": 1\r\n", "400"),
        ("X-A: 1\u{0}2\r\n", "400"),
        ("X-A: a\rb\r\n", "400"),
    ] {
        check(&edge, format!("GET / HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes(), expected);
    }
    let underscore = b"GET / HTTP/1.1\r\nHost: other\r\nX_A: 1\r\nConnection: close\r\n\r\n";
    check(&edge, underscore, "other / [1]\n");
    let long = format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "a".repeat(1200));
    check(&edge, long.as_bytes(), "400");
    let page = edge.raw(long.as_bytes());
    assert!(String::from_utf8_lossy(&page).contains("Request Header Or Cookie Too Large"));
    let many: String = (0..8).map(|n| format!("X-{n}: {}\r\n", "b".repeat(800))).collect();
    check(&edge, format!("GET / HTTP/1.1\r\n{HOST}{many}\r\n").as_bytes(), "400");
}

#[test]
fn mistakes_are_told_to_the_log() {
    let mut edge = Edge::start(CONF);
    edge.raw(b"get / HTTP/1.0\r\n\r\n");
    edge.wait_for_line("error.log", "client sent invalid method while reading client request line");
    edge.raw(b"GET / HTTP/1.1\r\n\r\n");
    let line = "client sent HTTP/1.1 request without \"Host\" header while reading client request headers, client: 127.0.0.1, server: localhost, request: \"GET / HTTP/1.1\"";
    edge.wait_for_line("error.log", line);
    edge.raw(format!("GET / HTTP/1.1\r\n{HOST}X_A: 1\r\n\r\n").as_bytes());
    edge.wait_for_line("error.log", "client sent invalid header line: \"X_A: 1\" while reading");
    edge.raw(format!("GET / HTTP/1.1\r\n{HOST}X A: 1\r\n\r\n").as_bytes());
    edge.wait_for_line("error.log", "client sent invalid header line: \"X\\x20...\" while reading");
}

#[test]
fn requests_follow_each_other() {
    let edge = Edge::start(CONF);
    let mut stream = edge.connect();
    let two = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /b HTTP/1.1\r\nHost: localhost\r\n\r\nGET /c HTTP/1.0\r\n\r\n";
    stream.write_all(two.as_bytes()).expect("sent");
    assert_eq!(read_response(&mut stream, "GET").text(), "GET /a [] localhost\n");
    let head = read_response(&mut stream, "HEAD");
    assert_eq!(head.header("content-length"), Some("21"));
    let last = read_response(&mut stream, "GET");
    assert_eq!((last.text(), last.header("connection")), ("GET /c [] localhost\n", Some("close")));
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn a_head_may_come_in_pieces() {
    let edge = Edge::start(CONF);
    let request = b"GET /a HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nConnection: close\r\n\r\n";
    for cut in [1, 3, 5, 15, 16, 17, 20, 33, 34, 35, request.len() - 2, request.len() - 1] {
        let mut stream = edge.connect();
        stream.set_nodelay(true).expect("a socket");
        stream.write_all(&request[..cut]).expect("sent");
        crate::server::pause();
        stream.write_all(&request[cut..]).expect("sent");
        assert_eq!(read_response(&mut stream, "GET").text(), "GET /a [1] localhost\n", "{cut}");
    }
}

#[test]
fn connections_last_as_long_as_both_sides_say() {
    let edge = Edge::start(CONF);
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "keep-alive"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "close"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: CLOSE\r\n\r\n", "close"),
        ("GET / HTTP/1.0\r\n\r\n", "close"),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "keep-alive"),
        ("GET /404 HTTP/1.1\r\nHost: localhost\r\n\r\n", "keep-alive"),
        ("GET /500 HTTP/1.1\r\nHost: localhost\r\n\r\n", "close"),
    ] {
        let mut stream = edge.connect();
        stream.write_all(request.as_bytes()).expect("sent");
        let response = read_response(&mut stream, "GET");
        assert_eq!(response.header("connection"), Some(expected), "{request}");
    }
}

#[test]
fn a_body_nobody_wants_does_not_stand_in_the_way() {
    let edge = Edge::start(CONF);
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: trailer\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5;ext=1\nhello\n0\n\n",
    ] {
        let mut stream = edge.connect();
        let request =
            format!("POST /a HTTP/1.1\r\nHost: localhost\r\n{body}GET /b HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        assert_eq!(read_response(&mut stream, "POST").text(), "POST /a [] localhost\n", "{body}");
        assert_eq!(read_response(&mut stream, "GET").text(), "GET /b [] localhost\n", "{body}");
    }
    // The answer may come before the body does.
    let mut stream = edge.connect();
    stream
        .write_all(b"POST /404 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe")
        .expect("sent");
    assert_eq!(read_response(&mut stream, "POST").status, 404);
    stream.write_all(b"lloGET /b HTTP/1.0\r\n\r\n").expect("sent");
    assert_eq!(read_response(&mut stream, "GET").text(), "GET /b [] localhost\n");
}

#[test]
fn bodies_have_a_limit() {
    let edge = Edge::start(CONF);
    let response = edge.request("POST", "/", &[], &[b'x'; 21]);
    assert_eq!((response.status, response.header("connection")), (413, Some("close")));
    assert_eq!(edge.request("POST", "/", &[], &[b'x'; 20]).status, 200);
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let edge = Edge::start(CONF);
    let mut stream = edge.connect();
    let head =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    assert_eq!(read_response(&mut stream, "POST").status, 100);
    assert_eq!(read_response(&mut stream, "POST").status, 200);
    stream.write_all(b"helloGET /b HTTP/1.0\r\n\r\n").expect("sent");
    assert_eq!(read_response(&mut stream, "GET").text(), "GET /b [] localhost\n");
    // No word where the answer is final.
    let large = head.replace("Content-Length: 5", "Content-Length: 50");
    let mut stream = edge.connect();
    stream.write_all(large.as_bytes()).expect("sent");
    assert_eq!(read_response(&mut stream, "POST").status, 413);
}

#[test]
fn a_slow_head_is_given_up_without_a_word() {
    let mut edge = Edge::start(CONF);
    assert_eq!(edge.raw(b"GET / HTTP/1.1\r\nHost: local"), b"");
    let line = "client timed out (110: Connection timed out) while reading client request headers";
    edge.wait_for_line("error.log", line);
}

#[test]
fn some_browsers_are_not_kept() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; keepalive_disable safari; location / { return 200; } }",
    );
    let agent = |agent: &str| {
        let mut stream = edge.connect();
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {agent}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        read_response(&mut stream, "GET").header("connection").map(str::to_owned)
    };
    assert_eq!(agent("curl").as_deref(), Some("keep-alive"));
    let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/15 Safari/605.1";
    assert_eq!(agent(safari).as_deref(), Some("close"));
}

/// A client that sends more than it may is answered at once, and must be read on until it has read
/// the answer: a connection closed under it would be reset, and the answer lost.
#[test]
fn an_early_answer_survives_what_is_still_being_sent() {
    let edge = Edge::start(CONF);
    let mut stream = edge.connect();
    let length = 4 << 20;
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..length / 4096 {
        stream.write_all(&[b'x'; 4096]).expect("it is read to its end");
    }
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("an end, and no reset");
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}
