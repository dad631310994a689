//! `limit_conn`. Requests are held by an answer that leaves slowly.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use nix::sys::signal::{Signal, kill};

use crate::server::{Edge, Site, is_nginx, pause};

const SERVER: &str = "
    server {
        listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
        limit_conn one 1;
        location /slow/ { alias %%DIR%%/www/; limit_rate 1; }
        location /two/ { alias %%DIR%%/www/; limit_conn one 2; add_header X $limit_conn_status; }
        location /own/ { alias %%DIR%%/www/; limit_conn_status 429; limit_conn_log_level warn; }
        location /dry/ { alias %%DIR%%/www/; limit_conn_dry_run on; add_header X $limit_conn_status; }
        location /other/ { alias %%DIR%%/www/; limit_conn other 5; limit_conn one 1; }
        location /page/ { alias %%DIR%%/www/; error_page 404 /two/a; }
    }";

fn start() -> Edge {
    let site = Site::new();
    site.write("www/a", "x".repeat(1000));
    let zones = "limit_conn_zone $arg_key zone=one:1m; limit_conn_zone $host zone=other:1m;";
    Edge::start_in(site, &format!("{zones} {SERVER}"))
}

/// A request that is being answered, for as long as this is kept.
fn hold(edge: &Edge, path: &str) -> TcpStream {
    let mut client = edge.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(request.as_bytes()).expect("the request is sent");
    client.read_exact(&mut [0]).expect("the beginning of an answer");
    client
}

fn wait_for(edge: &Edge, path: &str, status: u16) {
    while edge.get(path).status != status {
        pause();
    }
}

#[test]
fn a_key_has_so_many_at_once() {
    let edge = start();
    let held = hold(&edge, "/slow/a?key=1");
    let check = |path: &str, status: u16, said: Option<&str>| {
        let response = edge.get(path);
        assert_eq!((response.status, response.header("X")), (status, said), "{path}");
    };
    check("/a?key=1", 503, None);
    check("/own/a?key=1", 429, None);
    check("/dry/a?key=1", 200, Some("REJECTED_DRY_RUN"));
    check("/two/a?key=1", 200, Some("PASSED"));
    check("/a?key=2", 200, None);
    check("/two/a", 200, None);
    drop(held);
    wait_for(&edge, "/a?key=1", 200);
    let log = edge.error_log();
    for line in [
        "[error] ",
        "[warn] ",
        "limiting connections by zone \"one\", client: 127.0.0.1",
        "limiting connections, dry run, by zone \"one\"",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn what_one_zone_refuses_is_counted_in_none() {
    let edge = start();
    let held = hold(&edge, "/slow/a?key=1");
    for _ in 0..10 {
        assert_eq!(edge.get("/other/a?key=1").status, 503);
    }
    assert_eq!(edge.get("/other/a?key=2").status, 200);
    drop(held);
}

#[test]
fn a_request_is_counted_once_however_often_it_starts_over() {
    let edge = start();
    for _ in 0..3 {
        let response = edge.get("/page/missing?key=1");
        assert_eq!((response.status, response.header("X")), (404, None));
    }
}

#[test]
fn what_an_old_worker_answers_is_counted_by_the_new_one() {
    let mut edge = start();
    let held = hold(&edge, "/slow/a?key=1");
    let old = edge.children();
    edge.signal(Signal::SIGHUP);
    while edge.children().iter().all(|worker| old.contains(worker)) {
        pause();
    }
    // Whoever accepts this, the held one is counted.
    for _ in 0..5 {
        assert_eq!(edge.get("/a?key=1").status, 503);
    }
    drop(held);
    wait_for(&edge, "/a?key=1", 200);
    edge.stop();
}

/// nginx goes on counting those of a worker that was killed.
#[test]
fn a_worker_that_was_killed_holds_nothing() {
    if is_nginx() {
        return;
    }
    let mut edge = start();
    let _held = hold(&edge, "/slow/a?key=1");
    assert_eq!(edge.get("/a?key=1").status, 503);
    for worker in edge.children() {
        kill(worker, Signal::SIGKILL).expect("a worker of ours");
    }
    edge.wait_for_line("error.log", "exited on signal 9");
    let old = edge.children();
    while edge.children() == old && old.is_empty() {
        pause();
    }
    wait_for(&edge, "/a?key=1", 200);
}
