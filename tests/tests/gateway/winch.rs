//! WINCH: a master without workers, whose clients are another master's.

use nix::sys::signal::Signal;

use crate::{
    daemon::{Daemon, setup},
    stack::{Habit, Load, Outcome, Place, start, wait_until},
};

#[test]
fn a_daemon_does_without_workers_until_hup() {
    let (daemon, _) = Daemon::start(setup(&["--workers", "2"]));
    daemon.wait_for("Worker ready", 2);
    daemon.signal(Signal::SIGWINCH);
    daemon.wait_for("graceful stop of workers", 1);
    daemon.wait_for("Worker exiting", 2);
    // In the kernel's queue, for whoever has the same socket.
    let waiting = daemon.begin("/version");
    daemon.signal(Signal::SIGHUP);
    assert_eq!(waiting.answer().text(), "one");
    daemon.wait_for("Worker ready", 4);
    assert_eq!(daemon.get("/version"), "one");
}

#[test]
fn what_is_in_hand_is_finished_first() {
    let (daemon, _) = Daemon::start(setup(&["--workers", "1", "--capture-output"]));
    let gate = daemon.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let held = daemon.begin(&format!("/held?gate={}", gate.display()));
    daemon.wait_for("held /held", 1);
    daemon.signal(Signal::SIGWINCH);
    daemon.wait_for("graceful stop of workers", 1);
    std::fs::write(&gate, "open").unwrap();
    assert_eq!(held.answer().text(), "released");
    daemon.wait_for("Worker exiting", 1);
    let waiting = daemon.begin("/version");
    daemon.signal(Signal::SIGTTIN);
    assert_eq!(waiting.answer().text(), "one");
}

#[test]
fn in_a_terminal_it_is_only_a_window_that_changed() {
    let gateway = start(&["--workers", "1"]);
    gateway.signal(Signal::SIGWINCH);
    gateway.log.wait_for("SIGWINCH ignored. Not daemonized");
    assert_eq!(gateway.get("/version").text(), "one");
    assert_eq!(gateway.log.count("Worker exiting"), 0);
}

/// As gunicorn's manual has it: USR2, WINCH to the old one, TERM to the old one.
#[test]
fn an_upgrade_step_by_step_loses_no_request() {
    for habit in [Habit::KeepAlive, Habit::Close] {
        let (old, _) = Daemon::start(setup(&["--workers", "1"]));
        old.wait_for("Worker ready", 1);
        let load = Load::start(&Place::Unix(old.path("app.sock")), 4, habit, "/version");
        load.wait_for(50);
        old.signal(Signal::SIGUSR2);
        old.wait_for("Worker ready", 2);
        let new = std::fs::read_to_string(old.path("gateway.pid.2")).unwrap();
        let new: i32 = new.trim().parse().unwrap();
        load.wait_for(50);
        old.signal(Signal::SIGWINCH);
        old.wait_for("Worker exiting", 1);
        // The new one alone.
        load.wait_for(100);
        old.signal(Signal::SIGTERM);
        old.wait_for("Master has been promoted.", 1);
        load.wait_for(50);
        let outcomes = load.finish();
        let lost: Vec<_> = outcomes
            .iter()
            .filter(|outcome| !matches!(outcome, Outcome::Answer { status: 200, .. }))
            .collect();
        assert!(lost.is_empty(), "of {}: {lost:?}\n{}", outcomes.len(), old.log());
        let new = old.succeeded_by(new);
        new.signal(Signal::SIGTERM);
        wait_until("its pid file is gone", || (!new.path("gateway.pid").exists()).then_some(()));
    }
}

#[test]
fn an_upgrade_can_be_taken_back() {
    let (old, _) = Daemon::start(setup(&["--workers", "1"]));
    old.wait_for("Worker ready", 1);
    old.signal(Signal::SIGUSR2);
    old.wait_for("Worker ready", 2);
    let new = std::fs::read_to_string(old.path("gateway.pid.2")).unwrap();
    old.signal(Signal::SIGWINCH);
    old.wait_for("Worker exiting", 1);
    old.signal(Signal::SIGHUP);
    old.wait_for("Worker ready", 3);
    let new = nix::unistd::Pid::from_raw(new.trim().parse().unwrap());
    nix::sys::signal::kill(new, Signal::SIGTERM).unwrap();
    old.wait_for("has left", 1);
    assert_eq!(old.get("/version"), "one");
}
