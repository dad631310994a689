//! Thousands of connections that are kept and say nothing.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
};

use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
    unistd::Pid,
};

use crate::server::{Edge, Site, is_nginx, pause, read_response};

/// Each of them takes a file of the server's, and one of the test's.
const CONNECTIONS: usize = 3000;
/// What nginx takes for one is a tenth of this. A buffer forgotten in each would be more.
const MOST_BYTES_EACH: usize = 16 << 10;

/// As many files as this process may open, for the server to inherit.
fn room_for_files() -> bool {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    let wanted = (CONNECTIONS as u64 + 1000).min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).expect("up to the hard limit");
    }
    wanted > CONNECTIONS as u64
}

fn start(timeouts: &str) -> Edge {
    let site = Site::new();
    let config = site.config(&format!(
        "server {{ listen 127.0.0.1:%%PORT%% backlog=4096; {timeouts}
           access_log off; return 200 $connection_requests; }}"
    ));
    Edge::start_whole(site, &config.replace("events { }", "events { worker_connections 4096; }"))
}

fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is open");
    read_response(stream, "GET").text().to_owned()
}

/// What the workers have of their own in memory.
fn memory(workers: &[Pid]) -> usize {
    let of = |worker: &Pid| {
        let status = fs::read_to_string(format!("/proc/{worker}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.expect("a line of it").trim().trim_end_matches(" kB");
        kilobytes.parse::<usize>().expect("a number") << 10
    };
    workers.iter().map(of).sum()
}

#[test]
fn thousands_are_kept_answered_again_and_closed_together() {
    if !room_for_files() {
        eprintln!("skipped: this process may not open {CONNECTIONS} files");
        return;
    }
    let mut edge = start("keepalive_timeout 600s;");
    assert_eq!(edge.get("/").text(), "1");
    while edge.children().len() < if is_nginx() { 2 } else { 1 } {
        pause();
    }
    let workers = edge.children();
    let before = memory(&workers);
    let mut idle: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = edge.connect();
            assert_eq!(ask(&mut stream), "1");
            stream
        })
        .collect();
    let each = memory(&workers).saturating_sub(before) / CONNECTIONS;
    assert!(each < MOST_BYTES_EACH, "{each} bytes for each of them");
    // In another order than they came.
    for stream in idle.iter_mut().rev() {
        assert_eq!(ask(stream), "2");
    }
    assert_eq!(edge.children(), workers, "no worker was lost");
    edge.signal(Signal::SIGQUIT);
    for mut stream in idle {
        let mut rest = Vec::new();
        let _reset = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "an idle connection is closed without a word");
    }
    assert!(edge.wait().success());
}

#[test]
fn each_has_its_time() {
    let mut edge = start("keepalive_timeout 1s;");
    let mut idle: Vec<_> = (0..200).map(|_| edge.connect()).collect();
    for stream in &mut idle {
        assert_eq!(ask(stream), "1");
    }
    for stream in &mut idle {
        assert_eq!(stream.read(&mut [0]).expect("a close, and no reset"), 0);
    }
    assert_eq!(edge.get("/").text(), "1");
    assert!(edge.stop().success());
}
