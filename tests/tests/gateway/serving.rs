//! Answers: framing, persistence, streaming, large bodies.

use std::io::{Read, Write};

use crate::stack::{Listens, Response, Stream, start, start_on};

fn ask(stream: &mut Stream, method: &str, target: &str, fields: &str) -> Response {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    Response::read_for(stream, method).expect("an answer")
}

#[test]
fn a_connection_lives_on() {
    let gateway = start_on(Listens::Unix, &["--workers", "1"]);
    let mut stream = gateway.connect();
    for _ in 0..3 {
        let answer = ask(&mut stream, "GET", "/", "");
        assert_eq!((answer.status, answer.header("connection")), (200, Some("keep-alive")));
        assert_eq!(answer.header("server"), Some("causeway-gateway"));
        assert!(answer.header("date").is_some());
    }
    let head = ask(&mut stream, "HEAD", "/", "");
    assert!(head.header("content-length").is_some_and(|length| length != "0"));
    assert_eq!(ask(&mut stream, "GET", "/status?line=304+Not+Modified", "").status, 304);
    let empty = ask(&mut stream, "GET", "/status?line=204+No+Content", "");
    assert_eq!((empty.status, empty.header("content-length")), (204, None));
    assert_eq!(
        ask(&mut stream, "GET", "/status?line=404+Not+Here", "").head.lines().next(),
        Some("HTTP/1.1 404 Not Here")
    );
    let last = ask(&mut stream, "GET", "/", "Connection: close\r\n");
    assert_eq!(last.header("connection"), Some("close"));
    assert!(stream.rest().is_empty());
}

#[test]
fn requests_sent_together_are_answered_in_order() {
    let gateway = start_on(Listens::Unix, &[]);
    let mut stream = gateway.connect();
    let one = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none";
    let two =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n";
    let three = "GET /version HTTP/1.1\r\nHost: a\r\n\r\n";
    stream.write_all([one, two, three].concat().as_bytes()).unwrap();
    for expected in ["one", "two", "one"] {
        assert_eq!(Response::read(&mut stream).unwrap().text(), expected);
    }
}

#[test]
fn http_1_0_is_answered_in_kind() {
    let gateway = start(&[]);
    let answer = gateway.send("GET / HTTP/1.0\r\n\r\n");
    assert!(answer.head.starts_with("HTTP/1.0 200 OK\r\n"), "{}", answer.head);
    assert_eq!(answer.header("connection"), Some("close"));
    let gate = gateway.gate("gate");
    let target = format!("/stream?gate={}", gate.path());
    let mut stream = gateway.connect();
    stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    gate.open();
    let answer = stream.answer();
    assert_eq!((answer.header("transfer-encoding"), answer.header("content-length")), (None, None));
    assert_eq!(answer.text(), "firstsecond");
}

#[test]
fn a_stream_arrives_before_it_ends() {
    let gateway = start(&[]);
    let gate = gateway.gate("gate");
    let mut stream = gateway.begin(&format!("/stream?gate={}", gate.path()));
    let mut arrived = Vec::new();
    while !arrived.ends_with(b"5\r\nfirst\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        arrived.extend(byte);
    }
    gate.open();
    assert_eq!(stream.rest(), b"6\r\nsecond\r\n0\r\n\r\n");
}

#[test]
fn continue_is_said_before_the_body_is_sent() {
    let gateway = start(&[]);
    let mut stream = gateway.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\
                Content-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(Response::read(&mut stream).unwrap().status, 100);
    stream.write_all(b"hello").unwrap();
    assert_eq!(stream.answer().text(), "hello");
}

#[test]
fn large_bodies_come_and_go_byte_for_byte() {
    let gateway = start_on(Listens::Unix, &[]);
    let body: Vec<u8> = (0..10_000_000_u32).flat_map(|number| [(number % 251) as u8]).collect();
    let mut stream = gateway.connect();
    let head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10000000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let answer = stream.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "10 MB back");
    assert_eq!(gateway.get("/big").body.len(), 65536 * 160);
}

#[test]
fn a_body_the_application_does_not_read_hurts_nobody() {
    let gateway = start_on(Listens::Unix, &["--workers", "1"]);
    for _ in 0..3 {
        let mut stream = gateway.connect();
        let head =
            "POST /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; 5_000_000]).unwrap();
        assert_eq!(stream.answer().body.len(), 65536 * 160);
    }
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn an_answer_that_breaks_off_is_not_ended_as_if_it_were_whole() {
    let gateway = start(&[]);
    let short = gateway.get("/short");
    assert_eq!((short.status, short.complete), (200, false));
    gateway.log.wait_for("GET /short: the answer was broken off");
    let breaks = gateway.get("/breaks");
    assert!(breaks.status == 502 || breaks.status == 500 || !breaks.complete, "{breaks:?}");
    gateway.log.wait_for("RuntimeError: in the middle");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_client_that_leaves_a_stream_frees_the_worker() {
    let gateway = start(&["--workers", "1"]);
    let mut stream = gateway.begin("/torrent");
    let mut some = [0; 100_000];
    stream.read_exact(&mut some).unwrap();
    drop(stream);
    gateway.log.wait_for("torrent closed");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn the_access_log_is_gunicorns() {
    let mut gateway = start(&["--access-logfile", "-"]);
    let request = "GET /version?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nReferer: r\r\nUser-Agent: say \"x\"\r\n\r\n";
    assert_eq!(gateway.send(request).status, 200);
    let line = gateway.output.wait_for("/version");
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.ends_with(r#"] "GET /version?a=b HTTP/1.1" 200 3 "r" "say \"x\"""#), "{line}");
    gateway.stop();
    let format =
        "%(m)s %(U)s %(q)s %(H)s %(s)s %(B)s %({host}i)s %({content-type}o)s %({SERVER_PORT}e)s";
    let gateway = start(&["--access-logfile", "-", "--access-logformat", format]);
    gateway.get("/env/x%20y?q=1");
    let line = gateway.output.wait_for("/env/x y");
    assert!(line.starts_with("GET /env/x y q=1 HTTP/1.1 200 "), "{line}");
    assert!(line.contains(" test text/plain "), "{line}");
}
