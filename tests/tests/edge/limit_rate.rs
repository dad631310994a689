//! `limit_rate` and `limit_rate_after`: what has come when the first pause begins.

use std::{
    io::{Read, Write},
    time::Duration,
};

use crate::{
    peer::Peer,
    server::{Edge, Site},
};

/// Long enough for what would be wrong to happen; what is right passes however long it takes.
const A_MOMENT: Duration = Duration::from_millis(400);

const SIZE: usize = 200_000;

/// The body's bytes that come before the first pause.
fn first(edge: &Edge, path: &str) -> usize {
    let mut client = edge.connect();
    client.set_read_timeout(Some(A_MOMENT)).expect("a timeout is set");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = Vec::new();
    let _pause = client.read_to_end(&mut answer);
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    answer.len() - head
}

#[test]
fn an_answer_is_held_back() {
    let site = Site::new();
    let file = "x".repeat(SIZE);
    site.write("www/a", &file);
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nX-Accel-Limit-Rate: 10\r\n\r\n");
    let _peer = Peer::says(site.listener("PORT1"), format!("{head}{file}"));
    let edge = Edge::start_in(
        site,
        "server {
            listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_rate_after 2000;
            location /off/ { alias %%DIR%%/www/; limit_rate 0; }
            location /copied/ { alias %%DIR%%/www/; limit_rate 10; }
            location /sent/ { alias %%DIR%%/www/; limit_rate 10; sendfile on; }
            location /nopush/ { alias %%DIR%%/www/; limit_rate 10; sendfile on; tcp_nopush on; }
            location /set/ { alias %%DIR%%/www/; set $limit_rate 10; }
            location /free/ { alias %%DIR%%/www/; limit_rate 10; set $limit_rate 0; }
            location /if/ { alias %%DIR%%/www/; if ($arg_slow) { limit_rate 10; } }
            location /asked/ { alias %%DIR%%/www/; limit_rate $arg_rate; limit_rate_after $arg_after; }
            location /proxy/ { proxy_pass http://127.0.0.1:%%PORT1%%; }
            location /ignored/ { proxy_pass http://127.0.0.1:%%PORT1%%;
                proxy_ignore_headers X-Accel-Limit-Rate; }
         }",
    );
    let whole = |path: &str| assert_eq!(first(&edge, path), SIZE, "{path}");
    let held = |path: &str, at_most: usize| {
        let came = first(&edge, path);
        assert!((1..=at_most).contains(&came), "{path}: {came}");
    };
    whole("/a");
    whole("/off/a");
    for path in ["/copied/a", "/sent/a", "/nopush/a", "/set/a", "/if/a?slow=1", "/proxy/a"] {
        // A file that is not copied goes by whole pages.
        held(path, 8192);
    }
    for path in ["/free/a", "/if/a", "/ignored/a", "/asked/a", "/asked/a?rate=x"] {
        whole(path);
    }
    held("/asked/a?rate=10&after=5k", 5300);
    whole("/asked/a?rate=10&after=1m");
    let log = edge.error_log();
    assert!(log.contains("invalid size \"x\""), "{log}");
}

#[test]
fn what_is_held_back_arrives() {
    let site = Site::new();
    let file: Vec<u8> = (0..30_000_u32).map(|number| (number % 251) as u8).collect();
    site.write("www/a", &file);
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_rate 20k; gzip_types *;
            location /sent/ { alias %%DIR%%/www/; sendfile on; }
            location /chunked/ { alias %%DIR%%/www/; gzip on; gzip_min_length 1; }
         }",
    );
    assert!(edge.get("/a").body == file);
    assert!(edge.get("/sent/a").body == file);
    let gzip = edge.request("GET", "/chunked/a", &["Accept-Encoding: gzip"], b"");
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
}

#[test]
fn a_client_that_leaves_in_between_is_noticed() {
    let site = Site::new();
    site.write("www/a", "x".repeat(SIZE));
    let mut edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_rate 10; }",
    );
    let mut client = edge.connect();
    client.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("the request is sent");
    client.read_exact(&mut [0]).expect("the beginning of an answer");
    drop(client);
    edge.wait_for_line("access.log", "\"GET /a HTTP/1.1\" 200 ");
}
