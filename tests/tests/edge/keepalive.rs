//! How long connections last: by time, by count, and by the location that answered last.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::server::{Edge, Response, read_response};

fn get(stream: &mut TcpStream, path: &str) -> Response {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    read_response(stream, "GET")
}

#[test]
fn a_connection_has_its_time() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; add_header X-Age $connection_time;
            keepalive_time 300ms; location / { return 204; } }",
    );
    let mut stream = edge.connect();
    let started = Instant::now();
    let first = get(&mut stream, "/");
    assert_eq!(first.header("connection"), Some("keep-alive"));
    assert!(first.header("x-age").is_some_and(|age| age.starts_with("0.")));
    let mut last = first;
    while last.header("connection") == Some("keep-alive") {
        assert!(started.elapsed() < Duration::from_secs(20));
        last = get(&mut stream, "/");
    }
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}

#[test]
fn the_location_that_answered_says_how_long_it_waits() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; keepalive_timeout 60s;
            location / { return 204; } location /short { keepalive_timeout 1s 7s; return 204; } }",
    );
    let mut stream = edge.connect();
    assert_eq!(get(&mut stream, "/").header("keep-alive"), None);
    let answered = Instant::now();
    assert_eq!(get(&mut stream, "/short").header("keep-alive"), Some("timeout=7"));
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
    assert!(answered.elapsed() < Duration::from_secs(20));
}

#[test]
fn requests_that_came_together_are_told() {
    let mut edge = Edge::start(
        "log_format pipe '$uri $pipe'; server { listen 127.0.0.1:%%PORT%%;
            access_log %%DIR%%/pipe.log pipe; location / { return 204; } }",
    );
    edge.raw(
        b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    edge.wait_for_line("pipe.log", "/2");
    assert_eq!(edge.site.read("pipe.log"), "/1 .\n/2 p\n");
}
