//! Who a worker is, how long it may take to leave, and a master that goes on without one.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    time::Instant,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, User, geteuid},
};

use crate::server::{Edge, PATIENCE, Site, children_of, pause};

#[test]
fn a_worker_is_the_user_it_is_told_to_be() {
    if !geteuid().is_root() {
        // Nobody else may become another.
        return;
    }
    let site = Site::new();
    fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).unwrap();
    site.write("open", "for all");
    let closed = site.write("closed", "for root");
    fs::set_permissions(closed, Permissions::from_mode(0o600)).unwrap();
    let config = site.config("server { listen 127.0.0.1:%%PORT%%; }");
    let config = config.replace("user root;", "user nobody nogroup;");
    let edge = Edge::start_whole(site, &config);
    let nobody = User::from_name("nobody").unwrap().expect("every system has a nobody").uid;
    let deadline = Instant::now() + PATIENCE;
    for worker in edge.children() {
        // One that was made just now is root for a moment still.
        while ids(worker, "Uid:") != [nobody.as_raw(); 4] {
            assert!(Instant::now() < deadline, "{worker} is {:?}", ids(worker, "Uid:"));
            pause();
        }
        assert!(!ids(worker, "Gid:").contains(&0));
    }
    assert_eq!(edge.get("/open").text(), "for all");
    assert_eq!(edge.get("/closed").status, 403);
}

/// Real, effective, saved, and of the file system.
fn ids(process: Pid, key: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of ids");
    line.split_whitespace().map(|id| id.parse().expect("a number")).collect()
}

#[test]
fn a_worker_that_has_been_patient_leaves() {
    let site = Site::new();
    // It is connected to, and says nothing.
    let silent = site.listener("PORT1");
    let config = site.config(
        "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let mut edge = Edge::start_whole(site, &format!("worker_shutdown_timeout 300ms;\n{config}"));
    let mut waiting = edge.connect();
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let _asked = silent.accept().expect("the request is on its way");
    // Without the timeout it would be waited for, for a minute.
    assert!(edge.stop().success());
    let mut rest = Vec::new();
    let _reset = waiting.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains(" 200 "));
}

/// A daemon, which no child of the test is, ended with it.
struct Daemon(Pid);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = kill(self.0, Signal::SIGTERM);
    }
}

#[test]
fn a_daemon_sends_its_workers_away_and_calls_them_back() {
    let site = Site::new();
    let config = site.config("server { listen 127.0.0.1:%%PORT%%; return 200 ok; }");
    site.write("nginx.conf", config.replace("daemon off;", "daemon on;"));
    let output = site.run(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    while site.read("nginx.pid").trim().is_empty() {
        pause();
    }
    let master = Daemon(Pid::from_raw(site.read("nginx.pid").trim().parse().unwrap()));
    while children_of(master.0).is_empty() {
        pause();
    }
    kill(master.0, Signal::SIGWINCH).unwrap();
    while !children_of(master.0).is_empty() {
        pause();
    }
    assert!(kill(master.0, None).is_ok(), "the master stays");
    kill(master.0, Signal::SIGHUP).unwrap();
    while children_of(master.0).is_empty() {
        pause();
    }
}
