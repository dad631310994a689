//! gunicorn's signals, under load where it counts.

use std::fs;

use nix::{sys::signal::Signal, unistd::Pid};

use crate::stack::{
    Gateway, Habit, Listens, Load, Outcome, Setup, assert_none_lost, fixtures, start, start_on,
    wait_until_gone,
};

/// With a copy of the application that the test may change.
fn start_changeable(flags: &[&str]) -> Gateway {
    let mut all = vec!["app:application", "--workers", "2", "--log-level", "debug"];
    all.extend(flags);
    let setup = Setup::new(Listens::Unix, &all);
    let text = fs::read_to_string(fixtures().join("app.py")).unwrap();
    setup.write("app.py", &text);
    // Two versions within a second would share their compiled form.
    let mut setup = setup;
    setup.command.env("PYTHONDONTWRITEBYTECODE", "1");
    let gateway = setup.launch();
    gateway.log.wait_for_nth("Worker ready", 2);
    assert_eq!(gateway.get("/version").text(), "one", "{}", gateway.log.text());
    gateway
}

fn change(gateway: &Gateway, from: &str, to: &str) {
    let path = gateway.scratch().join("app.py");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn hup_brings_the_new_code_and_loses_nothing() {
    for habit in [Habit::KeepAlive, Habit::Close] {
        let gateway = start_changeable(&[]);
        let load = Load::start(gateway.place(), 4, habit, "/version");
        load.wait_for(50);
        change(&gateway, "VERSION = \"one\"", "VERSION = \"two\"");
        gateway.signal(Signal::SIGHUP);
        gateway.log.wait_for_nth("Worker exiting", 2);
        load.wait_for(50);
        let outcomes = load.finish();
        assert_none_lost(&outcomes, &gateway.log);
        let two = Outcome::Answer { status: 200, body: "two".to_owned() };
        assert_eq!(outcomes.last(), Some(&two));
        assert_eq!(gateway.get("/version").text(), "two");
        assert_eq!(gateway.booted().len(), 4);
    }
}

#[test]
fn hup_with_code_that_does_not_import_changes_nothing_and_says_why() {
    let gateway = start_changeable(&[]);
    let load = Load::start(gateway.place(), 2, Habit::KeepAlive, "/version");
    change(&gateway, "VERSION =", "VERSION ==");
    gateway.signal(Signal::SIGHUP);
    let line = gateway.log.wait_for("Reload failed, the old workers serve on. Reason: ");
    assert!(line.contains("NameError: name 'VERSION' is not defined"), "{line}");
    let lines = gateway.log.lines();
    // Requests are told of among the lines for whoever debugs.
    assert_eq!(lines.iter().rfind(|line| !line.contains("[DEBUG]")), Some(&line));
    load.wait_for(50);
    let outcomes = load.finish();
    assert_none_lost(&outcomes, &gateway.log);
    let one = Outcome::Answer { status: 200, body: "one".to_owned() };
    assert!(outcomes.iter().all(|outcome| *outcome == one));
    change(&gateway, "VERSION ==", "VERSION =");
    change(&gateway, "\"one\"", "\"three\"");
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for_nth("Worker exiting", 2);
    assert_eq!(gateway.get("/version").text(), "three");
}

#[test]
fn a_broken_replacement_does_not_end_the_service() {
    let gateway = start_changeable(&[]);
    change(&gateway, "VERSION =", "VERSION ==");
    let worker = gateway.worker();
    nix::sys::signal::kill(Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    gateway.log.wait_for("Worker failed to boot, next try in");
    assert_eq!(gateway.get("/version").text(), "one");
    change(&gateway, "VERSION ==", "VERSION =");
    gateway.log.wait_for("Worker failed to boot");
    assert_eq!(gateway.get("/version").text(), "one");
}

#[test]
fn term_finishes_what_was_begun_and_what_waits() {
    let mut gateway = start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let held = gateway.begin(&format!("/held?gate={}", gate.path()));
    gateway.log.wait_for("held /held");
    let waiting: Vec<_> = (0..5).map(|_| gateway.begin("/version")).collect();
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_for("Handling signal: term");
    gate.open();
    assert_eq!(held.answer().text(), "released");
    for stream in waiting {
        let answer = stream.answer();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    }
    assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
}

#[test]
fn term_under_load_loses_nothing() {
    for habit in [Habit::KeepAlive, Habit::Close] {
        let mut gateway = start_on(Listens::Unix, &["--workers", "2"]);
        let load = Load::start(gateway.place(), 4, habit, "/version");
        load.wait_for(100);
        gateway.stop();
        assert_none_lost(&load.finish(), &gateway.log);
    }
}

#[test]
fn term_has_an_end() {
    let mut gateway = start(&["--workers", "1", "--graceful-timeout", "1"]);
    let held = gateway.begin("/endless");
    gateway.log.wait_for("endless /endless");
    gateway.stop();
    drop(held);
    gateway.booted().into_iter().for_each(wait_until_gone);
}

#[test]
fn int_and_quit_are_quick() {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let mut gateway = start(&["--workers", "2"]);
        let held = gateway.begin("/endless");
        gateway.log.wait_for("endless /endless");
        gateway.signal(signal);
        assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
        drop(held);
        gateway.booted().into_iter().for_each(wait_until_gone);
    }
}

#[test]
fn ttin_and_ttou_change_the_number() {
    let gateway = start(&["--workers", "1"]);
    gateway.signal(Signal::SIGTTIN);
    gateway.log.wait_for_nth("Booting worker", 2);
    gateway.signal(Signal::SIGTTOU);
    gateway.log.wait_for("Worker exiting");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.booted().len(), 2);
}

#[test]
fn without_workers_requests_wait_for_the_first() {
    let fixtures = fixtures();
    let chdir = ["--pythonpath", fixtures.to_str().unwrap(), "app:application", "--workers", "0"];
    let gateway = Setup::new(Listens::Tcp, &chdir).launch();
    let waiting = gateway.begin("/version");
    gateway.signal(Signal::SIGTTOU);
    gateway.log.wait_for("Handling signal: ttou");
    assert_eq!(gateway.booted().len(), 0);
    gateway.signal(Signal::SIGTTIN);
    assert_eq!(waiting.answer().text(), "one");
    assert_eq!(gateway.booted().len(), 1);
}

#[test]
fn usr1_opens_the_logs_anew() {
    let flags =
        ["--access-logfile", "access.log", "--error-logfile", "error.log", "--capture-output"];
    let fixtures = fixtures();
    let chdir = ["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    let gateway = Setup::new(Listens::Unix, &[&flags[..], &chdir].concat()).launch();
    let read = |name: &str| fs::read_to_string(gateway.scratch().join(name)).unwrap_or_default();
    // The log is a file, so the socket is how we know that it listens.
    while !gateway.scratch().join("app.sock").exists() {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    let place = crate::stack::Place::Unix(gateway.scratch().join("app.sock"));
    let ask = |target: &str| {
        let mut stream = loop {
            if let Ok(stream) = place.connect() {
                break stream;
            }
        };
        let request = format!("GET {target} HTTP/1.0\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        let answer = stream.answer();
        assert_eq!(answer.status, 200);
        answer.text()
    };
    let worker = ask("/?before").rsplit(' ').next().unwrap().to_owned();
    ask("/seen?before");
    for name in ["access.log", "error.log"] {
        fs::rename(gateway.scratch().join(name), gateway.scratch().join(format!("{name}.1")))
            .unwrap();
    }
    gateway.signal(Signal::SIGUSR1);
    while !gateway.scratch().join("access.log").exists() {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    // The worker hears of it by a signal of its own.
    let error_log = fs::canonicalize(gateway.scratch()).unwrap().join("error.log");
    while fs::read_link(format!("/proc/{worker}/fd/2")).unwrap() != error_log {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    ask("/seen?after");
    while !read("access.log").contains("/seen?after") {
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
    assert!(read("access.log.1").contains("/?before"));
    assert!(!read("access.log").contains("/?before"));
    assert!(read("error.log.1").contains("Handling signal: usr1"));
    assert!(read("error.log.1").contains("seen GET /seen?before"));
    assert!(!read("error.log.1").contains("seen GET /seen?after"));
    assert!(read("error.log").contains("seen GET /seen?after"));
}
