//! HUP: a new configuration without a lost request, and a broken one without a change.

use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::server::{Edge, Site};

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
