//! The harness itself: a server starts, answers, logs, stops.

use crate::server::Edge;

#[test]
fn a_server_starts_answers_and_logs() {
    let edge =
        Edge::start("server { listen 127.0.0.1:%%PORT%%; location / { return 200 hello; } }");
    let response = edge.get("/");
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert_eq!(response.header("content-length"), Some("5"));
    let raw = edge.raw(b"GET / HTTP/1.0\r\n\r\n");
    assert!(raw.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&raw));
    assert!(edge.error_log().lines().all(|line| !line.contains("[alert]")));
}
