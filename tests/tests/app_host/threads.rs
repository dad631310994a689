//! Threads truly overlap: whoever waits, for a body or for a peer that does not read, holds nothing
//! that others need.

use std::collections::HashSet;
use std::thread;

use crate::host::{Arrival, Client, Setup, begin};

#[test]
fn as_many_requests_as_threads_wait_for_each_other() {
    let host = Setup::of("threads").threads(8).start();
    // Twice: the second time on connections that are kept.
    let mut clients: Vec<_> = (0..8).map(|_| host.connect()).collect();
    for _ in 0..2 {
        let names: HashSet<String> = thread::scope(|scope| {
            let get = |client: &mut Client| {
                let answer = client.get("/meet");
                assert_eq!(answer.app_status(), 0, "{}", answer.text());
                answer.text().to_owned()
            };
            let requests: Vec<_> =
                clients.iter_mut().map(|client| scope.spawn(move || get(client))).collect();
            requests.into_iter().map(|request| request.join().unwrap()).collect()
        });
        assert_eq!(names.len(), 8, "{names:?}");
    }
}

#[test]
fn a_request_that_waits_for_its_body_holds_nobody_up() {
    let host = Setup::of("threads").threads(2).start();
    for path in ["/read", "/readline"] {
        let mut waits = host.connect();
        waits.send(&begin(path, &[]));
        assert_eq!(host.get("/beside").text(), "4999950000", "{path}");
        waits.stdin(b"at last");
        waits.stdin(b"");
        assert_eq!(waits.answer().text(), "at last");
    }
}

#[test]
fn a_request_whose_peer_does_not_read_holds_nobody_up() {
    let host = Setup::of("threads").threads(2).start();
    let path = host.scratch.path().join("file");
    std::fs::write(&path, vec![b'x'; 50_000_000]).unwrap();
    let file = path.to_str().unwrap();
    for path in ["/write", "/parts", "/file"] {
        let mut waits = host.connect();
        let mut wire = begin(path, &[("TEST_FILE", file)]);
        fastcgi::stdin_end(&mut wire, 1);
        waits.send(&wire);
        assert!(matches!(waits.next(), Arrival::Head(_)));
        assert_eq!(host.get("/beside").text(), "4999950000", "{path}");
        let answer = waits.answer();
        assert_eq!((answer.body.len(), answer.app_status()), (50_000_000, 0), "{path}");
    }
}
