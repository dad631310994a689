//! HUP: a new configuration without a lost request, and a broken one without a change.

use std::{net::TcpStream, time::Instant};

use nix::sys::signal::Signal;

use crate::server::{Edge, PATIENCE, Site, is_nginx};

fn answering(word: &str, port: &str) -> String {
    format!("server {{ listen 127.0.0.1:%%{port}%%; location / {{ return 200 {word}; }} }}")
}

pub(crate) fn reload(edge: &mut Edge, http: &str) {
    let config = edge.site.config(http);
    edge.site.write("nginx.conf", config);
    let before = edge.error_log().matches("exited with code 0").count();
    edge.signal(Signal::SIGHUP);
    while edge.error_log().matches("exited with code 0").count() == before {
        crate::server::pause();
    }
}

#[test]
fn a_new_configuration_takes_over() {
    let mut edge = Edge::start(&answering("old", "PORT"));
    assert_eq!(edge.get("/").text(), "old");
    let old = edge.children();
    reload(&mut edge, &answering("new", "PORT"));
    assert_eq!(edge.get("/").text(), "new");
    assert!(edge.children().iter().all(|worker| !old.contains(worker)));
    let log = edge.error_log();
    assert!(log.contains("signal 1 (SIGHUP) received from "), "{log}");
    assert!(log.contains(", reconfiguring\n"), "{log}");
    assert!(edge.stop().success());
}

#[test]
fn a_broken_configuration_changes_nothing() {
    let mut edge = Edge::start(&answering("old", "PORT"));
    let config = edge.site.config("server { listen 127.0.0.1:%%PORT%%; gone; }");
    edge.site.write("nginx.conf", config);
    edge.signal(Signal::SIGHUP);
    edge.wait_for_line("error.log", "[emerg]");
    let log = edge.error_log();
    let last = log.lines().last().unwrap();
    assert!(last.contains("[emerg] ") && last.contains("unknown directive \"gone\" in "), "{log}");
    assert_eq!(edge.get("/").text(), "old");
    assert!(edge.stop().success());
}

/// What is only found out when the file is put to use, and what had been opened by then.
#[test]
fn a_configuration_that_can_not_be_used_changes_nothing() {
    let site = Site::new();
    site.write("bad.crt", "no certificate");
    site.write("bad.key", "no key");
    let _taken = site.listener("PORT1");
    site.port("PORT2");
    let mut edge = Edge::start_in(site, &answering("old", "PORT"));
    while edge.children().len() < if is_nginx() { 2 } else { 1 } {
        crate::server::pause();
    }
    let workers = edge.children();
    for (line, message) in [
        ("listen 127.0.0.1:%%PORT1%%;", "127.0.0.1:%%PORT1%% failed (98: Address already in use)"),
        (
            "listen 127.0.0.1:%%PORT2%% ssl; ssl_certificate bad.crt; ssl_certificate_key bad.key;",
            "bad.crt",
        ),
        (
            "listen 127.0.0.1:%%PORT2%% ssl; ssl_certificate none.crt; ssl_certificate_key none.key;",
            "none.crt",
        ),
        (
            "listen 127.0.0.1:%%PORT2%%; location / { proxy_pass http://missing.invalid; }",
            "host not found in upstream \"missing.invalid\" in ",
        ),
        ("listen 127.0.0.1:%%PORT2%%; include none.conf;", "none.conf"),
        ("listen 127.0.0.1:%%PORT2%%; access_log %%DIR%%/none/access.log;", "none/access.log"),
        ("listen 127.0.0.1:%%PORT2%%; location / { ", "unexpected end of file"),
    ] {
        let other = answering("new", "PORT");
        let config = edge.site.config(&format!("{other} server {{ {line} }}"));
        edge.site.write("nginx.conf", config);
        let told = edge.error_log().matches("[emerg]").count();
        edge.signal(Signal::SIGHUP);
        let message = edge.site.fill(message);
        let deadline = Instant::now() + PATIENCE;
        let found = loop {
            let log = edge.error_log();
            if let Some(line) = log.lines().filter(|line| line.contains("[emerg]")).nth(told) {
                break line.to_owned();
            }
            assert!(Instant::now() < deadline, "{line}: {log}");
            crate::server::pause();
        };
        assert!(found.contains(&message), "{line}: {found}");
        if line.contains("%%PORT1%%") {
            // It is tried again for a while before it is given up.
            edge.wait_for_line("error.log", "still could not bind()");
        }
        assert_eq!(edge.get("/").text(), "old", "{line}");
        assert_eq!(edge.children(), workers, "{line}");
        let port = edge.site.port("PORT2");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{line}: it is open");
    }
    // And one that can be used is.
    reload(&mut edge, &answering("new", "PORT"));
    assert_eq!(edge.get("/").text(), "new");
    assert!(edge.stop().success());
}

#[test]
fn sockets_are_opened_and_closed() {
    let site = Site::new();
    site.port("PORT1");
    let mut edge = Edge::start_in(site, &answering("one", "PORT"));
    reload(&mut edge, &answering("two", "PORT1"));
    let response = edge.request_to("PORT1", "GET", "/", &[], b"");
    assert_eq!(response.text(), "two");
    let refused = TcpStream::connect(("127.0.0.1", edge.site.port("PORT")));
    assert!(refused.is_err(), "the old port is still open");
    assert!(edge.stop().success());
}

#[test]
fn a_unix_socket_that_is_no_longer_named_is_removed() {
    let plain = answering("ok", "PORT");
    let mut edge = Edge::start(&format!("{plain} server {{ listen unix:%%DIR%%/a.sock; }}"));
    assert!(edge.site.path("a.sock").exists());
    reload(&mut edge, &plain);
    assert!(!edge.site.path("a.sock").exists());
}

#[test]
fn no_request_is_lost_by_reloading() {
    let mut edge = Edge::start(&answering("ok", "PORT"));
    for _ in 0..5 {
        let before = edge.error_log().matches("exited with code 0").count();
        edge.signal(Signal::SIGHUP);
        let mut answered = 0;
        while edge.error_log().matches("exited with code 0").count() == before || answered < 20 {
            assert_eq!(edge.get("/").text(), "ok");
            answered += 1;
        }
    }
    assert!(edge.stop().success());
    assert!(!edge.error_log().contains("[alert]"), "{}", edge.error_log());
}
