//! `proxy_next_upstream`: when another peer is asked, and when asking again would do harm.

use crate::{
    peer::{Peer, ok},
    server::{Edge, Site},
};

struct Pair {
    edge: Edge,
    bad: Peer,
    good: Peer,
}

/// A peer that answers with `response`, and one that is well; every request begins with the first.
fn start(settings: &str, response: &str) -> Pair {
    let site = Site::new();
    let bad = Peer::says(site.listener("PORT1"), response);
    let good = Peer::says(site.listener("PORT2"), ok("good"));
    let http = format!(
        "upstream u {{ server 127.0.0.1:%%PORT1%% max_fails=0; server 127.0.0.1:%%PORT2%% backup; }}
         server {{ listen 127.0.0.1:%%PORT%%; location / {{ proxy_pass http://u; {settings} }} }}"
    );
    Pair { edge: Edge::start_in(site, &http), bad, good }
}

const UNWELL: &str = "HTTP/1.1 503 Unwell\r\nContent-Length: 3\r\n\r\nbad";

#[test]
fn another_is_asked_where_one_fails() {
    let pair = start("", "");
    assert_eq!(pair.edge.get("/").text(), "good");
    assert_eq!(pair.bad.next().line(), pair.good.next().line());
}

#[test]
fn statuses_count_only_where_they_are_named() {
    assert_eq!(start("", UNWELL).edge.get("/").text(), "bad");
    assert_eq!(start("proxy_next_upstream http_503;", UNWELL).edge.get("/").text(), "good");
    assert_eq!(start("proxy_next_upstream http_500;", UNWELL).edge.get("/").text(), "bad");
    assert_eq!(start("proxy_next_upstream off;", "").edge.get("/").status, 502);
    let broken = "HTTP/1.1 200 OK\r\n : \r\n\r\n";
    assert_eq!(start("", broken).edge.get("/").status, 502);
    assert_eq!(start("proxy_next_upstream invalid_header;", broken).edge.get("/").text(), "good");
}

#[test]
fn what_may_have_been_done_is_not_done_twice() {
    let pair = start("proxy_next_upstream error http_503;", UNWELL);
    assert_eq!(pair.edge.request("POST", "/", &[], b"pay").text(), "bad");
    assert!(pair.good.is_quiet());
    assert_eq!(pair.edge.request("PUT", "/", &[], b"same").text(), "good");
    assert_eq!(pair.good.next().body, b"same", "the body is sent again");
    let pair = start("proxy_next_upstream error http_503 non_idempotent;", UNWELL);
    assert_eq!(pair.edge.request("POST", "/", &[], b"again").text(), "good");
    assert_eq!(pair.good.next().body, b"again");
}

#[test]
fn tries_are_counted() {
    let pair = start("proxy_next_upstream_tries 1;", "");
    assert_eq!(pair.edge.get("/").status, 502);
    assert!(pair.good.is_quiet());
}
