//! A proxy that says first whose connection it is, to ours and to gunicorn.

use std::io::Write;

use crate::{
    environ::{assert_same, facts},
    real_gunicorn::{alone, both},
    secure::{self, Client, Session, Wants},
    stack::{Gateway, Listens, Response},
};

const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 56789 443\r\n";

const INET: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdd, 0xd5, 1, 0xbb];

/// A header of version 2.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, rest].concat()
}

fn introduced(by: &[u8]) -> Vec<u8> {
    [by, REQUEST].concat()
}

fn status(server: &Gateway, bytes: &[u8]) -> Option<u16> {
    let mut stream = server.connect();
    let _ = stream.write_all(bytes);
    Response::read(&mut stream).map(|answer| answer.status)
}

#[test]
fn the_client_is_whom_the_proxy_names() {
    let inet6: Vec<u8> =
        [&[0x20, 1, 0xd, 0xb8], &[0; 11][..], &[1], &[0; 15], &[1], &[0, 80, 1, 0]].concat();
    let with_more = [&INET[..], &[4, 0, 2, 0, 0]].concat();
    let headers: [&[u8]; 6] = [
        LINE,
        b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
        &header(0x21, 0x11, &INET),
        &header(0x21, 0x11, &with_more),
        &header(0x21, 0x21, &inet6),
        // gunicorn takes a connection that nobody introduces, too.
        b"",
    ];
    for listens in [Listens::Tcp, Listens::Unix] {
        let servers = both(listens, &["--proxy-protocol"], "");
        for by in headers {
            assert_same(&servers, &introduced(by));
        }
    }
    let gateway = alone(&["--proxy-protocol"]);
    let facts = facts(&gateway, &introduced(LINE));
    let expected = [
        ("PROXY_PROTOCOL", "TCP4"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "56789"),
        ("PROXY_ADDR", "198.51.100.2"),
        ("PROXY_PORT", "443"),
        // It is the proxy whose word counts.
        ("wsgi.url_scheme", "https"),
    ];
    for (key, value) in expected {
        assert_eq!(facts[key], value, "{key}");
    }
}

#[test]
fn each_version_where_it_is_spoken() {
    let (one, two) = (introduced(LINE), introduced(&header(0x21, 0x11, &INET)));
    let expected = [("off", 400, 400), ("v1", 200, 400), ("v2", 400, 200), ("auto", 200, 200)];
    for (spoken, with_one, with_two) in expected {
        let flag = format!("--proxy-protocol={spoken}");
        for server in both(Listens::Tcp, &[&flag], "") {
            assert_eq!(status(&server, &one), Some(with_one), "{spoken}");
            assert_eq!(status(&server, &two), Some(with_two), "{spoken}");
            assert_eq!(status(&server, REQUEST), Some(200), "{spoken}");
        }
    }
    for server in both(Listens::Tcp, &[], "proxy_protocol = True\nproxy_allow_ips = '*'\n") {
        assert_eq!(status(&server, &one), Some(200));
    }
}

#[test]
fn not_everybody_may_say_it() {
    let servers = both(Listens::Tcp, &["--proxy-protocol", "--proxy-allow-from", "10.0.0.1"], "");
    for server in &servers {
        assert_eq!(status(server, &introduced(LINE)), Some(403));
        assert_eq!(status(server, &introduced(&header(0x21, 0x11, &INET))), Some(403));
        assert_eq!(status(server, REQUEST), Some(200), "for itself");
    }
    let line = servers[0].log.wait_for("Invalid request from ip=127.0.0.1: Request forbidden");
    assert!(
        line.ends_with("a PROXY line from 127.0.0.1, which is not among --proxy-allow-from"),
        "{line}"
    );
}

#[test]
fn what_is_no_introduction_is_refused() {
    let long = [b"PROXY TCP4 ", &[b'1'; 200][..]].concat();
    let huge = [&header(0x21, 0x11, &INET)[..14], &[0xff, 0xff]].concat();
    // With what gunicorn says: of version 2, its mistakes are its own.
    let broken: [(&[u8], Option<u16>); 9] = [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Some(400)),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", Some(400)),
        (b"PROXY TCP4 ::1 ::1 1 2\r\n", Some(400)),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1_0 2\r\n", Some(200)),
        (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", Some(400)),
        (&long, Some(400)),
        (&header(0x31, 0x11, &INET), Some(500)),
        (&header(0x21, 0x12, &INET), Some(500)),
        (&header(0x21, 0x11, &INET[..11]), Some(500)),
    ];
    let [ours, theirs] = both(Listens::Tcp, &["--proxy-protocol"], "");
    for (by, their) in broken {
        let text = by.escape_ascii();
        assert_eq!(status(&ours, &introduced(by)), Some(400), "{text}");
        assert_eq!(status(&theirs, &introduced(by)), their, "{text}");
    }
    assert_eq!(status(&ours, &huge), Some(400), "it is not waited for");
    ours.log.wait_for_nth("Invalid request from ip=127.0.0.1: Invalid PROXY ", broken.len() + 1);
}

/// A health check of the proxy's own, and a client that has no address: the connection's are what
/// there is. gunicorn puts `None` into environ for the one, and refuses the other, which the protocol
/// asks to accept.
#[test]
fn who_is_not_named_has_the_connections_address() {
    let [ours, theirs] = both(Listens::Tcp, &["--proxy-protocol"], "");
    let local = introduced(&header(0x20, 0, &[]));
    let unknown = introduced(b"PROXY UNKNOWN\r\n");
    for (bytes, protocol) in [(&local, "LOCAL"), (&unknown, "UNSPEC")] {
        let facts = facts(&ours, bytes);
        assert_eq!(facts["PROXY_PROTOCOL"], protocol);
        assert_eq!((&facts["REMOTE_ADDR"], facts.get("PROXY_ADDR")), (&"127.0.0.1".into(), None));
    }
    assert!(facts(&theirs, &local)["REMOTE_ADDR"].is_null());
    assert_eq!(status(&theirs, &unknown), Some(400));
}

/// On gunicorn only the first request of a connection has its client's address.
#[test]
fn it_holds_for_all_requests_of_a_connection() {
    let threads = ["--proxy-protocol", "--threads", "2"];
    let [ours, theirs] = both(Listens::Tcp, &threads, "");
    let addresses = |server: &Gateway| {
        let mut stream = server.connect();
        stream.write_all(LINE).unwrap();
        let mut address = || {
            stream.write_all(REQUEST).unwrap();
            let answer = Response::read(&mut stream).unwrap();
            let facts: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            facts["REMOTE_ADDR"].as_str().unwrap().to_owned()
        };
        [address(), address()]
    };
    assert_eq!(addresses(&ours), ["192.0.2.1", "192.0.2.1"]);
    assert_eq!(addresses(&theirs), ["192.0.2.1", "127.0.0.1"]);
}

#[test]
fn byte_by_byte_and_in_the_logs() {
    let gateway = alone(&["--proxy-protocol", "--access-logfile", "-"]);
    let mut stream = gateway.connect();
    for byte in introduced(&header(0x21, 0x11, &INET)) {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(Response::read(&mut stream).unwrap().status, 200);
    let line = gateway.output.wait_for("GET /a HTTP/1.1");
    assert!(line.starts_with("192.0.2.1 - - ["), "{line}");
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    gateway.log.wait_for("Invalid request from ip=192.0.2.1: ");
}

/// A proxy that passes TLS on has no key to speak inside of it. gunicorn looks there alone, and a
/// proxy that has the key may go on saying it there.
#[test]
fn before_tls_and_inside_of_it() {
    let gateway = secure::start(&["--proxy-protocol"]);
    let introduced_address = |session: &mut Session| {
        let text = session.get("/env").text();
        text.lines().find_map(|line| line.strip_prefix("REMOTE_ADDR=")).unwrap().to_owned()
    };
    let client = Client::new(&Wants::default());
    for by in [LINE.to_vec(), header(0x21, 0x11, &INET)] {
        let mut stream = gateway.connect();
        stream.write_all(&by).unwrap();
        let mut session = client.connect_over(stream).unwrap();
        assert_eq!(introduced_address(&mut session), "192.0.2.1");
        let mut session = client.connect(&gateway).unwrap();
        session.write_all(&by).unwrap();
        assert_eq!(introduced_address(&mut session), "192.0.2.1");
    }
    let mut session = client.connect(&gateway).unwrap();
    assert_eq!(introduced_address(&mut session), "127.0.0.1");
    // Once is enough: a client of the proxy's does not get to say it again.
    let mut stream = gateway.connect();
    stream.write_all(LINE).unwrap();
    let mut session = client.connect_over(stream).unwrap();
    session.write_all(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n").unwrap();
    assert_eq!(session.get("/env").status, 400);
    gateway.log.wait_for("Invalid request from ip=192.0.2.1: ");
}
