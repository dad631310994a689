//! Metrics, datagram by datagram beside gunicorn's.

use std::{net::UdpSocket, os::unix::net::UnixDatagram, time::Duration};

use crate::{
    real_gunicorn::{BOTH, start},
    stack::{self, Gateway, Listens},
};

/// One datagram, which must come.
type Receive<'a> = Box<dyn Fn(&mut [u8]) -> std::io::Result<usize> + 'a>;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

/// Sorted, with durations masked: those of three requests, and of the two workers.
fn metrics(server: &Gateway, receive: &Receive<'_>) -> Vec<String> {
    server.log.wait_for("Booting worker");
    for target in ["/", "/boom", "/nothing"] {
        server.get(target);
    }
    let mut all: Vec<String> = (0..11)
        .map(|_| {
            let mut buffer = [0; 1024];
            let length = receive(&mut buffer).expect("eleven datagrams come");
            let metric = String::from_utf8(buffer[..length].to_vec()).unwrap();
            match metric.split_once(".duration:") {
                None => metric,
                Some((name, rest)) => {
                    let (number, rest) = rest.split_once('|').unwrap();
                    assert!(number.contains('.'), "a number as Python has it: {number}");
                    assert!(number.parse::<f64>().is_ok(), "{number}");
                    format!("{name}.duration:N|{rest}")
                }
            }
        })
        .collect();
    all.sort();
    all
}

const FLAGS: [&str; 5] =
    ["--workers=2", "--statsd-prefix=site..", "--dogstatsd-tags", "a:b,c", "--statsd-host"];

/// Each server sends to a socket of its own.
fn check(sockets: [(String, Receive<'_>); 2]) {
    let mut both = BOTH.into_iter().zip(sockets).map(|(program, (address, receive))| {
        let flags = [&FLAGS[..], &[&address]].concat();
        let server = start(program, "spoken:application", Listens::Tcp, &flags, "");
        metrics(&server, &receive)
    });
    let (ours, theirs) = (both.next().unwrap(), both.next().unwrap());
    assert_eq!(ours, theirs, "ours, then gunicorn's");
    assert!(ours.contains(&"site.gunicorn.workers:2|g|#a:b,c".to_owned()), "{ours:?}");
    assert!(ours.contains(&"site.gunicorn.log.exception:1|c|@1.0|#a:b,c".to_owned()), "{ours:?}");
}

#[test]
fn metrics_are_gunicorns_over_udp() {
    let sockets = BOTH.map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    check(sockets.each_ref().map(|socket| -> (String, Receive<'_>) {
        socket.set_read_timeout(PATIENCE).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        (address, Box::new(|buffer| socket.recv(buffer)))
    }));
}

#[test]
fn metrics_are_gunicorns_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = ["ours", "gunicorns"].map(|name| {
        let path = folder.path().join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(PATIENCE).unwrap();
        (format!("unix://{}", path.display()), socket)
    });
    check(sockets.each_ref().map(|(address, socket)| -> (String, Receive<'_>) {
        (address.clone(), Box::new(|buffer| socket.recv(buffer)))
    }));
}

#[test]
fn the_backlog_is_told_where_it_is_asked_for() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(PATIENCE).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let _gateway = stack::start(&["--enable-backlog-metric", "--statsd-host", &address]);
    let mut buffer = [0; 1024];
    loop {
        let length = socket.recv(&mut buffer).expect("the backlog comes");
        if buffer[..length].starts_with(b"gunicorn.backlog:") {
            assert_eq!(&buffer[..length], b"gunicorn.backlog:0|h");
            return;
        }
    }
}

#[test]
fn without_anybody_there_requests_are_answered_and_one_line_says_so() {
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut gateway = stack::start(&["--statsd-host", &gone]);
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status, 200);
    }
    gateway.stop();
    assert_eq!(gateway.log.count("Error sending message to statsd"), 1, "{}", gateway.log.text());
}
