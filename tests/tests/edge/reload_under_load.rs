//! HUP while everybody is busy: each request is answered once, by one worker or the other, and what
//! was upgraded goes on where it is.
//!
//! Whoever sends a request on a kept connection may cross the worker that is just closing it. Then it
//! was not looked at, and is asked again on another connection, as every client does; the access log
//! tells whether it was indeed answered only once.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use nix::{sys::signal::Signal, unistd::Pid};

use crate::{
    http2::{self, Connection},
    peer::{After, Peer, Seen, Wire, ok},
    server::{Edge, PATIENCE, Site, is_nginx, pause, read_response},
};

const SHUTDOWN: &str = "gracefully shutting down";

fn serving(word: &str) -> String {
    format!(
        "log_format asked '$status $request_uri'; access_log %%DIR%%/asked.log asked;
         server {{
           listen 127.0.0.1:%%PORT%% reuseport;
           location / {{ return 200 {word}; }}
           location /behind {{ proxy_pass http://127.0.0.1:%%PORT2%%; }}
           location /echo {{ proxy_pass http://127.0.0.1:%%PORT2%%; proxy_http_version 1.1;
             proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }} }}
         server {{ listen 127.0.0.1:%%PORT1%% http2; location / {{ return 200 {word}; }} }}"
    )
}

/// Says HUP, and tells which workers are told to leave by that.
fn hang_up(edge: &mut Edge, http: &str) -> Vec<Pid> {
    let old = edge.children();
    let config = edge.site.config(http);
    edge.site.write("nginx.conf", config);
    // Some may have been told by the one before, and still wait for somebody.
    let told = edge.error_log().matches(SHUTDOWN).count() + if is_nginx() { 2 } else { 1 };
    edge.signal(Signal::SIGHUP);
    let deadline = Instant::now() + PATIENCE;
    while edge.error_log().matches(SHUTDOWN).count() < told {
        assert!(Instant::now() < deadline, "nobody is told: {}", edge.error_log());
        pause();
    }
    old
}

fn wait_until_gone(edge: &Edge, workers: &[Pid]) {
    let deadline = Instant::now() + PATIENCE;
    while edge.children().iter().any(|worker| workers.contains(worker)) {
        assert!(Instant::now() < deadline, "they stay: {}", edge.error_log());
        pause();
    }
}

/// Who is just being told to leave may still take one that was there before.
fn wait_until_answered(edge: &Edge, word: &str) {
    let deadline = Instant::now() + PATIENCE;
    while edge.get("/").text() != word {
        assert!(Instant::now() < deadline, "still not {word}: {}", edge.error_log());
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("nobody is turned away");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
    stream
}

/// Asks until it is told to stop, and hands back what it has asked for.
fn client(
    stop: &Arc<AtomicBool>,
    name: &'static str,
    mut ask: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<Vec<String>> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let path = format!("/{name}/{}", asked.len());
            ask(&path);
            asked.push(path);
        }
        asked
    })
}

fn request(path: &str, connection: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n")
}

fn sound(word: &[u8]) {
    assert!(word.starts_with(b"word"), "{}", String::from_utf8_lossy(word));
}

/// A connection for each request: there is nothing that could be crossed.
fn one_by_one(port: u16) -> impl FnMut(&str) + Send {
    move |path| {
        let mut stream = connect(port);
        stream.write_all(request(path, "close").as_bytes()).expect("it is sent");
        sound(&read_response(&mut stream, "GET").body);
    }
}

fn kept(port: u16) -> impl FnMut(&str) + Send {
    let mut open: Option<TcpStream> = None;
    move |path| {
        loop {
            let used = open.is_some();
            let mut stream = open.take().unwrap_or_else(|| connect(port));
            let sent = stream.write_all(request(path, "keep-alive").as_bytes());
            // Closed before the first byte: it was crossed.
            if sent.is_err() || !matches!(stream.peek(&mut [0]), Ok(1)) {
                assert!(used, "a new connection was closed without an answer");
                continue;
            }
            let response = read_response(&mut stream, "GET");
            sound(&response.body);
            if response.header("connection") == Some("keep-alive") {
                open = Some(stream);
            }
            return;
        }
    }
}

fn over_http2(port: u16) -> impl FnMut(&str) + Send {
    let mut open: Option<Connection> = None;
    move |path| {
        loop {
            let used = open.is_some();
            let mut connection = open.take().unwrap_or_else(|| Connection::over(connect(port)));
            let id = connection.ask(&http2::get(path));
            loop {
                let answer = connection.answers.get(&id);
                if answer.is_some_and(|answer| answer.ended || answer.reset.is_some()) {
                    break;
                }
                // Beyond the last one that was taken, none will be answered.
                if connection.go_away.is_some_and(|(last, _)| last < id) || !connection.step() {
                    break;
                }
            }
            if let Some(answer) = connection.answers.remove(&id) {
                assert!(answer.ended && answer.reset.is_none(), "{answer:?}");
                sound(&answer.body);
                open = (connection.go_away.is_none() && !connection.closed).then_some(connection);
                return;
            }
            // A goodbye says that it was not looked at; to go without a word would lose it.
            let told = connection.go_away.is_some_and(|(last, _)| last < id);
            assert!(used || told, "a new connection was closed without a word");
        }
    }
}

#[test]
fn each_request_is_answered_once() {
    let mut edge = Edge::start(&serving("word0"));
    let (port, port1) = (edge.site.port("PORT"), edge.site.port("PORT1"));
    let stop = Arc::new(AtomicBool::new(false));
    let clients = [
        client(&stop, "single-a", one_by_one(port)),
        client(&stop, "single-b", one_by_one(port)),
        client(&stop, "kept-a", kept(port)),
        client(&stop, "kept-b", kept(port)),
        client(&stop, "kept-c", kept(port)),
        client(&stop, "http2-a", over_http2(port1)),
        client(&stop, "http2-b", over_http2(port1)),
    ];
    for generation in 1..=4 {
        let word = format!("word{generation}");
        let old = hang_up(&mut edge, &serving(&word));
        wait_until_gone(&edge, &old);
        assert_eq!(edge.get("/new").text(), word);
    }
    stop.store(true, Ordering::Relaxed);
    let mut counts = BTreeMap::new();
    for client in clients {
        let asked = client.join().expect("no client has lost a request");
        assert!(!asked.is_empty());
        counts.extend(asked.into_iter().map(|path| (path, 0)));
    }
    assert!(edge.stop().success());
    for line in edge.site.read("asked.log").lines().filter(|line| !line.ends_with("/new")) {
        let path = line.strip_prefix("200 ").unwrap_or_else(|| panic!("{line}"));
        *counts.get_mut(path).expect("somebody has asked for it") += 1;
    }
    counts.retain(|_, count| *count != 1);
    assert!(counts.is_empty(), "not once: {counts:?}");
    assert!(!edge.error_log().contains("[alert]"), "{}", edge.error_log());
}

/// Answers everything under `/echo` as a tunnel does, and keeps `/behind` waiting for a word.
fn echo(seen: &Seen, wire: &mut dyn Wire) -> After {
    if !seen.line().starts_with("GET /echo") {
        wire.write_all(&ok("word behind")).expect("the edge listens");
        return After::Close;
    }
    wire.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    )
    .expect("the edge listens");
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = wire.read(&mut buffer) {
        if wire.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    After::Close
}

struct Tunnel(TcpStream);

impl Tunnel {
    fn open(edge: &Edge) -> Tunnel {
        let mut stream = edge.connect();
        let upgrade =
            "GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).expect("it is sent");
        assert_eq!(read_response(&mut stream, "GET").status, 101);
        Tunnel(stream)
    }

    fn goes_on(&mut self) {
        self.0.write_all(b"a frame").expect("it is open");
        let mut back = [0; 7];
        self.0.read_exact(&mut back).expect("it comes back");
        assert_eq!(&back, b"a frame");
    }
}

#[test]
fn a_websocket_goes_on_until_it_is_closed() {
    let site = Site::new();
    let _peer = Peer::tcp(site.listener("PORT2"), echo);
    let mut edge = Edge::start_in(site, &serving("word0"));
    let mut tunnels = Vec::new();
    let mut everybody = Vec::new();
    for generation in 1..=3 {
        let mut tunnel = Tunnel::open(&edge);
        tunnel.goes_on();
        tunnels.push(tunnel);
        let word = format!("word{generation}");
        everybody.extend(hang_up(&mut edge, &serving(&word)));
        tunnels.iter_mut().for_each(Tunnel::goes_on);
    }
    // Each of the workers that left has one of them, and waits for it.
    let waiting = edge.children();
    let kept = everybody.iter().filter(|worker| waiting.contains(worker)).count();
    assert!(kept >= tunnels.len(), "{kept} workers with {} tunnels", tunnels.len());
    wait_until_answered(&edge, "word3");
    tunnels.iter_mut().for_each(Tunnel::goes_on);
    drop(tunnels);
    wait_until_gone(&edge, &everybody);
    assert!(edge.stop().success());
}

#[test]
fn a_websocket_ends_when_its_worker_may_wait_no_longer() {
    let site = Site::new();
    let _peer = Peer::tcp(site.listener("PORT2"), echo);
    let limited = |site: &Site| {
        let config = site.config(&serving("word"));
        format!("worker_shutdown_timeout 200ms;\n{config}")
    };
    let config = limited(&site);
    let mut edge = Edge::start_whole(site, &config);
    let mut tunnel = Tunnel::open(&edge);
    tunnel.goes_on();
    let old = edge.children();
    edge.signal(Signal::SIGHUP);
    let mut rest = Vec::new();
    let _reset = tunnel.0.read_to_end(&mut rest);
    assert!(rest.is_empty(), "nothing but its end");
    wait_until_gone(&edge, &old);
    assert_eq!(edge.get("/").text(), "word");
    assert!(edge.stop().success());
}

/// A request of which a half had come, and an answer that its upstream has still to give.
#[test]
fn what_has_begun_is_ended_by_the_worker_that_began_it() {
    let site = Site::new();
    let (go_on, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let peer = Peer::tcp(site.listener("PORT2"), move |seen, wire| {
        if seen.line().starts_with("GET") {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nword ")
                .expect("it listens");
            wait.lock().expect("one waits").recv_timeout(PATIENCE).expect("the reload is over");
            wire.write_all(b"after").expect("the edge waits for it");
        } else {
            wire.write_all(&ok(&String::from_utf8_lossy(&seen.body))).expect("it listens");
        }
        After::Close
    });
    let mut edge = Edge::start_in(site, &serving("word0"));
    let mut waiting = edge.connect();
    waiting.write_all(request("/behind/answer", "close").as_bytes()).unwrap();
    peer.next();
    let mut sending = edge.connect();
    let head = "POST /behind/body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    sending.write_all(head.as_bytes()).unwrap();
    // It is with a worker when that asks for the rest of it.
    assert_eq!(read_response(&mut sending, "POST").status, 100);
    sending.write_all(b"word ").unwrap();
    let old = hang_up(&mut edge, &serving("word1"));
    wait_until_answered(&edge, "word1");
    sending.write_all(b"after").unwrap();
    assert_eq!(read_response(&mut sending, "POST").text(), "word after");
    go_on.send(()).unwrap();
    assert_eq!(read_response(&mut waiting, "GET").text(), "word after");
    wait_until_gone(&edge, &old);
    assert!(edge.stop().success());
}
