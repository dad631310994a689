//! What becomes of a path: how it is decoded, where its dots lead, which location and which file that
//! means, and what the next hop is asked for.

use std::io::Write;

use crate::{
    peer::{Peer, ok},
    server::{Edge, Site, read_response},
};

const CONF: &str = "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/html;
    location / { return 200 \"root $uri\"; }
    location /a/ { return 200 \"a $uri\"; }
    location /A/ { return 200 \"A $uri\"; }
    location = /exact { return 200 \"exact $uri\"; }
    location ~ \\.py$ { return 200 \"py $uri\"; }
    location /files/ { alias %%DIR%%/files/; } }";

/// The status, and of a 200 the body, for a target as it stands on the wire.
#[track_caller]
fn check(edge: &Edge, target: &[u8], expected: &str) {
    let mut stream = edge.connect();
    let head = [b"GET ", target, b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].concat();
    stream.write_all(&head).expect("the edge listens");
    let response = read_response(&mut stream, "GET");
    let said = match response.status {
        200 => String::from_utf8_lossy(&response.body).into_owned(),
        status => status.to_string(),
    };
    assert_eq!(said, expected, "{}", target.escape_ascii());
}

#[test]
fn a_path_is_decoded_once_and_its_dots_are_followed() {
    let edge = Edge::start(CONF);
    for (target, expected) in [
        ("/a/b", "a /a/b"),
        ("//a//b", "a /a/b"),
        ("/./a/./b", "a /a/b"),
        ("/b/../a/c", "a /a/c"),
        ("/b/%2e%2e/a/c", "a /a/c"),
        ("/b/%2E%2e/a/c", "a /a/c"),
        ("/b%2f..%2fa/c", "a /a/c"),
        ("/a/..", "root /"),
        ("/a/../", "root /"),
        ("/a/...", "a /a/..."),
        ("/a/.hidden", "a /a/.hidden"),
        ("/a/%2561", "a /a/%61"),
        ("/a/%252e%252e/b", "a /a/%2e%2e/b"),
        ("/a%2fb", "a /a/b"),
        ("/%61/b", "a /a/b"),
        ("/A/b", "A /A/b"),
        ("/exact?x=/../y", "exact /exact"),
        ("/exact/", "root /exact/"),
        ("/exact;x", "root /exact;x"),
        ("/x.py/", "root /x.py/"),
        ("/x.py;.css", "root /x.py;.css"),
        ("/x.py%20", "root /x.py "),
        ("/x%2epy", "py /x.py"),
        ("/a\\..\\b", "root /a\\..\\b"),
        ("/a/%5c..%5cb", "a /a/\\..\\b"),
        ("/a/b#/../../c", "a /a/b"),
        ("http://y/a/b", "a /a/b"),
        ("http://y//a/../a/b?c", "a /a/b"),
        ("http://y", "root /"),
        ("/..", "400"),
        ("/../a", "400"),
        ("/a/../../b", "400"),
        ("/%2e%2e/a", "400"),
        ("/a/%2e%2e%2f%2e%2e/b", "400"),
        ("/a/%00", "400"),
        ("/a/%", "400"),
        ("/a/%4", "400"),
        ("/a/%zz", "400"),
        ("a/b", "400"),
        ("*", "400"),
    ] {
        check(&edge, target.as_bytes(), expected);
    }
}

#[test]
fn bytes_that_are_no_text_are_bytes() {
    let edge = Edge::start(CONF);
    check(&edge, b"/a/%ff", "a /a/\u{fffd}");
    check(&edge, b"/a/\xff", "a /a/\u{fffd}");
    check(&edge, b"/a/%c3%a9", "a /a/\u{e9}");
    check(&edge, b"/a/\x01", "400");
    check(&edge, b"/a/\x7f", "400");
    check(&edge, b"/a\0", "400");
}

#[test]
fn no_spelling_leads_out_of_a_folder() {
    let site = Site::new();
    site.write("files/in", "inside");
    site.write("secret", "outside");
    let edge = Edge::start_in(site, CONF);
    check(&edge, b"/files/in", "inside");
    check(&edge, b"/files//./in", "inside");
    for target in [
        "/files/../secret",
        "/files/%2e%2e/secret",
        "/files/..%2fsecret",
        "/files/%2e%2e%2fsecret",
        "/files//../secret",
        "/files/./../secret",
        "/files/..;/secret",
        "/files/..%5csecret",
        "/files/..%00/secret",
        "/files/in/../../secret",
    ] {
        let raw = format!("GET {target} HTTP/1.0\r\n\r\n");
        let answer = edge.raw(raw.as_bytes());
        assert!(!answer.windows(7).any(|seven| seven == b"outside"), "{target}");
    }
}

#[test]
fn the_next_hop_is_asked_for_what_was_meant() {
    let site = Site::new();
    let peer = Peer::says(site.listener("PORT1"), ok("ok"));
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
         location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /app/ { proxy_pass http://127.0.0.1:%%PORT1%%/; } }",
    );
    let ask = |target: &str| {
        let raw = format!("GET {target} HTTP/1.0\r\n\r\n");
        edge.raw(raw.as_bytes());
        let seen = peer.next();
        seen.line().split(' ').nth(1).expect("a request line has a target").to_owned()
    };
    // Without a URI in `proxy_pass`, the target as it came.
    for target in ["/a%2fb", "/a/../b?c=%2e", "//a", "/%7Euser", "/a;b=c", "/caf%c3%a9?x=y"] {
        assert_eq!(ask(target), target);
    }
    // With one, what it means, written anew.
    for (target, expected) in [
        ("/app/a%2fb", "/a/b"),
        ("/app/x/../b?c=%2e", "/b?c=%2e"),
        ("/app//a", "/a"),
        ("/app/%7Euser", "/~user"),
        ("/app/a%20b%3fc%23d%25", "/a%20b%3Fc%23d%25"),
        ("/app/caf%c3%a9", "/caf%C3%A9"),
    ] {
        assert_eq!(ask(target), expected, "{target}");
    }
}
