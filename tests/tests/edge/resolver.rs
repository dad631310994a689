//! `resolver`: names that only a request knows, asked of a name server that the test plays.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, UdpSocket},
    sync::{Arc, Mutex},
};

use crate::{
    peer::{Peer, ok},
    server::{Edge, Site, read_response},
};

const A: u16 = 1;
const NOT_FOUND: u8 = 3;
const TRUNCATED: u8 = 2;

/// A question, as it came.
struct Question {
    bytes: Vec<u8>,
    name: String,
    kind: u16,
    by_tcp: bool,
    /// How often this name has been asked for, this time included, as an address of version 4.
    times: usize,
}

/// A name server on one port, UDP and TCP; every question is answered with these messages.
struct Names {
    port: u16,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Names {
    fn new(answer: impl Fn(&Question) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Names {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = tcp.local_addr().expect("bound").port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).expect("the same port");
        let asked = Arc::<Mutex<HashMap<String, usize>>>::default();
        let answer = Arc::new(answer);
        let question = {
            let asked = Arc::clone(&asked);
            move |bytes: &[u8], by_tcp| {
                let mut question = read(bytes, by_tcp);
                let mut asked = asked.lock().expect("nobody panics");
                let times = asked.entry(question.name.clone()).or_default();
                *times += usize::from(question.kind == A);
                question.times = *times;
                question
            }
        };
        let (by_udp, by_tcp) = ((question.clone(), Arc::clone(&answer)), (question, answer));
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                for message in by_udp.1(&by_udp.0(&buffer[..length], false)) {
                    let _gone = udp.send_to(&message, from);
                }
            }
        });
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut bytes).expect("as long as it says");
                    for message in by_tcp.1(&by_tcp.0(&bytes, true)) {
                        let length = (message.len() as u16).to_be_bytes();
                        let _gone = stream.write_all(&[&length, &message[..]].concat());
                    }
                }
            }
        });
        Names { port, asked }
    }

    /// How often an address of this name was asked for.
    fn asked(&self, name: &str) -> usize {
        self.asked.lock().expect("nobody panics").get(name).copied().unwrap_or(0)
    }

    /// A server whose `/` passes to the host that `?h=` names, at PORT1.
    fn edge(&self, site: Site, settings: &str) -> Edge {
        let port = self.port;
        let config = site.config(&format!(
            "resolver 127.0.0.1:{port} {settings}
             server {{ listen 127.0.0.1:%%PORT%%; add_header X-Asked $upstream_addr always;
               location / {{ proxy_pass http://$arg_h:%%PORT1%%; }} }}"
        ));
        Edge::start_whole(site, &config.replace("worker_processes 2", "worker_processes 1"))
    }
}

fn read(bytes: &[u8], by_tcp: bool) -> Question {
    let (mut at, mut labels) = (12, Vec::new());
    while bytes[at] != 0 {
        let end = at + 1 + usize::from(bytes[at]);
        labels.push(String::from_utf8_lossy(&bytes[at + 1..end]).into_owned());
        at = end;
    }
    let kind = u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]);
    Question { bytes: bytes.to_vec(), name: labels.join("."), kind, by_tcp, times: 0 }
}

impl Question {
    /// An answer with these addresses; to a question for others, with none.
    fn with(&self, ttl: u32, addresses: &[[u8; 4]]) -> Vec<u8> {
        let addresses = if self.kind == A { addresses } else { &[] };
        let mut message = self.bytes.clone();
        message[2..4].copy_from_slice(&[0x81, 0x80]);
        message[7] = addresses.len() as u8;
        for address in addresses {
            message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
            message.extend_from_slice(&ttl.to_be_bytes());
            message.extend_from_slice(&[0, 4]);
            message.extend_from_slice(address);
        }
        message
    }

    fn failed(&self, code: u8) -> Vec<u8> {
        let mut message = self.with(0, &[]);
        message[3] |= code;
        message
    }
}

fn here(site: &Site) -> Peer {
    Peer::says(site.listener("PORT1"), ok("here"))
}

#[test]
fn a_name_is_asked_for_once() {
    let names = Names::new(|question| vec![question.with(600, &[[127, 0, 0, 1]])]);
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, ";");
    for _ in 0..3 {
        assert_eq!(edge.get("/?h=some.test").text(), "here");
    }
    assert_eq!(edge.get("/?h=SOME.test").text(), "here");
    assert_eq!(names.asked("some.test"), 1);
    assert_eq!(edge.get("/?h=other.test").text(), "here");
    assert_eq!(names.asked("other.test"), 1);
}

#[test]
fn an_answer_is_good_for_as_long_as_it_says() {
    let names = Names::new(|question| vec![question.with(1, &[[127, 0, 0, 1]])]);
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, ";");
    assert_eq!(edge.get("/?h=some.test").status, 200);
    std::thread::park_timeout(std::time::Duration::from_millis(2100));
    assert_eq!(edge.get("/?h=some.test").status, 200);
    assert_eq!(names.asked("some.test"), 2);
}

#[test]
fn valid_is_said_over_what_the_answer_says() {
    let names = Names::new(|question| vec![question.with(0, &[[127, 0, 0, 1]])]);
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, "valid=1h;");
    assert_eq!(edge.get("/?h=some.test").status, 200);
    assert_eq!(edge.get("/?h=some.test").status, 200);
    assert_eq!(names.asked("some.test"), 1);
}

#[test]
fn each_address_is_a_peer() {
    let names = Names::new(|question| vec![question.with(60, &[[127, 0, 0, 2], [127, 0, 0, 3]])]);
    let edge = names.edge(Site::new(), ";");
    let response = edge.get("/?h=two.test");
    let port = edge.site.port("PORT1");
    let asked = format!("127.0.0.2:{port}, 127.0.0.3:{port}");
    assert_eq!((response.status, response.header("x-asked")), (502, Some(asked.as_str())));
}

#[test]
fn a_name_without_addresses_is_502() {
    let names = Names::new(|question| match &*question.name {
        "no.test" => vec![question.failed(NOT_FOUND)],
        "silent.test" => Vec::new(),
        _ => vec![question.with(60, &[])],
    });
    let mut edge = names.edge(Site::new(), "; resolver_timeout 500ms;");
    assert_eq!(edge.get("/?h=no.test").status, 502);
    edge.wait_for_line("error.log", "no.test could not be resolved (3: Host not found)");
    assert_eq!(edge.get("/?h=none.test").status, 502);
    edge.wait_for_line("error.log", "none.test could not be resolved (3: Host not found)");
    assert_eq!(edge.get("/?h=silent.test").status, 502);
    edge.wait_for_line("error.log", "silent.test could not be resolved (110: Operation timed out)");
    // What failed is asked for again.
    assert_eq!(edge.get("/?h=no.test").status, 502);
    assert_eq!(names.asked("no.test"), 2);
}

#[test]
fn who_answers_another_question_is_not_believed() {
    let names = Names::new(|question| {
        let mut wrong_number = question.with(60, &[[127, 0, 0, 9]]);
        wrong_number[0] ^= 1;
        let other = read(&question.bytes, false).with(60, &[[127, 0, 0, 9]]);
        let at = other.windows(5).position(|five| five == b"\x04some").unwrap_or(12);
        let mut wrong_name = other;
        wrong_name[at + 1] = b'x';
        let no_answer = question.bytes.clone();
        let right = question.with(60, &[[127, 0, 0, 1]]);
        vec![wrong_number, wrong_name, no_answer, b"short".to_vec(), right]
    });
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, "ipv6=off;");
    assert_eq!(edge.get("/?h=some.test").text(), "here");
}

#[test]
fn what_does_not_fit_is_asked_for_by_tcp() {
    let names = Names::new(|question| {
        let mut message = question.with(60, &[[127, 0, 0, 1]]);
        if !question.by_tcp {
            message = question.with(60, &[]);
            message[2] |= TRUNCATED;
        }
        vec![message]
    });
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, ";");
    assert_eq!(edge.get("/?h=large.test").text(), "here");
}

#[test]
fn many_who_wait_for_one_name_ask_once() {
    let names = Names::new(|question| {
        std::thread::park_timeout(std::time::Duration::from_millis(300));
        vec![question.with(60, &[[127, 0, 0, 1]])]
    });
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, "ipv6=off;");
    let mut clients: Vec<_> = (0..8).map(|_| edge.connect()).collect();
    for client in &mut clients {
        let request = b"GET /?h=some.test HTTP/1.1\r\nHost: x\r\n\r\n";
        client.write_all(request).expect("the edge listens");
    }
    for client in &mut clients {
        assert_eq!(read_response(client, "GET").text(), "here");
    }
    assert_eq!(names.asked("some.test"), 1);
}

#[test]
fn a_failure_is_not_remembered() {
    let names = Names::new(|question| match question.times {
        0 | 1 => vec![question.failed(NOT_FOUND)],
        _ => vec![question.with(60, &[[127, 0, 0, 1]])],
    });
    let site = Site::new();
    let _peer = here(&site);
    let edge = names.edge(site, "ipv6=off;");
    assert_eq!(edge.get("/?h=late.test").status, 502);
    assert_eq!(edge.get("/?h=late.test").text(), "here");
}

#[test]
fn without_a_resolver_nothing_is_asked() {
    let site = Site::new();
    let mut edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://$arg_h; } }",
    );
    assert_eq!(edge.get("/?h=some.test").status, 502);
    edge.wait_for_line("error.log", "no resolver defined to resolve some.test");
    assert_eq!(edge.get("/?h=some.test:port").status, 500);
}

#[test]
fn what_a_resolver_may_not_be() {
    let refused = |directive: &str| {
        let site = Site::new();
        site.write("nginx.conf", site.config(directive));
        let output = site.run(&["-t"]);
        assert!(!output.status.success(), "{directive}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused("resolver valid=1s;").contains("no name servers defined"));
    assert!(refused("resolver 127.0.0.1 valid=x;").contains("invalid parameter: valid=x"));
    assert!(refused("resolver 127.0.0.1 ipv6=no;").contains("invalid parameter: ipv6=no"));
    assert!(refused("resolver nowhere.invalid;").contains("host not found in resolver"));
}
