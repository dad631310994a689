//! `stub_status` and `$connections_*`.

use std::io::Write;

use crate::{
    reload::reload,
    server::{Edge, Site, read_response},
};

const SERVER: &str = "
    server {
        listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
        location /slow/ { alias %%DIR%%/www/; limit_rate 1; }
        location /status { stub_status; add_header X $connections_active; }
    }";

fn start() -> Edge {
    let site = Site::new();
    site.write("www/a", "x".repeat(1000));
    Edge::start_in(site, SERVER)
}

/// Active; accepted, handled, requests; reading, writing, waiting.
fn numbers(edge: &Edge) -> [u64; 7] {
    let response = edge.get("/status");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain"));
    let words = response.text().split_whitespace().filter_map(|word| word.parse().ok());
    let numbers: Vec<u64> = words.collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{}", response.text()))
}

/// A connection is counted out a moment after its client has seen it closed.
fn wait_for(edge: &Edge, expected: impl Fn([u64; 7]) -> bool) {
    while !expected(numbers(edge)) {
        crate::server::pause();
    }
}

#[test]
fn connections_and_requests_are_counted() {
    let edge = start();
    let [_, accepted, handled, requests, ..] = numbers(&edge);
    assert_eq!(accepted, handled);
    let mut kept = edge.connect();
    for _ in 0..3 {
        kept.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("the request is sent");
        assert_eq!(read_response(&mut kept, "GET").status, 200);
    }
    wait_for(&edge, |now| now[0] == 2 && now[4..] == [0, 1, 1]);
    let [_, accepted_now, _, requests_now, ..] = numbers(&edge);
    assert!(accepted_now >= accepted + 3 && requests_now - requests == accepted_now - accepted + 2);
    kept.write_all(b"GET /a HTTP/1.1\r\n").expect("half a head is sent");
    wait_for(&edge, |now| now[0] == 2 && now[4..] == [1, 1, 0]);
    drop(kept);
    let mut slow = edge.connect();
    slow.write_all(b"GET /slow/a HTTP/1.1\r\nHost: x\r\n\r\n").expect("the request is sent");
    wait_for(&edge, |now| now[0] == 2 && now[4..] == [0, 2, 0]);
    drop(slow);
    wait_for(&edge, |now| now[0] == 1 && now[4..] == [0, 1, 0]);
}

#[test]
fn it_is_for_reading() {
    let edge = start();
    let text = edge.get("/status").text().to_owned();
    assert!(text.starts_with("Active connections: ") && text.ends_with(" \n"), "{text:?}");
    assert!(text.contains(" \nserver accepts handled requests\n "), "{text:?}");
    assert_eq!(edge.request("HEAD", "/status", &[], b"").status, 200);
    assert_eq!(edge.request("POST", "/status", &[], b"x").status, 405);
    assert!(edge.get("/status").header("X").is_some());
}

#[test]
fn what_was_counted_survives_a_reload() {
    let mut edge = start();
    for _ in 0..5 {
        numbers(&edge);
    }
    let before = numbers(&edge)[3];
    reload(&mut edge, SERVER);
    assert_eq!(numbers(&edge)[3], before + 1);
}
