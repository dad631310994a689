//! 101: from then on the connection belongs to what it was upgraded to.

use std::{
    io::{Read, Write},
    sync::mpsc::sync_channel,
};

use crate::{
    peer::{After, Peer},
    server::{Edge, PATIENCE, Site},
};

#[test]
fn bytes_go_both_ways_until_one_has_said_its_last() {
    let site = Site::new();
    let (end, ended) = sync_channel(1);
    let peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
        wire.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nwelcome ",
        )
        .expect("the edge listens");
        let mut buffer = [0; 1024];
        loop {
            match wire.read(&mut buffer).expect("the edge is there") {
                0 => break,
                read => wire.write_all(&buffer[..read]).expect("the edge listens"),
            }
        }
        end.send(()).expect("the test waits");
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_http_version 1.1;
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }",
    );
    let mut client = edge.connect();
    client
        .write_all(
            b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello ",
        )
        .unwrap();
    let seen = peer.next();
    assert_eq!(
        (seen.header("upgrade"), seen.header("connection")),
        (Some("echo"), Some("upgrade"))
    );
    let mut text = Vec::new();
    let until = |client: &mut std::net::TcpStream, ending: &[u8], text: &mut Vec<u8>| {
        while !text.ends_with(ending) {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("more comes");
            text.push(byte[0]);
        }
    };
    until(&mut client, b"hello ", &mut text);
    let head = String::from_utf8_lossy(&text).into_owned();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: upgrade\r\n"), "{head}");
    assert!(head.contains("\r\nUpgrade: echo\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\nwelcome hello "), "{head}");
    client.write_all(b"again").unwrap();
    until(&mut client, b"again", &mut text);
    drop(client);
    ended.recv_timeout(PATIENCE).expect("the upstream hears that the client has left");
}

#[test]
fn a_refused_upgrade_is_an_answer() {
    let site = Site::new();
    let _peer = Peer::says(
        site.listener("PORT1"),
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
    );
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_http_version 1.1;
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }",
    );
    let response = edge.request("GET", "/", &["Upgrade: websocket"], b"");
    assert_eq!((response.status, response.text()), (403, "no"));
}
