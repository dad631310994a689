//! FastCGI as other peers speak it.

use std::io::{Read, Write};

use fastcgi::{ClientConnection, ClientEvent, KeepConnection, ProtocolStatus, RequestWriter};

use crate::host::{Arrival, Host, Setup, begin};

#[test]
fn a_connection_that_is_not_kept_is_closed() {
    let host = Host::start("environ");
    let mut client = host.connect();
    let mut wire = Vec::new();
    let mut request = RequestWriter::begin(&mut wire, 1, KeepConnection::No);
    request.param(b"REQUEST_METHOD", b"GET");
    request.params_end();
    fastcgi::stdin_end(&mut wire, 1);
    client.send(&wire);
    assert_eq!(client.answer().status(), 200);
    assert!(matches!(client.next(), Arrival::Closed));
}

#[test]
fn values_are_told() {
    let host = Setup::of("environ").threads(3).start();
    let mut client = host.connect();
    let mut wire = Vec::new();
    fastcgi::get_values(&mut wire, &["FCGI_MAX_CONNS", "FCGI_MPXS_CONNS"]);
    client.send(&wire);
    let mut connection = ClientConnection::new();
    let mut input = bytes::BytesMut::new();
    let values = loop {
        let mut part = [0; 1000];
        let length = client.stream.read(&mut part).unwrap();
        assert!(length > 0);
        input.extend_from_slice(&part[..length]);
        if let Some(ClientEvent::Values(values)) = connection.next(&mut input).unwrap() {
            break values;
        }
    };
    assert_eq!(values.get(b"FCGI_MAX_CONNS"), Some(&b"3"[..]));
    assert_eq!(values.get(b"FCGI_MPXS_CONNS"), Some(&b"0"[..]));
    assert_eq!(client.get("/").status(), 200);
}

#[test]
fn an_abort_before_the_parameters_are_complete_is_answered() {
    let host = Host::start("environ");
    let mut client = host.connect();
    let mut wire = begin("/", &[])[..16].to_vec();
    fastcgi::abort_request(&mut wire, 1);
    client.send(&wire);
    let end = client.answer().end.unwrap();
    assert_eq!(end.protocol_status, ProtocolStatus::RequestComplete);
    assert_eq!(client.get("/").status(), 200);
}

#[test]
fn what_is_not_fastcgi_is_closed_and_said() {
    let host = Host::start("environ");
    let mut client = host.connect();
    client.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(matches!(client.next(), Arrival::Closed));
    let log = host.log();
    assert!(
        log.contains("[WARNING] Closing a connection: invalid FastCGI: record of version"),
        "{log}"
    );
    assert_eq!(host.get("/").status(), 200);
}

#[test]
fn threads_serve_at_the_same_time() {
    let host = Setup::of("stopping").threads(2).start();
    let mut first = host.connect();
    first.send(&begin("/body", &[]));
    assert!(matches!(first.next(), Arrival::Head(_)));
    // The first is inside its request; the other thread answers.
    let answer = host.get("/pid");
    assert!(answer.text().contains(" causeway-"), "{}", answer.text());
    first.stdin(b"more");
    first.stdin(b"");
    assert_eq!(first.answer().text(), "begun more");
}
