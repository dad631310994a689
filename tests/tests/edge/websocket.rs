//! 101: from then on the connection belongs to what it was upgraded to.

use std::{
    io::{Read, Write},
    sync::mpsc::sync_channel,
};

use crate::{
    peer::{After, Peer},
    server::{Edge, PATIENCE, Site, is_nginx},
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

/// A server whose peer says 101 to whoever asks, and these bytes, and closes.
fn switching(rest: &'static str) -> (Edge, Peer) {
    let site = Site::new();
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n{rest}"
    );
    let peer = Peer::says(site.listener("PORT1"), response);
    let edge = Edge::start_in(
        site,
        "log_format sent '$status $body_bytes_sent'; access_log %%DIR%%/sent.log sent;
         server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_http_version 1.1;
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } }",
    );
    (edge, peer)
}

#[test]
fn the_end_of_the_tunnel_is_the_end_of_the_connection() {
    let (mut edge, _peer) = switching("and no more");
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n";
    // Reads until it is closed.
    let answer = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nand no more"), "{answer}");
    edge.wait_for_line("sent.log", "101 11\n");
}

/// Bytes after a 101 that no client asked for would be read as the answer to its next request.
#[test]
fn nothing_follows_a_101_that_nobody_asked_for() {
    if is_nginx() {
        return; // 1.22 passes on what follows.
    }
    let (mut edge, _peer) = switching("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
    let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = String::from_utf8_lossy(&edge.raw(request.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.1 101 ") && !answer.contains("bad"), "{answer}");
    edge.wait_for_line("sent.log", "101 0\n");
}
