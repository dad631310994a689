//! `listen ... proxy_protocol`.

use std::io::{Read, Write};

use crate::server::{Edge, Site, is_nginx};

const SERVER: &str = r#"
    server {
        listen 127.0.0.1:%%PORT%% proxy_protocol; root %%DIR%%/www;
        client_header_timeout 1s;
        add_header X-Who "$remote_addr:$remote_port";
        add_header X-Said "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port";
        location /real/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; }
    }"#;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn start() -> Edge {
    let site = Site::new();
    site.write("www/a", "x");
    Edge::start_in(site, SERVER)
}

fn get(edge: &Edge, header: &[u8], path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    String::from_utf8_lossy(&edge.raw(&[header, request.as_bytes()].concat())).into_owned()
}

#[test]
fn a_header_is_taken_at_its_word() {
    let edge = start();
    let version2 = |command: u8, family: u8, rest: &[u8]| {
        let length = u16::try_from(rest.len()).expect("a short header").to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    };
    let addresses = [192, 0, 2, 1, 192, 0, 2, 2, 0, 123, 22, 46];
    let said = "X-Said: 192.0.2.1:123 192.0.2.2:5678\r\n";
    for (header, expected) in [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n".to_vec(), said),
        (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(), "X-Said: 2001:db8::1:1 ::1:2\r\n"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "X-Said: : :\r\n"),
        (version2(0x21, 0x11, &addresses), said),
        (version2(0x21, 0x11, &[&addresses[..], &[1, 0, 2, b'h', b'2']].concat()), said),
        (version2(0x20, 0, &[]), "X-Said: : :\r\n"),
    ] {
        let answer = get(&edge, &header, "/a");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(expected), "{answer}");
        // Only realip makes it the request's own.
        assert!(answer.contains("X-Who: 127.0.0.1:"), "{answer}");
    }
    let answer = get(&edge, b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n", "/real/a");
    assert!(answer.contains("X-Who: 192.0.2.1:123\r\n"), "{answer}");
}

#[test]
fn what_is_no_header_closes_the_connection() {
    let edge = start();
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(5000));
    for broken in [
        "",
        "PROXY TCP4 192.0.2.1 192.0.2.2 123\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 123 65536\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
        &long,
    ] {
        let answer = get(&edge, broken.as_bytes(), "/a");
        // nginx takes a long line of the unknown; the protocol does not.
        assert!(answer.is_empty() || is_nginx() && broken == long, "{broken:?}: {answer}");
    }
    let log = edge.error_log();
    // An older nginx writes the line's end, too.
    assert!(log.contains("broken header: \"GET /a HTTP/1.1"), "{log}");
    let line = "\" while reading PROXY protocol, client: 127.0.0.1, server: 127.0.0.1:";
    assert!(log.contains(line), "{log}");
    assert!(log.contains("unknown PROXY protocol version: 3"), "{log}");
}

/// nginx wants it in one piece.
#[test]
fn a_header_may_come_in_pieces() {
    if is_nginx() {
        return;
    }
    let edge = start();
    let mut client = edge.connect();
    client.set_nodelay(true).expect("a socket of ours");
    let whole = b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\nGET /a HTTP/1.0\r\nHost: x\r\n\r\n";
    for piece in whole.chunks(5) {
        client.write_all(piece).expect("the edge waits");
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("X-Said: 192.0.2.1:123 192.0.2.2:5678\r\n"), "{answer}");
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let mut edge = start();
    let mut client = edge.connect();
    client.write_all(b"PROXY TCP4").expect("the request is sent");
    let mut answer = Vec::new();
    let _reset = client.read_to_end(&mut answer);
    assert!(answer.is_empty());
    let line = if is_nginx() { "broken header: \"PROXY TCP4\"" } else { "client timed out (110: " };
    edge.wait_for_line("error.log", line);
    edge.wait_for_line("error.log", " while reading PROXY protocol, client: 127.0.0.1");
}
