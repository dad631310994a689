//! USR2: two masters with the same sockets, and what becomes of each.

use std::fs;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::stack::{Gateway, Habit, Listens, Load, Setup, assert_none_lost, fixtures, wait_until};

fn start(flags: &[&str]) -> Gateway {
    let fixtures = fixtures();
    let mut all = vec!["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    all.extend(["--log-level", "debug", "--pid", "gateway.pid"]);
    all.extend(flags);
    let gateway = Setup::new(Listens::Unix, &all).launch();
    gateway.log.wait_for("Worker ready");
    gateway
}

/// A second master, whose worker stands. Its process id.
fn upgrade(gateway: &Gateway) -> i32 {
    let before = gateway.log.count("Worker ready");
    let nth = gateway.log.count("New master with pid: ") + 1;
    gateway.signal(Signal::SIGUSR2);
    let line = gateway.log.wait_for_nth("New master with pid: ", nth);
    gateway.log.wait_for_nth("Worker ready", before + 1);
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn pid_in(gateway: &Gateway, name: &str) -> Option<i32> {
    fs::read_to_string(gateway.scratch().join(name)).ok()?.trim().parse().ok()
}

/// The new one is nobody's child any more: the harness can not wait for it by itself.
fn stop(gateway: &Gateway, pid: i32) {
    send(pid, Signal::SIGTERM);
    gateway.log.wait_for_end();
}

#[test]
fn the_new_one_takes_over_and_no_request_is_lost() {
    for habit in [Habit::KeepAlive, Habit::Close] {
        let gateway = start(&["--workers", "1"]);
        let load = Load::start(gateway.place(), 4, habit, "/version");
        load.wait_for(50);
        let new = upgrade(&gateway);
        assert_eq!(pid_in(&gateway, "gateway.pid"), Some(gateway.pid()));
        assert_eq!(pid_in(&gateway, "gateway.pid.2"), Some(new));
        // Both serve.
        load.wait_for(200);
        gateway.signal(Signal::SIGTERM);
        gateway.log.wait_for("Shutting down: Master");
        let promoted = gateway.log.wait_for("Master has been promoted.");
        assert!(promoted.contains(&format!("[{new}]")), "{promoted}");
        wait_until("the pid file is moved", || {
            (pid_in(&gateway, "gateway.pid") == Some(new)).then_some(())
        });
        assert!(pid_in(&gateway, "gateway.pid.2").is_none());
        load.wait_for(50);
        assert_none_lost(&load.finish(), &gateway.log);
        // Its sockets are its own to remove now, that of gunicornc too.
        gateway.log.wait_for_nth("Control socket listening at ", 2);
        stop(&gateway, new);
        for name in ["gateway.pid", "app.sock", "gunicorn.ctl"] {
            assert!(!gateway.scratch().join(name).exists(), "{name}");
        }
    }
}

#[test]
fn a_third_has_to_wait() {
    let gateway = start(&[]);
    let new = upgrade(&gateway);
    gateway.signal(Signal::SIGUSR2);
    gateway.log.wait_for("USR2 signal ignored. Child exists.");
    send(new, Signal::SIGUSR2);
    gateway.log.wait_for("USR2 signal ignored. Parent exists.");
    gateway.signal(Signal::SIGQUIT);
    gateway.log.wait_for("Master has been promoted.");
    stop(&gateway, new);
}

#[test]
fn backing_out_leaves_the_old_one_as_it_was() {
    let mut gateway = start(&[]);
    let new = upgrade(&gateway);
    send(new, Signal::SIGTERM);
    let line = gateway.log.wait_for("Shutting down: Master.2");
    assert!(line.contains(&format!("[{new}]")), "{line}");
    gateway.log.wait_for(&format!("New master (pid:{new}) has left"));
    assert_eq!(gateway.get("/version").text(), "one");
    assert!(pid_in(&gateway, "gateway.pid.2").is_none());
    // And it can be tried again.
    let newer = upgrade(&gateway);
    send(newer, Signal::SIGTERM);
    gateway.log.wait_for(&format!("New master (pid:{newer}) has left"));
    gateway.stop();
    assert!(!gateway.scratch().join("app.sock").exists());
}

#[test]
fn one_that_can_not_start_leaves_the_old_one_alone() {
    let mut gateway = start(&[]);
    gateway.write("gunicorn.conf.py", "workers = surely_not_defined\n");
    gateway.signal(Signal::SIGUSR2);
    let line = gateway.log.wait_for(", this one serves on; its own lines say why");
    assert!(line.contains("exited with code 1"), "{line}");
    gateway.log.wait_for("surely_not_defined");
    assert_eq!(gateway.get("/version").text(), "one");
    gateway.stop();
}

#[test]
fn the_hook_runs_first_and_no_worker_hears_of_the_handover() {
    let gateway = start(&[]);
    gateway
        .write("gunicorn.conf.py", "def pre_exec(server):\n    server.log.info('pre_exec ran')\n");
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for("Worker exiting");
    let new = upgrade(&gateway);
    let lines = gateway.log.lines();
    let at = |text: &str| lines.iter().position(|line| line.contains(text));
    assert!(at("pre_exec ran").unwrap() < at("New master with pid").unwrap());
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_for("Master has been promoted.");
    for variable in ["GUNICORN_PID", "GUNICORN_FD"] {
        let answer = gateway.get(&format!("/process?name={variable}"));
        assert_eq!(answer.text(), "(unset)");
    }
    stop(&gateway, new);
}
