//! Signals and the lifeline.

use std::fs;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;

use crate::host::{Arrival, Host, Setup, begin};

/// A request that has begun, and waits for its body.
fn in_request(host: &Host) -> crate::host::Client {
    let mut client = host.connect();
    client.send(&begin("/body", &[]));
    assert!(matches!(client.next(), Arrival::Head(_)));
    client
}

#[test]
fn term_finishes_what_is_in_hand() {
    let mut host = Setup::of("stopping").threads(3).start();
    let mut idle = host.connect();
    assert_eq!(idle.get("/pid").status(), 200);
    let mut busy = in_request(&host);
    host.signal(Signal::SIGTERM);
    // The idle one is closed; only then is it known that stopping has begun.
    assert!(matches!(idle.next(), Arrival::Closed));
    busy.stdin(b"to the end");
    busy.stdin(b"");
    let answer = busy.answer();
    assert_eq!((answer.text(), answer.app_status()), ("begun to the end", 0));
    assert!(matches!(busy.next(), Arrival::Closed));
    assert_eq!(host.wait().code(), Some(0));
    assert_eq!(host.log(), "");
}

#[test]
fn term_turns_nobody_away_who_had_connected() {
    let mut host = Host::start("stopping");
    let mut busy = in_request(&host);
    let mut waiting = host.connect();
    let mut wire = begin("/pid", &[]);
    fastcgi::stdin_end(&mut wire, 1);
    waiting.send(&wire);
    host.signal(Signal::SIGTERM);
    // From now on nobody can; by that it is known that stopping has begun.
    while UnixStream::connect(&host.socket).is_ok() {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    busy.stdin(b"to the end");
    busy.stdin(b"");
    assert_eq!(busy.answer().text(), "begun to the end");
    assert_eq!(waiting.answer().status(), 200);
    assert!(matches!(waiting.next(), Arrival::Closed));
    assert_eq!(host.wait().code(), Some(0));
    assert_eq!(host.log(), "");
}

#[test]
fn term_without_requests_ends_it() {
    let mut host = Setup::of("stopping").threads(2).start();
    host.signal(Signal::SIGTERM);
    assert_eq!(host.wait().code(), Some(0));
}

#[test]
fn quit_ends_it_in_the_middle() {
    let mut host = Host::start("stopping");
    let mut busy = in_request(&host);
    host.signal(Signal::SIGQUIT);
    assert_eq!(host.wait().code(), Some(0));
    assert!(busy.answer().end.is_none());
}

#[test]
fn quit_ends_what_term_waits_for() {
    let mut host = Setup::of("stopping").threads(2).start();
    let mut idle = host.connect();
    assert_eq!(idle.get("/pid").status(), 200);
    let mut busy = host.connect();
    busy.send(&begin("/hang", &[]));
    assert!(matches!(busy.next(), Arrival::Head(_)));
    host.signal(Signal::SIGTERM);
    assert!(matches!(idle.next(), Arrival::Closed));
    host.signal(Signal::SIGQUIT);
    assert_eq!(host.wait().code(), Some(0));
}

#[test]
fn an_interrupt_under_a_gateway_is_the_gateways() {
    let mut host = Host::start("stopping");
    host.signal(Signal::SIGINT);
    assert_eq!(host.get("/pid").status(), 200);
    host.signal(Signal::SIGTERM);
    assert_eq!(host.wait().code(), Some(0));
}

#[test]
fn without_its_gateway_it_finishes_and_leaves() {
    let mut host = Host::start("stopping");
    let mut busy = in_request(&host);
    host.lifeline = None;
    busy.stdin(b"to the end");
    busy.stdin(b"");
    assert_eq!(busy.answer().text(), "begun to the end");
    assert_eq!(host.wait().code(), Some(0));
}

#[test]
fn an_abort_says_where_every_thread_was() {
    let mut host = Host::start("stopping");
    assert!(host.get("/abort").end.is_none());
    assert!(!host.wait().success());
    let log = host.log();
    assert!(log.contains("Fatal Python error: Aborted"), "{log}");
    assert!(log.contains("stopping.py\", line "), "{log}");
}

#[test]
fn usr1_opens_the_log_anew() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("error.log");
    fs::write(&path, "before\n").unwrap();
    let mut setup = Setup::of("errors");
    setup.environment = vec![("CAUSEWAY_ERRORLOG".into(), path.to_str().unwrap().into())];
    let host = setup.start();
    let link = format!("/proc/{}/fd/2", host.child.id());
    // At the end of its start it opened the log itself: a signal before that may have been missed.
    assert_eq!(fs::read_link(&link).unwrap(), path);
    fs::rename(&path, scratch.path().join("old.log")).unwrap();
    host.signal(Signal::SIGUSR1);
    while fs::read_link(&link).unwrap() != path {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    assert_eq!(host.get("/lines").status(), 200);
    assert!(!fs::read_to_string(&path).unwrap().is_empty());
    assert_eq!(fs::read_to_string(scratch.path().join("old.log")).unwrap(), "before\n");
}

#[test]
fn usr1_without_a_log_of_its_own_changes_nothing() {
    let host = Host::start("stopping");
    host.signal(Signal::SIGUSR1);
    assert_eq!(host.get("/pid").status(), 200);
    // Its folder is gone: the log stays what it is, and says why.
    let mut setup = Setup::of("stopping");
    setup.environment = vec![("CAUSEWAY_ERRORLOG".into(), "/nowhere/error.log".into())];
    let host = setup.start();
    assert!(
        host.log().contains("\"/nowhere/error.log\" can not be opened anew: "),
        "{}",
        host.log()
    );
}
