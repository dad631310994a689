//! `set_real_ip_from`: who is believed about whom.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use crate::{
    peer::Peer,
    server::{Edge, Site},
};

const SERVER: &str = r#"
    log_format who "$remote_addr $realip_remote_addr";
    limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;
    server {
        listen 127.0.0.1:%%PORT%%; listen unix:%%DIR%%/sock; root %%DIR%%/www;
        access_log %%DIR%%/who.log who;
        add_header X-Who "$remote_addr $remote_port $realip_remote_addr";
        location /one/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.0/8; }
        location /list/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;
            real_ip_header X-Forwarded-For; }
        location /deep/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.1; set_real_ip_from 10.0.0.0/8;
            real_ip_header X-Forwarded-For; real_ip_recursive on; }
        location /own/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.1; real_ip_header CF-Connecting-IP; }
        location /not/ { alias %%DIR%%/www/; set_real_ip_from 10.0.0.1; }
        location /unix/ { alias %%DIR%%/www/; set_real_ip_from unix:; }
        location /closed/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.1; deny 192.0.2.0/24; }
        location /limited/ { alias %%DIR%%/www/; set_real_ip_from 127.0.0.1; limit_req zone=one; }
        location /pass/ { set_real_ip_from 127.0.0.1; proxy_pass http://127.0.0.1:%%PORT1%%;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }
    }"#;

fn start() -> (Edge, Peer) {
    let site = Site::new();
    site.write("www/a", "x");
    let peer = Peer::says(site.listener("PORT1"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    (Edge::start_in(site, SERVER), peer)
}

#[test]
fn a_trusted_proxy_is_believed() {
    let (edge, _peer) = start();
    let check = |path: &str, fields: &[&str], expected: &str| {
        let response = edge.request("GET", path, fields, b"");
        let who = response.header("X-Who").expect("who asked").to_owned();
        let mut words = who.split(' ');
        let (address, _port, real) = (words.next(), words.next(), words.next());
        assert_eq!(address, Some(expected), "{path} {fields:?}: {who}");
        assert_eq!(real, Some("127.0.0.1"), "{path} {fields:?}: {who}");
    };
    check("/one/a", &["X-Real-IP: 192.0.2.1"], "192.0.2.1");
    check("/one/a", &["X-Real-IP: 2001:DB8::1"], "2001:db8::1");
    check("/one/a", &["X-Real-IP: [2001:db8::1]:80"], "2001:db8::1");
    check("/one/a", &["X-Real-IP: 192.0.2.1", "X-Real-IP: 192.0.2.2"], "192.0.2.1");
    check("/one/a", &[], "127.0.0.1");
    for nothing in ["unknown", "", "192.0.2.256", "192.0.2.1:99999", "localhost", "192.0.2.1;x"] {
        check("/one/a", &[&format!("X-Real-IP: {nothing}")], "127.0.0.1");
    }
    check("/own/a", &["CF-Connecting-IP: 192.0.2.1", "X-Real-IP: 192.0.2.2"], "192.0.2.1");
    // Who comes first in the list has said so himself.
    check("/list/a", &["X-Forwarded-For: 203.0.113.1, 192.0.2.1"], "192.0.2.1");
    check("/list/a", &["X-Forwarded-For: 192.0.2.1, 10.0.0.1"], "10.0.0.1");
    check("/deep/a", &["X-Forwarded-For: 203.0.113.1, 192.0.2.1, 10.0.0.1"], "192.0.2.1");
    check("/deep/a", &["X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 10.0.0.1"], "203.0.113.1");
    check("/deep/a", &["X-Forwarded-For: spoofed, 10.0.0.1"], "10.0.0.1");
    check("/not/a", &["X-Real-IP: 192.0.2.1"], "127.0.0.1");
    check("/unix/a", &["X-Real-IP: 192.0.2.1"], "127.0.0.1");
}

#[test]
fn over_a_unix_socket() {
    let (edge, _peer) = start();
    let mut client = UnixStream::connect(edge.site.path("sock")).expect("the server accepts");
    let request = b"GET /unix/a HTTP/1.0\r\nX-Real-IP: 192.0.2.1\r\n\r\n";
    client.write_all(request).expect("the request is sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("X-Who: 192.0.2.1  unix:\r\n"), "{answer}");
}

#[test]
fn everything_goes_by_the_address() {
    let (mut edge, peer) = start();
    let from = |path: &str, address: &str| {
        edge.request("GET", path, &[&format!("X-Real-IP: {address}")], b"").status
    };
    assert_eq!(from("/closed/a", "192.0.2.1"), 403);
    assert_eq!(from("/closed/a", "203.0.113.1"), 200);
    let limited = ["192.0.2.1", "192.0.2.1", "192.0.2.2"].map(|who| from("/limited/a", who));
    assert_eq!(limited, [200, 503, 200]);
    from("/pass/a", "192.0.2.7");
    let seen = peer.next();
    assert!(seen.head.contains("X-Forwarded-For: 192.0.2.7\r\n"), "{}", seen.head);
    edge.stop();
    let log = edge.error_log();
    assert!(log.contains("access forbidden by rule, client: 192.0.2.1"), "{log}");
    let who = edge.site.read("who.log");
    assert!(who.contains("203.0.113.1 127.0.0.1\n"), "{who}");
}

/// A connection that is kept belongs to its proxy: each request says anew for whom.
#[test]
fn the_next_request_is_another_ones() {
    let (edge, _peer) = start();
    let answers = edge.raw(
        b"GET /one/a HTTP/1.1\r\nHost: x\r\nX-Real-IP: 192.0.2.1\r\n\r\n\
          GET /one/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    let answers = String::from_utf8_lossy(&answers).into_owned();
    assert!(answers.contains("X-Who: 192.0.2.1  127.0.0.1\r\n"), "{answers}");
    assert!(answers.contains("X-Who: 127.0.0.1 "), "{answers}");
}
