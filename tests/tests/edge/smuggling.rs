//! Requests whose end two servers could see in different places. Each is either refused, with the
//! connection closed, or read in the one way that nginx reads it too.

use std::{
    io::{Read, Write},
    sync::mpsc::{Receiver, sync_channel},
};

use ::http2::flags;

use crate::{
    http2::{self, Connection},
    peer::{After, Peer, ok},
    server::{Edge, PATIENCE, Site, is_nginx},
};

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    client_header_timeout 2s;
    lingering_timeout 1s;
    location / { return 200 "$request_method $uri\n"; }
}
"#;

/// What hides behind the first request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

fn statuses(edge: &Edge, fields: &str, body: &str) -> Vec<String> {
    let request = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}{HIDDEN}");
    let response = edge.raw(request.as_bytes());
    let response = String::from_utf8_lossy(&response).into_owned();
    let heads = response.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_body_whose_end_is_in_doubt_is_refused_and_nothing_follows() {
    let edge = Edge::start(CONF);
    for (fields, body, status) in [
        ("Content-Length: 5\r\nContent-Length: 5\r\n", "hello", "400"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "hello", "400"),
        ("Content-Length: 5, 5\r\n", "hello", "400"),
        ("Content-Length: +5\r\n", "hello", "400"),
        ("Content-Length: -5\r\n", "hello", "400"),
        ("Content-Length: 0x5\r\n", "hello", "400"),
        ("Content-Length: 5 5\r\n", "hello", "400"),
        ("Content-Length:\r\n", "hello", "400"),
        ("Content-Length: 99999999999999999999\r\n", "hello", "400"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: gzip, chunked\r\n", CHUNKS, "501"),
        ("Transfer-Encoding: identity\r\n", "", "501"),
        ("Transfer-Encoding: xchunked\r\n", CHUNKS, "501"),
        ("Transfer-Encoding: chunked;q=1\r\n", CHUNKS, "501"),
        ("Transfer-Encoding: \"chunked\"\r\n", CHUNKS, "501"),
        ("Transfer-Encoding : chunked\r\n", CHUNKS, "400"),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("X: y\rTransfer-Encoding: chunked\r\n", CHUNKS, "400"),
        ("Transfer-Encoding: chunked\r\n", "zz\r\nhello\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "-1\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "400"),
        ("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n", "400"),
    ] {
        assert_eq!(statuses(&edge, fields, body), [status], "{fields:?} {body:?}");
    }
}

#[test]
fn a_body_whose_end_is_certain_is_passed_over() {
    let edge = Edge::start(CONF);
    for (fields, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length: 05\r\n", "hello"),
        ("Content-Length: 5 \r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", CHUNKS),
        ("Transfer-Encoding: Chunked\r\n", CHUNKS),
        ("Transfer-Encoding: chunked \r\n", CHUNKS),
        ("Transfer-Encoding: chunked\r\n", "0005\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"),
    ] {
        assert_eq!(statuses(&edge, fields, body), ["200", "200"], "{fields:?} {body:?}");
    }
}

#[test]
fn the_old_version_has_no_chunks() {
    let edge = Edge::start(CONF);
    let request = format!(
        "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{CHUNKS}{HIDDEN}"
    );
    let response = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
}

/// A field of which two servers might take different ones.
#[test]
fn what_may_stand_once_stands_once() {
    let edge = Edge::start(CONF);
    // Of these, nginx refuses the second since 1.23.
    let newer = ["Expect", "If-Match", "If-None-Match", "If-Range", "Content-Range"];
    let older = ["Authorization", "If-Modified-Since", "If-Unmodified-Since"];
    let newer = newer.iter().filter(|_| !is_nginx());
    for name in newer.chain(&older) {
        let lower = name.to_ascii_lowercase();
        let fields = format!("{name}: a\r\n{lower}: a\r\n");
        assert_eq!(statuses(&edge, &fields, ""), ["400"], "{name}");
        assert_ne!(statuses(&edge, &format!("{name}: a\r\n"), "")[0], "400", "{name}");
    }
}

/// Names that reach no server as they are, or another one than the next hop takes them for.
#[test]
fn hosts_that_are_none_are_refused() {
    let edge = Edge::start(CONF);
    for host in
        ["a:65536", "a:1:2", "a:8x", "a@b", "a,b c", "[::1", "[::1].", "a\\b", "a..", "a\tb"]
    {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let response = edge.raw(request.as_bytes());
        // Ports and literals have been looked at since 1.29.
        let expected: &[u8] = if is_nginx() { b"HTTP/1.1 " } else { b"HTTP/1.1 400 " };
        assert!(response.starts_with(expected), "{host}");
    }
}

/// `$uri` is decoded: what was `%0d%0a` in it must not become a line of a head, here or at the next
/// hop.
#[test]
fn a_path_brings_no_field() {
    if is_nginx() {
        return; // It does there.
    }
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%;
            location /field { add_header X-Path $uri; return 204; }
            location /moved { return 302 http://else$uri; }
            location /after { add_trailer X-Path $uri; return 200 body; }
            location /rewritten { rewrite ^ http://else$uri redirect; }
            location /set { proxy_set_header X-Path $uri; proxy_pass http://127.0.0.1:%%PORT1%%; }
            location /asked { proxy_pass http://127.0.0.1:%%PORT1%%$uri; } }
         server { listen 127.0.0.1:%%PORT1%%;
            return 200 \"[$request_uri][$http_x_path][$http_injected]\"; }",
    );
    let injected = "%0d%0aInjected:%201";
    for (path, status) in [
        ("/field", 204),
        ("/moved", 302),
        ("/after", 200),
        ("/rewritten", 302),
        ("/set", 200),
        ("/asked", 200),
    ] {
        let request =
            format!("GET {path}{injected} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let response = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
        assert!(!response.contains("\nInjected"), "{path}: {response}");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {response}");
    }
    let seen = |path: &str| edge.get(&format!("{path}{injected}")).text().to_owned();
    assert_eq!(seen("/set"), "[/set%0d%0aInjected:%201][/set  Injected: 1][]");
    assert_eq!(seen("/asked"), "[/asked%0D%0AInjected:%201][][]");
}

/// What an upstream was sent on one connection: the head, the body as its framing delimits it, and
/// whatever came after that. With the connection's number, since each tells when it has ended.
type Sent = (usize, [String; 3]);

/// Two places that pass requests on, whole and as they come, and all that the upstream gets.
fn overheard(listen: &str) -> (Edge, Receiver<Sent>) {
    let site = Site::new();
    let (tell, sent) = sync_channel(64);
    let _peer = Peer::tcp(site.listener("PORT1"), move |seen, wire| {
        let _gone = wire.write_all(&ok("answered"));
        let mut rest = Vec::new();
        let _reset = wire.read_to_end(&mut rest);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sent = [seen.head.clone(), text(&seen.body), text(&rest)];
        let _over = tell.send((seen.connection, sent));
        After::Close
    });
    let edge = Edge::start_in(
        site,
        &format!(
            "server {{ listen 127.0.0.1:%%PORT%% {listen}; client_header_timeout 2s; lingering_timeout 1s;
               proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Connection close;
               location / {{ proxy_pass http://127.0.0.1:%%PORT1%%; }}
               location /unbuffered {{ proxy_pass http://127.0.0.1:%%PORT1%%; proxy_request_buffering off; }} }}"
        ),
    );
    (edge, sent)
}

/// A body that is passed on as it comes has a length if it came at once, and chunks if it did not.
fn with_length(head: &str, body: &str) -> String {
    head.replace("Transfer-Encoding: chunked", &format!("Content-Length: {}", body.len()))
}

/// However it was written, the next server reads it in the only way there is.
#[test]
fn what_is_passed_on_is_written_anew() {
    let (edge, sent) = overheard("");
    for (request, head, body) in [
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0005\r\n\r\nhello",
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
            "hello",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n\
             5;x=\"y\"\r\nhello\r\n0\r\nContent-Length: 99\r\nHost: y\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
            "hello",
        ),
        (
            "POST /unbuffered HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             00005;x=y\r\nhello\r\n0;z\r\nX: y\r\n\r\n",
            "POST /unbuffered HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
            "hello",
        ),
        // The body is nothing but a body.
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 38\r\n\r\n\
             GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 38\r\n\r\n",
            "GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n",
        ),
        // A GET may have one, too.
        (
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
            "hello",
        ),
        (
            "GET / HTTP/1.1\nHost: x\nX:  a  b \n\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: a  b\r\n\r\n",
            "",
        ),
        // The name in the line counts, and the field does not.
        (
            "GET http://x:80/a?b HTTP/1.1\r\nHost: y\r\n\r\n",
            "GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "",
        ),
        // These speak of one hop, or are names that two servers may read as one.
        (
            "GET / HTTP/1.1\r\nHost: x\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nTE: trailers\r\n\
             Expect: 100-continue\r\nX_Real_Ip: 1\r\nX.Y: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "",
        ),
        ("GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", ""),
    ] {
        let mut stream = edge.connect();
        // The next request must wait on this connection, and not go with the first.
        let hidden = "GET /next HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{request}{hidden}").as_bytes()).unwrap();
        let mut answers = Vec::new();
        let _reset = stream.read_to_end(&mut answers);
        let expected = if request.contains("HTTP/1.1") { 2 } else { 1 };
        let mut seen: Vec<_> = (0..expected)
            .map(|_| sent.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{request:?}")))
            .collect();
        seen.sort();
        let (_, [seen_head, seen_body, rest]) = &seen[0];
        let seen_head = with_length(seen_head, seen_body);
        assert_eq!((&seen_head[..], &seen_body[..], &rest[..]), (head, body, ""), "{request:?}");
        if let Some((_, [next, _, rest])) = seen.get(1) {
            assert!(next.starts_with("GET /next HTTP/1.1\r\nHost: next\r\n"), "{next}");
            assert_eq!(rest, "");
        }
    }
}

/// Heads that servers disagree about reach no upstream.
#[test]
fn heads_in_doubt_are_passed_on_to_nobody() {
    let (edge, sent) = overheard("");
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n X: a\r\n\r\n",
        "GET / HTTP/1.1\r\n X: a\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX\0: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a\rb HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET //\\\0 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.10000\r\nHost: x\r\n\r\n",
        "GET / HTTP/11\r\nHost: x\r\n\r\n",
        "GET / http/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1 \r\r\nHost: x\r\n\r\n",
        "get / HTTP/1.1\r\nHost: x\r\n\r\n",
        "G\u{e9}T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http:/// HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x@y/ HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
        let refused = answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5");
        let page_alone = answer.starts_with("<html>");
        assert!(refused || page_alone, "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), usize::from(refused), "{request:?}");
    }
    assert!(sent.try_recv().is_err(), "one of them was passed on");
}

/// HTTP/2 has its own ends of things; what becomes of them in HTTP/1 is told by us alone.
#[test]
fn streams_become_requests_of_their_own_length() {
    let (edge, sent) = overheard("http2");
    let hidden = "GET /hidden HTTP/1.1\r\nHost: hidden\r\n\r\n";
    let whole =
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 38\r\n\r\n";
    let unbuffered = whole.replace("POST /", "POST /unbuffered");
    for (path, fields, body, head) in [
        ("/", &[][..], hidden, whole),
        ("/", &[("content-length", "38")], hidden, whole),
        ("/unbuffered", &[], hidden, &unbuffered[..]),
        ("/unbuffered", &[("content-length", "38")], hidden, &unbuffered[..]),
        ("/", &[("x", " a "), ("te", "trailers")], hidden, ""),
    ] {
        let mut client = Connection::open(&edge);
        let mut asked = http2::get(path);
        asked[0].1 = "POST";
        asked.extend_from_slice(fields);
        let id = client.begin(&asked, 0);
        client.data(id, body.as_bytes(), flags::END_STREAM);
        if head.is_empty() {
            let answer = client.answer(id);
            if answer.status() == "200" {
                let (_, [head, seen_body, rest]) = sent.recv_timeout(PATIENCE).unwrap();
                assert!(
                    !head.contains("X: \r\n") && seen_body == body && rest.is_empty(),
                    "{head}"
                );
            }
            continue;
        }
        assert_eq!(client.answer(id).text(), "answered", "{path} {fields:?}");
        let sent = sent.recv_timeout(PATIENCE);
        let (_, [seen_head, seen_body, rest]) = &sent.expect("it is passed on");
        let seen_head = with_length(seen_head, seen_body);
        assert_eq!((&seen_head[..], &seen_body[..], &rest[..]), (head, body, ""), "{fields:?}");
    }
}

/// A length that the stream does not keep: the upstream gets less than a request, or none, and never
/// more than one.
#[test]
fn a_stream_that_lies_about_its_length_is_no_request() {
    let (edge, sent) = overheard("http2");
    for path in ["/", "/unbuffered"] {
        for (said, body) in [("5", "helloGET /hidden HTTP/1.1\r\n\r\n"), ("50", "hello")] {
            let mut client = Connection::open(&edge);
            let mut asked = http2::get(path);
            asked[0].1 = "POST";
            asked.push(("content-length", said));
            let id = client.begin(&asked, 0);
            client.data(id, body.as_bytes(), flags::END_STREAM);
            let answer = client.answer(id);
            assert!(answer.reset.is_some() || answer.status() == "400", "{answer:?}");
        }
    }
    drop(edge);
    while let Ok((_, [head, body, rest])) = sent.try_recv() {
        assert!(!format!("{body}{rest}").contains("hidden"), "{head}{body}{rest}");
    }
}

/// An upstream whose answers to `/bad` end elsewhere than they say: who asks next gets what is meant
/// for him.
#[test]
fn no_answer_reaches_who_did_not_ask_for_it() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (bad, newer) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\na", false),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        // Which of both counts? Of these, nginx 1.22 takes one.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", true),
    ] {
        if newer && is_nginx() {
            continue;
        }
        let site = Site::new();
        let _peer = Peer::tcp(site.listener("PORT1"), move |seen, wire| {
            let answer = if seen.line().contains("/bad") {
                format!("{bad}{EVIL}").into_bytes()
            } else {
                ok("good")
            };
            match wire.write_all(&answer) {
                Ok(()) => After::Keep,
                Err(_) => After::Close,
            }
        });
        let edge = Edge::start_in(
            site,
            "upstream u { server 127.0.0.1:%%PORT1%%; keepalive 4; }
             server { listen 127.0.0.1:%%PORT%%; proxy_read_timeout 1s;
               location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; } }",
        );
        for method in ["GET", "HEAD"] {
            let request = format!("{method} /bad HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
            assert!(!answer.contains("evil"), "{bad:?}: {answer}");
            for _ in 0..3 {
                assert_eq!(edge.get("/good").text(), "good", "{bad:?}");
            }
        }
    }
}

/// Heads of an upstream with something in them that no client may see as a line of its own.
#[test]
fn an_answer_brings_no_field_but_its_own() {
    for (bad, newer) in [
        ("HTTP/1.1 200 OK\r\nX: a\rInjected: 1\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nX: a\r\n Injected: 1\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nX Injected: 1\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 0\r\n\r\n", true),
    ] {
        if newer && is_nginx() {
            continue;
        }
        let site = Site::new();
        let _peer = Peer::says(site.listener("PORT1"), bad);
        let edge = Edge::start_in(
            site,
            "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
        );
        let answer = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.contains("Injected") && !answer.contains('\0'), "{bad:?}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{bad:?}: {answer}");
    }
}

/// Interim answers without end keep nobody waiting, and fill nothing.
#[test]
fn interim_answers_have_an_end() {
    if is_nginx() {
        return; // 1.22 takes the first for the answer.
    }
    let site = Site::new();
    let _peer = Peer::tcp(site.listener("PORT1"), |_, wire| {
        while wire.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").is_ok() {}
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    assert_eq!(edge.get("/").status, 502);
    assert!(edge.error_log().contains("upstream"), "{}", edge.error_log());
}
