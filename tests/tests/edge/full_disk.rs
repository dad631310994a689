//! A disk with no room left: whoever needed it gets an error, the log says which file, nothing is
//! left behind, and the others notice nothing.
//!
//! The small file systems are mounted for the server alone, so they end with it.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use nix::{sys::statvfs::statvfs, unistd::geteuid};

use crate::{
    peer::{After, Peer},
    server::{Edge, PATIENCE, Site, pause, read_response},
};

fn may_mount() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("skipped: only root may mount a small disk");
    }
    root
}

/// The folder as the server sees it.
fn seen(edge: &Edge, folder: &str) -> PathBuf {
    let path = edge.site.path(folder);
    let inside = path.strip_prefix("/").expect("it is absolute");
    Path::new(&format!("/proc/{}/root", edge.pid())).join(inside)
}

/// Every file there is, in subfolders, too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is there").flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() { files(&path) } else { vec![path] }
        })
        .collect()
}

/// More than the disk holds.
const LARGE: usize = 1 << 20;

#[test]
fn a_body_that_finds_no_room_is_an_error_of_the_server() {
    if !may_mount() {
        return;
    }
    let mut site = Site::new();
    site.mount_small("spool");
    let mut edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; client_body_temp_path %%DIR%%/spool;
           client_body_buffer_size 1k; client_max_body_size 0; proxy_http_version 1.1;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }
         server { listen 127.0.0.1:%%PORT1%%; client_max_body_size 0;
           access_log %%DIR%%/behind.log; location / { return 200 ok; } }",
    );
    let large = vec![b'x'; LARGE];
    for _ in 0..3 {
        assert_eq!(edge.request("POST", "/", &[], &large).status, 500);
    }
    let chunked = [format!("{LARGE:x}\r\n").as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let fields = ["Transfer-Encoding: chunked"];
    assert_eq!(edge.request("POST", "/", &fields, &chunked).status, 500);
    edge.wait_for_line("error.log", "(28: No space left on device)");
    let log = edge.error_log();
    let line = log.lines().find(|line| line.contains("(28: ")).expect("it is there");
    assert!(line.contains("[crit]") && line.contains("/spool/"), "{line}");
    assert!(line.contains("request: \"POST / HTTP/1.1\""), "{line}");
    assert!(edge.site.read("behind.log").is_empty(), "half a body went to nobody");
    while !files(&seen(&edge, "spool")).is_empty() {
        pause();
    }
    // What has room has it again, as soon as the last of the failed ones has been let go.
    let deadline = Instant::now() + PATIENCE;
    while edge.request("POST", "/", &[], &large[..40_000]).status != 200 {
        assert!(Instant::now() < deadline, "there is no room still: {}", edge.error_log());
    }
    assert_eq!(edge.get("/").text(), "ok");
    assert!(edge.stop().success());
}

/// The client is told by the end that comes too early: its status was sent long before.
#[test]
fn an_answer_that_finds_no_room_breaks_off() {
    if !may_mount() {
        return;
    }
    let mut site = Site::new();
    site.mount_small("answers");
    // More than all sockets and buffers between hold.
    let size = 48 << 20;
    let peer = Peer::tcp(site.listener("PORT1"), move |seen, wire| {
        let size = if seen.line().contains("/small") { 100 } else { size };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
        // The edge may leave before the end.
        let _gone = wire.write_all(&[head.as_bytes(), &vec![b'x'; size]].concat());
        After::Close
    });
    let mut edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%% sndbuf=16k;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_temp_path %%DIR%%/answers; } }",
    );
    let mut client = edge.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    peer.next();
    let disk = seen(&edge, "answers");
    let deadline = Instant::now() + PATIENCE;
    while !edge.error_log().contains("(28: ") && statvfs(&disk).unwrap().blocks_available() > 0 {
        assert!(Instant::now() < deadline, "it never fills: {}", edge.error_log());
        pause();
    }
    let mut response = Vec::new();
    let _reset = client.read_to_end(&mut response);
    assert!(response.len() < size, "it can not be whole");
    edge.wait_for_line("error.log", "(28: No space left on device)");
    let log = edge.error_log();
    let line = log.lines().find(|line| line.contains("(28: ")).expect("it is there");
    // nginx names the file, which has no name in the folder any more.
    assert!(line.contains("temporary file") || line.contains("/answers/"), "{line}");
    assert_eq!(edge.get("/small").body.len(), 100);
    while !files(&seen(&edge, "answers")).is_empty() {
        pause();
    }
    assert!(edge.stop().success());
}

/// No client pays for a log that can not be written.
#[test]
fn a_log_without_room_costs_no_answer() {
    let site = Site::new();
    let config = site.config(
        "server { listen 127.0.0.1:%%PORT%%; access_log /dev/full;
           access_log %%DIR%%/other.log; return 200 ok; }",
    );
    let mut edge = Edge::start_whole(site, &config);
    let mut stream = edge.connect();
    for _ in 0..5 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(read_response(&mut stream, "GET").text(), "ok");
    }
    edge.wait_for_line("error.log", "\"/dev/full\" failed (28: No space left on device)");
    assert!(edge.stop().success());
    assert_eq!(edge.site.read("other.log").lines().count(), 5);
}
