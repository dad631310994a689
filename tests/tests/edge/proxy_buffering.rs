//! `proxy_buffering`: a slow client does not hold an upstream, and a live answer does not wait.

use std::{
    io::{Read, Write},
    sync::mpsc::sync_channel,
    time::Duration,
};

use crate::{
    peer::{After, Peer},
    server::{Edge, PATIENCE, Site, listing, read_response},
};

/// Long enough for what would be wrong to happen; what is right passes however long it takes.
const A_MOMENT: Duration = Duration::from_millis(500);

const SIZE: usize = 30 << 20;

fn large() -> Vec<u8> {
    (0..SIZE as u32).map(|number| (number % 253) as u8).collect()
}

/// A client that reads nothing until the upstream has said everything, or time is up.
fn slow_client(settings: &str, sleeps: Duration) -> (Edge, bool) {
    let site = Site::new();
    let (done, finished) = sync_channel(1);
    let _peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n");
        wire.write_all(head.as_bytes()).expect("the edge listens");
        wire.write_all(&large()).expect("the edge reads on");
        done.send(()).expect("the test waits");
        After::Close
    });
    let edge = Edge::start_in(
        site,
        &format!(
            "
             server {{ listen 127.0.0.1:%%PORT%%; location / {{ proxy_pass http://127.0.0.1:%%PORT1%%; proxy_temp_path %%DIR%%/buffered; {settings} }} }}"
        ),
    );
    let mut client = edge.connect();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(request).expect("the edge reads requests");
    let buffered = finished.recv_timeout(sleeps).is_ok();
    let response = read_response(&mut client, "GET");
    assert!(response.body == large(), "byte for byte");
    (edge, buffered)
}

#[test]
fn a_slow_client_does_not_hold_the_upstream() {
    let (edge, buffered) = slow_client("", PATIENCE);
    assert!(buffered, "the upstream was read to its end while the client slept");
    let left = listing(&edge.site.path("buffered"));
    assert!(left.iter().all(|name| name.len() < 4), "no file is left: {left:?}");
}

#[test]
fn where_nothing_is_buffered_the_upstream_waits() {
    assert!(!slow_client("proxy_buffering off;", A_MOMENT).1);
    assert!(!slow_client("proxy_max_temp_file_size 0;", A_MOMENT).1);
}

#[test]
fn a_live_answer_does_not_wait_for_its_end() {
    let site = Site::new();
    let (go_on, wait) = sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let _peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .expect("the edge listens");
        let wait = wait.lock().expect("one request");
        wait.recv_timeout(PATIENCE).expect("the client has got the first part");
        wire.write_all(b"6\r\nsecond\r\n0\r\n\r\n").expect("the edge listens");
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_http_version 1.1; } }",
    );
    let mut client = edge.connect();
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(request).expect("the edge reads requests");
    let mut text = Vec::new();
    while !text.ends_with(b"first\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("the first part comes before the second is made");
        text.push(byte[0]);
    }
    go_on.send(()).unwrap();
    client.read_to_end(&mut text).unwrap();
    assert!(text.ends_with(b"6\r\nsecond\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&text));
}
