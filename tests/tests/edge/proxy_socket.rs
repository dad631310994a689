//! `proxy_bind`, `proxy_limit_rate`, `proxy_force_ranges`: how a peer is reached, and how its answer
//! is taken.

use std::time::Instant;

use crate::{
    peer::{After, Peer, ok},
    server::{Edge, Site, is_nginx},
};

#[test]
fn a_connection_comes_from_the_address_that_is_said() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; proxy_bind 127.0.0.2;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /off { proxy_bind off; proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /said { proxy_bind $arg_a; proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /socket { proxy_pass http://unix:%%DIR%%/s:/; } }
         server { listen 127.0.0.1:%%PORT1%%; listen unix:%%DIR%%/s; return 200 $remote_addr; }",
    );
    let from = |path: &str| edge.get(path).text().to_owned();
    assert_eq!(from("/"), "127.0.0.2");
    assert_eq!(from("/off"), "127.0.0.1");
    assert_eq!(from("/said?a=127.0.0.3"), "127.0.0.3");
    assert_eq!(from("/said?a=nonsense"), "127.0.0.1");
    assert!(edge.error_log().contains("invalid local address \"nonsense\""));
    if !is_nginx() {
        // nginx binds a socket of the file system to an address, and fails.
        assert_eq!(from("/socket"), "unix:");
    }
}

#[test]
fn a_kept_connection_from_elsewhere_is_not_used() {
    if is_nginx() {
        return; // It does not ask where a kept connection comes from.
    }
    let site = Site::new();
    let config = site.config(
        "upstream u { server 127.0.0.1:%%PORT1%%; keepalive 4; }
         server { listen 127.0.0.1:%%PORT%%; location / { proxy_bind $arg_a; proxy_pass http://u; } }
         server { listen 127.0.0.1:%%PORT1%%; return 200 $remote_addr; }",
    );
    let config = config.replace("worker_processes 2", "worker_processes 1");
    let edge = Edge::start_whole(site, &config);
    for _ in 0..2 {
        assert_eq!(edge.get("/?a=127.0.0.2").text(), "127.0.0.2");
        assert_eq!(edge.get("/?a=127.0.0.3").text(), "127.0.0.3");
    }
}

#[test]
fn what_a_local_address_may_not_be() {
    let refused = |directive: &str| {
        let site = Site::new();
        site.write("nginx.conf", site.config(directive));
        let output = site.run(&["-t"]);
        assert!(!output.status.success(), "{directive}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused("proxy_bind nonsense;").contains("invalid address \"nonsense\""));
    assert!(refused("proxy_bind 127.0.0.1 nonsense;").contains("invalid parameter \"nonsense\""));
    if !is_nginx() {
        let message = refused("proxy_bind 127.0.0.1 transparent;");
        assert!(message.contains("the edge does not yet"), "{message}");
    }
}

/// A peer with an answer of this many bytes, framed one way or the other.
fn sized(site: &Site, bytes: usize) -> Peer {
    Peer::tcp(site.listener("PORT1"), move |seen, wire| {
        let body = "x".repeat(bytes);
        let response = if seen.line().contains("chunked") {
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{bytes:x}\r\n{body}\r\n0\r\n\r\n"
            )
            .into_bytes()
        } else {
            ok(&body)
        };
        // A client may have enough before the end.
        let _gone = wire.write_all(&response);
        After::Keep
    })
}

#[test]
fn a_body_is_taken_no_faster_than_is_said() {
    let site = Site::new();
    let _peer = sized(&site, 5000);
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; proxy_buffer_size 1k; proxy_buffers 4 1k; proxy_busy_buffers_size 2k;
           location / { proxy_limit_rate 2000; proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /free { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let time = |path: &str| {
        let begun = Instant::now();
        assert_eq!(edge.get(path).body.len(), 5000, "{path}");
        begun.elapsed().as_millis()
    };
    assert!(time("/") >= 1000);
    assert!(time("/chunked") >= 1000);
    assert!(time("/free") < 1000);
}

#[test]
fn ranges_of_an_answer_only_where_that_is_said() {
    let site = Site::new();
    let _peer = sized(&site, 200_000);
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_force_ranges on; proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /plain { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let ask = |path: &str, ranges: &str| {
        let response = edge.request("GET", path, &[&format!("Range: bytes={ranges}")], b"");
        (response.status, response.body.len())
    };
    assert_eq!(ask("/", "100000-100009"), (206, 10));
    assert_eq!(ask("/", "-70000"), (206, 70_000));
    assert_eq!(ask("/", "0-0"), (206, 1));
    assert_eq!(ask("/", "200000-"), (416, ask("/", "200000-").1));
    assert_eq!(ask("/plain", "0-0"), (200, 200_000));
    assert_eq!(ask("/chunked", "0-0"), (200, 200_000));
    let response = edge.request("GET", "/", &["Range: bytes=5-9"], b"");
    assert_eq!(response.header("content-range"), Some("bytes 5-9/200000"));
}
