//! Parts leave as they are made.

use crate::host::{Arrival, Host, begin};

#[test]
fn each_part_arrives_before_the_next_is_made() {
    let host = Host::start("streaming");
    let mut client = host.connect();
    client.send(&begin("/step_by_step", &[]));
    assert!(matches!(client.next(), Arrival::Head(_)));
    for number in 0..3 {
        let Arrival::Body(part) = client.next() else { panic!("{}", host.log()) };
        assert_eq!(part, format!("part {number}\n"));
        // Only now may the application go on.
        client.stdin(b"!");
    }
    client.stdin(b"");
    let rest = client.answer();
    assert_eq!((rest.text(), rest.app_status()), ("the end", 0));
}

#[test]
fn large_bodies_arrive_whole() {
    let host = Host::start("streaming");
    let mut client = host.connect();
    for path in ["/large_parts", "/large_list"] {
        let answer = client.get(path);
        assert_eq!((answer.body.len(), answer.app_status()), (80 * 16 * 8192, 0));
        assert!(answer.body.chunks(16).all(|part| part == b"0123456789abcdef"));
    }
}

#[test]
fn an_abort_ends_an_endless_response() {
    let host = Host::start("streaming");
    let mut client = host.connect();
    let mut wire = begin("/endless", &[]);
    fastcgi::stdin_end(&mut wire, 1);
    client.send(&wire);
    assert!(matches!(client.next(), Arrival::Head(_)));
    let mut abort = Vec::new();
    fastcgi::abort_request(&mut abort, 1);
    client.send(&abort);
    assert_eq!(client.answer().app_status(), 1);
    assert_eq!(host.log(), "the endless one was closed\n");
    assert_eq!(client.request("/large_list", &[], b"").app_status(), 0);
}

#[test]
fn a_client_that_leaves_ends_an_endless_response() {
    let host = Host::start("streaming");
    let mut client = host.connect();
    client.send(&begin("/endless", &[]));
    assert!(matches!(client.next(), Arrival::Head(_)));
    drop(client);
    // The one thread is free again: otherwise nobody would answer.
    assert_eq!(host.get("/large_list").app_status(), 0);
    assert_eq!(host.log(), "the endless one was closed\n");
}
