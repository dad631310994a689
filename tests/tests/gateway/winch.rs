//! WINCH: a master without workers, whose clients are another master's.

use nix::sys::signal::Signal;

use crate::{
    daemon::{Daemon, setup},
    stack::start,
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
    let (daemon, _) = Daemon::start(setup(&["--workers", "1"]));
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
