//! Clients that are slow, or say and take nothing: each has its time, and costs the others none.
//!
//! Nothing here measures time. Where a client has to go on until the server has had enough of it, it
//! does so until it is closed, and a server that never has would make the test fail by its length.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{
    http2::{self, Connection},
    peer::{After, Peer, ok},
    server::{Edge, PATIENCE, Site, read_response},
    tls::self_signed,
};

/// Sends one byte after another until the server closes, and returns what that has said.
fn drip(stream: &mut TcpStream, bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout is set");
    let mut said = Vec::new();
    let mut bytes = bytes.into_iter();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "still open, having said {said:?}");
        if let Some(byte) = bytes.next()
            && stream.write_all(&[byte]).is_err()
        {
            return said;
        }
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => return said,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (),
            Err(_) => return said,
        }
    }
}

fn start(inside: &str) -> Edge {
    Edge::start(&format!(
        "log_format s '$status $request_uri'; access_log %%DIR%%/s.log s;
         server {{ listen 127.0.0.1:%%PORT%%; keepalive_timeout 10s; {inside} }}
         server {{ listen 127.0.0.1:%%PORT1%%; access_log %%DIR%%/behind.log; return 200 ok; }}"
    ))
}

/// The time is for the whole head: who sends a byte now and then gains nothing.
#[test]
fn a_head_byte_by_byte_is_not_waited_for() {
    let mut edge = start("client_header_timeout 1s; location / { return 200 ok; }");
    let head = b"GET / HTTP/1.1\r\nHost: x\r\nX: ".iter().copied();
    let said = drip(&mut edge.connect(), head.chain(std::iter::repeat(b'a')));
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    let line = "client timed out (110: Connection timed out) while reading client request headers";
    edge.wait_for_line("error.log", line);
    edge.wait_for_line("s.log", "408 /\n");
    // The first line counts for as much.
    let said = drip(&mut edge.connect(), b"GET /".iter().copied().chain(std::iter::repeat(b'a')));
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(edge.get("/").text(), "ok");
}

#[test]
fn who_connects_and_says_nothing_is_closed() {
    let site = Site::new();
    self_signed("localhost").write(&site, "localhost");
    let edge = Edge::start_in(
        site,
        "client_header_timeout 500ms; ssl_certificate localhost.crt; ssl_certificate_key localhost.key;
         server { listen 127.0.0.1:%%PORT%%; listen 127.0.0.1:%%PORT1%% ssl;
           listen 127.0.0.1:%%PORT2%% proxy_protocol; return 200 ok; }",
    );
    for port in ["PORT", "PORT1", "PORT2"] {
        assert_eq!(drip(&mut edge.connect_to(port), []), b"", "{port}");
    }
    // The beginning of a handshake, and no end of it.
    let said = drip(&mut edge.connect_to("PORT1"), [22, 3, 1, 2, 0, 1, 0]);
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(edge.get("/").text(), "ok");
}

/// This time is from one part to the next.
#[test]
fn a_body_that_stops_is_not_waited_for() {
    let mut edge = start(
        "client_body_timeout 500ms;
         location / { proxy_pass http://127.0.0.1:%%PORT1%%; }",
    );
    for (path, framing, body) in [
        ("/whole", "Content-Length: 10", "hello"),
        ("/chunks", "Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        ("/chunk", "Transfer-Encoding: chunked", "5\r\nhe"),
        ("/size", "Transfer-Encoding: chunked", "5"),
    ] {
        let mut stream = edge.connect();
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).unwrap();
        let said = drip(&mut stream, []);
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{path}: {}", String::from_utf8_lossy(&said));
        edge.wait_for_line("s.log", &format!("408 {path}\n"));
    }
    // None of them was passed on as if it were whole.
    assert!(!edge.site.read("behind.log").contains("\" 200 "), "{}", edge.site.read("behind.log"));
    // One that is slow, and does not stop, is taken.
    let mut stream = edge.connect();
    stream
        .write_all(
            b"POST /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\n",
        )
        .unwrap();
    let said = drip(&mut stream, *b"hello hello hello he");
    assert!(said.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&said));
}

/// More than both sides' sockets take.
const LARGE: usize = 32 << 20;

/// A reader that never reads: its connection ends, and so does the upstream's.
#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let site = Site::new();
    site.write("large", vec![b'x'; LARGE]);
    let (left, upstream_is_left) = std::sync::mpsc::sync_channel(1);
    let _peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        let mut written = wire.write_all(head.as_bytes());
        for _ in 0..LARGE / 8192 {
            written = written.and_then(|()| wire.write_all(&[b'x'; 8192]));
        }
        left.send(written.is_err()).expect("the test waits");
        After::Close
    });
    let mut edge = Edge::start_in(
        site,
        "log_format s '$status $request_uri'; access_log %%DIR%%/s.log s;
         server { listen 127.0.0.1:%%PORT%% sndbuf=16k; send_timeout 500ms;
           location / { root %%DIR%%; }
           location /proxied { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_buffering off; } }",
    );
    let mut readers = Vec::new();
    for path in ["/large", "/proxied"] {
        let mut reader = edge.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        reader.write_all(request.as_bytes()).unwrap();
        readers.push(reader);
        edge.wait_for_line("s.log", &format!("{path}\n"));
    }
    assert!(upstream_is_left.recv_timeout(PATIENCE).unwrap(), "the upstream is left, too");
    edge.wait_for_line("error.log", "client timed out (110: Connection timed out) while send");
    for mut reader in readers {
        let mut rest = Vec::new();
        let _reset = reader.read_to_end(&mut rest);
        assert!(rest.len() < LARGE, "it is not whole");
    }
}

#[test]
fn http2_is_not_waited_for_either() {
    let site = Site::new();
    site.write("large", vec![b'x'; 1 << 20]);
    let mut edge = Edge::start_in(
        site,
        "log_format s '$status $request_uri'; access_log %%DIR%%/s.log s;
         server { listen 127.0.0.1:%%PORT%% http2;
           client_body_timeout 500ms; send_timeout 500ms; keepalive_timeout 10s;
           location /body { proxy_pass http://127.0.0.1:%%PORT1%%; } }
         server { listen 127.0.0.1:%%PORT1%%; access_log %%DIR%%/behind.log; return 200 ok; }",
    );
    // A body that does not come, beside a stream that is in order.
    let mut client = Connection::open(&edge);
    let mut fields = http2::get("/body");
    fields[0].1 = "POST";
    let id = client.begin(&fields, 0);
    client.data(id, b"hello", 0);
    let other = client.ask(&http2::get("/none"));
    assert_eq!(client.answer(other).status(), "404");
    edge.wait_for_line("s.log", "408 /body\n");
    assert!(edge.site.read("behind.log").is_empty(), "it was not passed on");
    // A window that is never opened.
    let mut client = Connection::open(&edge);
    let id = client.ask(&http2::get("/large"));
    client.until("its window is full", |it| {
        it.answers.get(&id).is_some_and(|answer| answer.body.len() == 65_535)
    });
    client.until_closed();
    edge.wait_for_line("s.log", "200 /large\n");
}

/// Half a head of each, held open beside somebody who is not slow.
#[test]
fn five_hundred_slow_clients_are_no_hindrance() {
    let site = Site::new();
    let config = site.config(
        "server { listen 127.0.0.1:%%PORT%%; keepalive_timeout 10s; client_header_timeout 3s;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }
         server { listen 127.0.0.1:%%PORT1%%; return 200 ok; }",
    );
    // Each that is passed on takes three, and there are 512 when nothing is said.
    let config = config.replace("events { }", "events { worker_connections 4096; }");
    let mut edge = Edge::start_whole(site, &config);
    let mut slow = Vec::new();
    for number in 0..500 {
        let mut stream = edge.connect();
        let (head, body) = if number % 2 == 0 {
            ("GET / HTTP/1.1\r\nHost: x\r\nX: ", "")
        } else {
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", "hello")
        };
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        slow.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(edge.get("/fast").text(), "ok");
    }
    // Those who send the rest in time are answered as if they had never been slow.
    for stream in slow.iter_mut().skip(1).step_by(2) {
        stream.write_all(b"world").expect("it is open");
    }
    for stream in slow.iter_mut().skip(1).step_by(2) {
        assert_eq!(read_response(stream, "POST").text(), "ok");
    }
    // The others are closed, all of them.
    for stream in slow.iter_mut().step_by(2) {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    }
    assert_eq!(edge.get("/fast").text(), "ok");
    assert!(edge.stop().success());
}

/// An upload to a slow upstream stops being read: what is not wanted yet stays with the client.
#[test]
fn an_upload_is_taken_no_faster_than_the_upstream_takes_it() {
    let site = Site::new();
    let silent = site.listener("PORT1");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%% rcvbuf=16k; client_max_body_size 0;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_http_version 1.1; proxy_request_buffering off; } }",
    );
    let mut stream = edge.connect();
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 1 << 30);
    stream.write_all(head.as_bytes()).unwrap();
    let (mut upstream, _) = silent.accept().expect("it is connected to");
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut taken = 0;
    while let Ok(written) = stream.write(&[b'x'; 1 << 14]) {
        taken += written;
        assert!(taken < 256 << 20, "nobody reads it, and the edge takes it all");
    }
    // And it goes on when the upstream does.
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..4 {
        upstream.read_exact(&mut buffer).expect("what was taken is passed on");
    }
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[b'x'; 1 << 14]).expect("there is room again");
    upstream.write_all(&ok("enough")).unwrap();
    assert_eq!(read_response(&mut stream, "POST").text(), "enough");
}
