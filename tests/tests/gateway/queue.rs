//! More to do than workers can: a bounded queue, and clients that are slow, or leave.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::stack::{Gateway, Stream, start};

#[test]
fn a_full_queue_says_so_at_once() {
    let gateway = start(&["--workers", "1", "--queue", "1"]);
    let gate = gateway.gate("gate");
    let held = gateway.begin(&format!("/held?gate={}", gate.path()));
    gateway.log.wait_for("held /held");
    // Of these one waits and the others are told.
    let others: Vec<_> = (0..3).map(|_| gateway.begin("/version")).collect();
    let line = gateway.log.wait_for_nth("503 for GET /version", 2);
    assert!(
        line.contains("the queue is full, 1 requests wait; 1 in workers' hands: GET /held"),
        "{line}"
    );
    gate.open();
    assert_eq!(held.answer().text(), "released");
    let answers: Vec<_> = others.into_iter().map(crate::stack::Stream::answer).collect();
    let shed: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert_eq!((shed.len(), answers.len()), (2, 3));
    assert_eq!(shed[0].header("retry-after"), Some("1"));
    assert!(!shed[0].text().contains("/held"), "other clients' requests are not its business");
}

#[test]
fn a_client_that_left_the_queue_is_not_served() {
    let gateway = start(&["--workers", "1", "--access-logfile", "-"]);
    let gate = gateway.gate("gate");
    let held = gateway.begin(&format!("/held?gate={}", gate.path()));
    gateway.log.wait_for("held /held");
    drop(gateway.begin("/seen?impatient"));
    gateway.log.wait_for("499 for GET /seen?impatient");
    gateway.output.wait_for("\"GET /seen?impatient HTTP/1.1\" 499 ");
    gate.open();
    assert_eq!(held.answer().status, 200);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.log.count("seen GET"), 0);
}

#[test]
fn a_request_that_waits_too_long_is_told_so() {
    let gateway = start(&["--workers", "1", "--queue-timeout", "1"]);
    let gate = gateway.gate("gate");
    let held = gateway.begin(&format!("/held?gate={}", gate.path()));
    gateway.log.wait_for("held /held");
    let answer = gateway.get("/");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    gate.open();
    assert_eq!(held.answer().status, 200);
}

#[test]
fn an_idle_worker_is_found_while_others_are_busy() {
    let gateway = start(&["--workers", "2", "--threads", "2"]);
    gateway.log.wait_for_nth("Booting worker", 2);
    let gates: Vec<_> = (0..3).map(|number| gateway.gate(&format!("gate{number}"))).collect();
    let held: Vec<_> = gates
        .iter()
        .enumerate()
        .map(|(number, gate)| {
            let stream = gateway.begin(&format!("/held?gate={}", gate.path()));
            gateway.log.wait_for_nth("held /held", number + 1);
            stream
        })
        .collect();
    assert_eq!(gateway.get("/").status, 200, "the fourth thread");
    gates.iter().for_each(crate::stack::Gate::open);
    assert!(held.into_iter().all(|stream| stream.answer().status == 200));
}

#[test]
fn a_full_queue_names_the_five_that_have_held_their_workers_longest() {
    let gateway = start(&["--workers", "1", "--threads", "7", "--queue", "0"]);
    let gates: Vec<_> = (0..7).map(|number| gateway.gate(&format!("gate{number}"))).collect();
    let held: Vec<_> = gates
        .iter()
        .enumerate()
        .map(|(number, gate)| {
            let stream = gateway.begin(&format!("/held?number={number}&gate={}", gate.path()));
            gateway.log.wait_for_nth("held /held", number + 1);
            stream
        })
        .collect();
    assert_eq!(gateway.get("/version").status, 503);
    let line = gateway.log.wait_for("503 for GET /version");
    assert!(line.contains("7 in workers' hands, oldest first: GET /held?number=0&"), "{line}");
    let at = |number| line.find(&format!("GET /held?number={number}&"));
    assert!((0..4).all(|number| at(number) < at(number + 1)), "{line}");
    assert!(line.ends_with(", and 2 more") && at(5).is_none(), "{line}");
    gates.iter().for_each(crate::stack::Gate::open);
    assert!(held.into_iter().all(|stream| stream.answer().status == 200));
}

#[test]
fn of_many_clients_that_left_none_reaches_the_application() {
    let gateway = start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let held = gateway.begin(&format!("/held?gate={}", gate.path()));
    gateway.log.wait_for("held /held");
    let stays = gateway.begin("/seen?stays");
    let impatient: Vec<_> = (0..50).map(|_| gateway.begin("/seen?impatient")).collect();
    drop(impatient);
    gateway.log.wait_for_nth("499 for GET /seen?impatient", 50);
    gate.open();
    assert_eq!(held.answer().status, 200);
    assert_eq!(stays.answer().status, 200);
    assert_eq!(gateway.get("/seen?last").status, 200);
    gateway.log.wait_for("seen GET /seen?last");
    assert_eq!(gateway.log.count("seen GET /seen?stays"), 1);
    assert_eq!(gateway.log.count("seen GET /seen?impatient"), 0);
}

/// The 99th percentile of how long so many requests took, one after the other.
fn p99(gateway: &Gateway, mut meanwhile: impl FnMut(usize)) -> Duration {
    let mut times: Vec<Duration> = (0..300)
        .map(|number| {
            meanwhile(number);
            let begun = Instant::now();
            let answer = gateway.get("/version");
            assert_eq!((answer.status, answer.text().as_str()), (200, "one"));
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() * 99 / 100]
}

#[test]
fn clients_that_trickle_or_say_nothing_hold_no_worker() {
    const EACH: usize = 500;
    const AT_ONCE: usize = 25;
    // Of clients, and as many of the gateway, which inherits the limit.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(16_384), most).unwrap();
    let gateway = start(&["--workers", "1", "--threads", "1"]);
    let alone = p99(&gateway, |_| ());
    let _silent: Vec<Stream> = (0..EACH).map(|_| gateway.connect()).collect();
    let head = "POST /seen HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let mut trickling: Vec<Stream> = (0..EACH).map(|_| gateway.connect()).collect();
    for client in &mut trickling {
        client.write_all(head.as_bytes()).unwrap();
    }
    let beside = p99(&gateway, |number| {
        let from = number * AT_ONCE % EACH;
        for client in &mut trickling[from..from + AT_ONCE] {
            client.write_all(b"b").unwrap();
        }
    });
    eprintln!("p99 alone {alone:?}, beside {EACH} that trickle and {EACH} silent ones {beside:?}");
    assert_eq!(gateway.log.count("seen POST"), 0);
}
