//! Master and worker: start, signals, ends, and what is left behind.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::server::{Edge, PATIENCE, Site, is_nginx, listing, pause, read_response};

const PLAIN: &str = "server { listen 127.0.0.1:%%PORT%%; location / { return 200 ok; } }";

#[test]
fn a_graceful_stop_leaves_nothing() {
    let mut edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; listen unix:%%DIR%%/http.sock; return 200 ok; }",
    );
    let mut stream = UnixStream::connect(edge.site.path("http.sock")).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("\r\n\r\nok"), "{response}");
    assert_eq!(edge.site.read("nginx.pid"), format!("{}\n", edge.pid()));
    let workers = edge.children();
    assert!(edge.stop().success());
    let left = listing(&edge.site.path(""));
    assert!(!left.iter().any(|name| name.contains("sock") || name.contains("pid")), "{left:?}");
    for worker in workers {
        assert!(kill(worker, None).is_err(), "{worker} is still there");
    }
    let log = edge.error_log();
    for line in ["using the \"epoll\" event method", "start worker process ", "gracefully shutting"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(log.contains("(SIGQUIT) received from "), "{log}");
    assert!(log.trim_end().ends_with(&format!("[notice] {0}#{0}: exit", edge.pid())), "{log}");
}

#[test]
fn a_fast_stop_does_not_wait() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut edge = Edge::start(PLAIN);
        let mut half = edge.connect();
        half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert_eq!(edge.get("/").status, 200);
        edge.signal(signal);
        assert!(edge.wait().success());
        let mut rest = Vec::new();
        // Closed or reset; either way without an answer.
        let _reset = half.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
}

#[test]
fn a_graceful_stop_answers_what_has_begun() {
    let mut edge = Edge::start(PLAIN);
    let mut idle = edge.connect();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let response = read_response(&mut idle, "GET");
    assert_eq!(response.header("connection"), Some("keep-alive"));
    let mut half = edge.connect();
    half.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // Its worker has read the half of it when it has answered another, on both threads or none.
    for _ in 0..8 {
        assert_eq!(edge.get("/").status, 200);
    }
    edge.signal(Signal::SIGQUIT);
    edge.wait_for_line("error.log", "gracefully shutting down");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "an idle connection is closed without a word");
    half.write_all(b"Host: x\r\n\r\n").unwrap();
    let response = read_response(&mut half, "GET");
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert!(edge.wait().success());
}

#[test]
fn a_server_that_finishes_listens_no_more() {
    let mut edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; listen unix:%%DIR%%/http.sock; return 200 ok; }",
    );
    let mut half = half_a_request(&edge);
    edge.signal(Signal::SIGQUIT);
    wait_until_refused(&edge);
    assert!(UnixStream::connect(edge.site.path("http.sock")).is_err());
    half.write_all(b"Host: x\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut half, "GET").text(), "ok");
    assert!(edge.wait().success());
}

#[test]
fn a_worker_that_finishes_listens_no_more_where_the_next_one_does_not() {
    let site = Site::new();
    site.port("PORT1");
    let edge = Edge::start_in(site, PLAIN);
    let mut half = half_a_request(&edge);
    let config = edge.site.config(&PLAIN.replace("PORT", "PORT1"));
    edge.site.write("nginx.conf", config);
    edge.signal(Signal::SIGHUP);
    wait_until_refused(&edge);
    assert_eq!(edge.request_to("PORT1", "GET", "/", &[], b"").text(), "ok");
    half.write_all(b"Host: x\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut half, "GET").text(), "ok");
}

/// A connection that is known to be in a worker's hands.
fn half_a_request(edge: &Edge) -> std::net::TcpStream {
    let mut half = edge.connect();
    half.write_all(b"GET / HTTP/1.1\r\n").expect("it reads");
    for _ in 0..8 {
        assert_eq!(edge.get("/").status, 200);
    }
    half
}

/// Whether a signal waits for a process to look at it.
fn has_been_sent(process: Pid, signal: Signal) -> bool {
    let status =
        std::fs::read_to_string(format!("/proc/{process}/status")).expect("as proc(5) has it");
    let pending =
        status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).expect("as proc(5) has it");
    let pending = u64::from_str_radix(pending.trim(), 16).expect("as proc(5) has it");
    pending & (1 << (signal as u64 - 1)) != 0
}

fn wait_until_refused(edge: &Edge) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", edge.site.port("PORT"))).is_ok() {
        assert!(std::time::Instant::now() < deadline, "somebody still listens");
        pause();
    }
}

#[test]
fn who_has_connected_before_the_end_is_answered() {
    if is_nginx() {
        // It resets whom it has not accepted.
        return;
    }
    let mut edge = Edge::start(PLAIN);
    let workers = edge.children();
    // As on a busy machine: the connections wait in the kernel when the worker hears of its end.
    for worker in &workers {
        kill(*worker, Signal::SIGSTOP).unwrap();
    }
    let mut waiting: Vec<_> = (0..20).map(|_| edge.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    edge.signal(Signal::SIGQUIT);
    while !workers.iter().all(|worker| has_been_sent(*worker, Signal::SIGQUIT)) {
        pause();
    }
    for worker in &workers {
        kill(*worker, Signal::SIGCONT).unwrap();
    }
    for stream in &mut waiting {
        assert_eq!(read_response(stream, "GET").text(), "ok");
    }
    assert!(edge.wait().success());
}

#[test]
fn a_worker_that_is_killed_is_replaced() {
    let mut edge = Edge::start(PLAIN);
    let workers = edge.children();
    for worker in &workers {
        kill(*worker, Signal::SIGKILL).unwrap();
    }
    for worker in &workers {
        let line = format!("worker process {worker} exited on signal 9");
        edge.wait_for_line("error.log", &line);
    }
    assert_eq!(edge.get("/").text(), "ok");
    assert!(edge.stop().success());
}

#[test]
fn a_master_that_is_killed_takes_its_worker_along() {
    if is_nginx() {
        // Its workers stay, and go on answering.
        return;
    }
    let mut edge = Edge::start(PLAIN);
    let workers = edge.children();
    edge.signal(Signal::SIGKILL);
    edge.wait();
    for worker in workers {
        while kill(worker, None).is_ok() && state(worker) != Some('Z') {
            pause();
        }
    }
}

fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[test]
fn a_port_in_use_is_tried_again_and_named() {
    let site = Site::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = site.config(&format!("server {{ listen 127.0.0.1:{port}; }}"));
    site.write("nginx.conf", config);
    let output = site.run(&[]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    let line =
        format!("nginx: [emerg] bind() to 127.0.0.1:{port} failed (98: Address already in use)");
    assert_eq!(said.lines().filter(|said| *said == line).count(), 5, "{said}");
    assert_eq!(said.lines().last(), Some("nginx: [emerg] still could not bind()"));
    assert!(!site.path("nginx.pid").exists());
}

#[test]
fn a_daemon_returns_when_it_is_ready() {
    let site = Site::new();
    let config = site.config(PLAIN).replace("daemon off;", "daemon on;");
    site.write("nginx.conf", config);
    let output = site.run(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    while !site.path("nginx.pid").exists() {
        pause();
    }
    let pid: i32 = site.read("nginx.pid").trim().parse().unwrap();
    assert!(kill(Pid::from_raw(pid), None).is_ok());
    let output = site.run(&["-s", "quit"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    while kill(Pid::from_raw(pid), None).is_ok() && state(Pid::from_raw(pid)) != Some('Z') {
        pause();
    }
    assert!(!site.path("nginx.pid").exists());
}

#[test]
fn one_process_can_do_it_all() {
    let site = Site::new();
    let config = format!("master_process off;\n{}", site.config(PLAIN));
    let mut edge = Edge::start_whole(site, &config);
    assert_eq!(edge.get("/").text(), "ok");
    assert!(edge.children().is_empty());
    assert!(edge.stop().success());
    assert!(!edge.site.path("nginx.pid").exists());
}

#[test]
fn connections_have_a_limit_that_is_told() {
    let site = Site::new();
    let config = site.config(PLAIN).replace("events { }", "events { worker_connections 8; }");
    let config = config.replace("worker_processes 2;", "worker_processes 1;");
    let mut edge = Edge::start_whole(site, &config);
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut stream = edge.connect();
        // Half a request each: a connection that only waits may be taken back.
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        open.push(stream);
    }
    edge.wait_for_line("error.log", "worker_connections are not enough");
    drop(open);
}

#[test]
fn a_wildcard_and_an_address_share_a_port() {
    let edge = Edge::start(
        "server { listen *:%%PORT%%; return 200 any; }\n\
         server { listen 127.0.0.1:%%PORT%%; return 200 this; }",
    );
    assert_eq!(edge.get("/").text(), "this");
}

/// The worker's own settings, as the system sees them.
#[test]
fn a_worker_is_what_the_file_makes_it() {
    if !nix::unistd::geteuid().is_root() {
        return; // Only root may raise a limit it has lowered, and nginx's processes differ.
    }
    let site = Site::new();
    let config = format!(
        "worker_priority 5; worker_rlimit_core 1m; worker_rlimit_nofile 500;
         working_directory %%DIR%%/work; worker_cpu_affinity auto; env EDGE_TEST=yes; env HOME;\n{}",
        site.config(PLAIN)
    );
    std::fs::create_dir(site.path("work")).unwrap();
    let edge = Edge::start_whole(site, &config);
    assert_eq!(edge.get("/").text(), "ok");
    let worker = edge.children()[0];
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{worker}/{name}")).unwrap();
    let limits = read("limits");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    assert_eq!(limit("Max core file size"), "1048576");
    assert_eq!(limit("Max open files"), "500");
    let stat = read("stat");
    let nice = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned();
    assert_eq!(nice, "5");
    let folder = std::fs::read_link(format!("/proc/{worker}/cwd")).unwrap();
    assert_eq!(folder, edge.site.path("work").canonicalize().unwrap());
}

#[test]
fn a_worker_without_its_folder_does_not_start() {
    if is_nginx() {
        return; // Its master stays, with no worker.
    }
    let site = Site::new();
    let config = format!("working_directory %%DIR%%/none;\n{}", site.config(PLAIN));
    site.write("nginx.conf", site.fill(&config));
    assert!(!site.run(&[]).status.success());
    let log = site.read("error.log");
    assert!(log.contains(&site.fill("chdir(\"%%DIR%%/none\") failed")), "{log}");
}
