//! `upstream`: who is asked, who is left alone, and which connections are kept.

use crate::{
    peer::{After, Peer, Seen, ok},
    server::{Edge, Site, is_nginx},
};

/// A peer that answers with its own name.
fn named(site: &Site, placeholder: &str, name: &'static str) -> Peer {
    Peer::tcp(site.listener(placeholder), move |_, wire| {
        wire.write_all(&ok(name)).expect("the edge listens");
        After::Keep
    })
}

/// One thread, so that one order is what everybody sees.
fn start(site: Site, http: &str) -> Edge {
    let config = site.config(http).replace("worker_processes 2", "worker_processes 1");
    Edge::start_whole(site, &config)
}

fn ask(edge: &Edge, times: usize) -> String {
    (0..times).map(|_| edge.get("/").text().to_owned()).collect()
}

const SERVER: &str = "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://u; } }";

#[test]
fn weights_and_turns() {
    let site = Site::new();
    let _peers = [named(&site, "PORT1", "a"), named(&site, "PORT2", "b")];
    let block = "upstream u { server 127.0.0.1:%%PORT1%% weight=3; server 127.0.0.1:%%PORT2%%; }";
    let edge = start(site, &format!("{block} {SERVER}"));
    assert_eq!(ask(&edge, 8), "aabaaaba");
}

#[test]
fn backups_are_for_when_nobody_else_is_there() {
    let site = Site::new();
    let _peers = [named(&site, "PORT2", "b"), named(&site, "PORT3", "c")];
    let block = "upstream u { server 127.0.0.1:%%PORT1%%; server 127.0.0.1:%%PORT2%% backup; server 127.0.0.1:%%PORT3%% down; }";
    let edge = start(site, &format!("{block} {SERVER}"));
    assert_eq!(ask(&edge, 4), "bbbb");
    let log = edge.error_log();
    let refused = log.matches("connect() failed (111: Connection refused)").count();
    assert_eq!(refused, 1, "one failure, and it is left alone: {log}");
    assert!(log.contains("upstream server temporarily disabled"), "{log}");
}

#[test]
fn nobody_left() {
    let block = "upstream u { server 127.0.0.1:%%PORT1%%; server 127.0.0.1:%%PORT2%%; }
        log_format u '$upstream_addr|$upstream_status'; access_log %%DIR%%/u.log u;";
    let mut edge = start(Site::new(), &format!("{block} {SERVER}"));
    assert_eq!(edge.get("/").status, 502);
    assert_eq!(edge.get("/").status, 502);
    assert!(edge.error_log().contains("no live upstreams while connecting to upstream"));
    let (one, two) = (edge.site.port("PORT1"), edge.site.port("PORT2"));
    edge.wait_for_line("u.log", &format!("127.0.0.1:{one}, 127.0.0.1:{two}|502, 502"));
    edge.wait_for_line("u.log", "u|502");
}

#[test]
fn hashes_send_the_same_to_the_same() {
    let site = Site::new();
    let _peers =
        [named(&site, "PORT1", "a"), named(&site, "PORT2", "b"), named(&site, "PORT3", "c")];
    let servers =
        "server 127.0.0.1:%%PORT1%%; server 127.0.0.1:%%PORT2%%; server 127.0.0.1:%%PORT3%%;";
    let edge = start(
        site,
        &format!(
            "upstream h {{ hash $arg_k; {servers} }} upstream k {{ hash $arg_k consistent; {servers} }}
             upstream i {{ ip_hash; {servers} }} upstream l {{ least_conn; {servers} }} upstream r {{ random two; {servers} }}
             server {{ listen 127.0.0.1:%%PORT%%;
               location /h {{ proxy_pass http://h; }} location /k {{ proxy_pass http://k; }}
               location /i {{ proxy_pass http://i; }} location /l {{ proxy_pass http://l; }}
               location /r {{ proxy_pass http://r; }} }}"
        ),
    );
    let get = |path: &str| edge.get(path).text().to_owned();
    // nginx's own hash: the very same peers.
    let order: String = (1..=8).map(|key| get(&format!("/h?k={key}"))).collect();
    assert_eq!(order, (1..=8).map(|key| get(&format!("/h?k={key}"))).collect::<String>());
    assert_eq!(order, HASHED);
    let first = get("/k?k=x");
    assert!((0..5).all(|_| get("/k?k=x") == first));
    let first = get("/i");
    assert!((0..5).all(|_| get("/i") == first));
    assert_eq!(get("/l") + &get("/l") + &get("/l"), "abc");
    assert_eq!(get("/r").len(), 1);
}

/// Which peer the keys 1 to 8 are sent to by nginx 1.22.
const HASHED: &str = "bcbabaac";

fn kept(keepalive: &str) -> (Edge, Peer) {
    let site = Site::new();
    let peer = named(&site, "PORT1", "a");
    let edge = start(
        site,
        &format!(
            "upstream u {{ server 127.0.0.1:%%PORT1%%; {keepalive} }}
             server {{ listen 127.0.0.1:%%PORT%%;
               location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}"
        ),
    );
    (edge, peer)
}

fn connections(edge: &Edge, peer: &Peer, times: usize) -> Vec<usize> {
    let one = |_| {
        assert_eq!(edge.get("/").status, 200);
        peer.next().connection
    };
    (0..times).map(one).collect()
}

#[test]
fn connections_are_kept() {
    let (edge, peer) = kept("keepalive 1;");
    assert_eq!(connections(&edge, &peer, 3), [0, 0, 0]);
    let (edge, peer) = kept("keepalive 1; keepalive_requests 2;");
    assert_eq!(connections(&edge, &peer, 4), [0, 0, 1, 1]);
    if is_nginx() {
        return; // What follows has been nginx's since 1.29.7.
    }
    let (edge, peer) = kept("");
    assert_eq!(connections(&edge, &peer, 2), [0, 0]);
    let (edge, peer) = kept("keepalive 0;");
    assert_eq!(connections(&edge, &peer, 2), [0, 1]);
}

#[test]
fn an_address_by_itself_keeps_no_connection() {
    let site = Site::new();
    let peer = named(&site, "PORT1", "a");
    let edge = start(
        site,
        "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    assert_eq!(connections(&edge, &peer, 2), [0, 1]);
}

#[test]
fn a_kept_connection_that_was_closed_is_nobodys_fault() {
    let site = Site::new();
    // Answers one request of each connection, and closes on reading the second.
    let peer = Peer::tcp(site.listener("PORT1"), |seen: &Seen, wire| {
        if seen.number > 0 {
            return After::Close;
        }
        wire.write_all(&ok("a")).expect("the edge listens");
        After::Keep
    });
    let edge = start(
        site,
        "upstream u { server 127.0.0.1:%%PORT1%% max_fails=1; keepalive 4; }
         server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; } }",
    );
    for _ in 0..4 {
        assert_eq!(edge.get("/").status, 200);
    }
    let asked: Vec<_> =
        (0..7).map(|_| peer.next()).map(|seen| (seen.connection, seen.number)).collect();
    assert_eq!(asked, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]);
}

#[test]
fn bytes_after_the_answer_belong_to_no_other() {
    let site = Site::new();
    let peer = Peer::tcp(site.listener("PORT1"), |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            .expect("the edge listens");
        After::Keep
    });
    let edge = start(
        site,
        "upstream u { server 127.0.0.1:%%PORT1%%; keepalive 4; }
         server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; } }",
    );
    assert_eq!(ask(&edge, 3), "aaa");
    assert_eq!([peer.next(), peer.next(), peer.next()].map(|seen| seen.connection), [0, 1, 2]);
}

#[test]
fn the_story_is_told_by_variables() {
    let site = Site::new();
    let _peer = Peer::says(
        site.listener("PORT2"),
        "HTTP/1.1 201 Created\r\nX-Some-Thing: yes\r\nSet-Cookie: sid=abc; Path=/\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    );
    let mut edge = start(
        site,
        "upstream u { server 127.0.0.1:%%PORT1%%; server 127.0.0.1:%%PORT2%%; }
         log_format u '$upstream_addr|$upstream_status|$upstream_response_length|$upstream_http_x_some_thing|$upstream_cookie_sid|$proxy_host|';
         log_format t '$upstream_connect_time,$upstream_header_time,$upstream_response_time';
         access_log %%DIR%%/u.log u; access_log %%DIR%%/t.log t;
         server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://u; } }",
    );
    assert_eq!(edge.get("/").status, 201);
    let (one, two) = (edge.site.port("PORT1"), edge.site.port("PORT2"));
    let line = format!("127.0.0.1:{one}, 127.0.0.1:{two}|502, 201|0, 5|yes|abc|u|\n");
    edge.wait_for_line("u.log", &line);
    edge.wait_for_line("t.log", "\n");
    let times = edge.site.read("t.log");
    assert!(times.starts_with("-, 0.0"), "{times}");
}

#[test]
fn what_an_upstream_may_not_be() {
    let refused = |http: &str| {
        let site = Site::new();
        site.write("nginx.conf", site.config(http));
        let output = site.run(&["-t"]);
        assert!(!output.status.success(), "{http}");
        String::from_utf8_lossy(&output.stderr).into_owned() + &site.read("error.log")
    };
    assert!(
        refused(&format!("upstream u {{ }} {SERVER}")).contains("no servers are inside upstream")
    );
    let twice = "upstream u { server 127.0.0.1; } upstream u { server 127.0.0.1; }";
    assert!(refused(twice).contains("duplicate upstream \"u\""));
    let odd = format!("upstream u {{ server 127.0.0.1 wait=3; }} {SERVER}");
    assert!(refused(&odd).contains("invalid parameter \"wait=3\""));
    if !is_nginx() {
        let sticky = format!("upstream u {{ server 127.0.0.1; sticky cookie x; }} {SERVER}");
        assert!(refused(&sticky).contains("the edge does not yet"));
    }
}
