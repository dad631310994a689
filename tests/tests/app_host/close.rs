//! `close()` is called, whatever happened.

use crate::host::{Arrival, Host, begin};

#[test]
fn close_is_called_whatever_happens() {
    let host = Host::start("close");
    let mut client = host.connect();
    for (path, method, status, body, app_status) in [
        ("/all", "GET", 200, "all", 0),
        ("/all", "HEAD", 200, "", 0),
        ("/empty", "GET", 200, "", 0),
        ("/no_body", "GET", 204, "", 0),
        ("/fails", "GET", 200, "some", 1),
        ("/fails_first", "GET", 500, "error page", 0),
        ("/not_bytes", "GET", 500, "error page", 0),
        ("/close_fails", "GET", 200, "whole", 0),
    ] {
        let before = host.log().matches("closed ").count();
        let answer = client.request(path, &[("REQUEST_METHOD", method)], b"");
        assert_eq!((answer.status(), answer.app_status()), (status, app_status), "{path}");
        if status != 500 {
            assert_eq!(answer.text(), body, "{path}");
        }
        let log = host.log();
        assert_eq!(log.matches("closed ").count(), before + 1, "{path}: {log}");
        assert!(log.contains(&format!("closed {path}\n")), "{path}: {log}");
    }
    assert!(host.log().contains("RuntimeError: in close"));
}

#[test]
fn the_client_has_the_body_before_close_is_called() {
    let host = Host::start("close");
    let mut client = host.connect();
    client.send(&begin("/close_waits", &[]));
    assert!(matches!(client.next(), Arrival::Head(_)));
    assert!(matches!(client.next(), Arrival::Body(part) if part == "whole"));
    client.stdin(b"done");
    client.stdin(b"");
    assert_eq!(client.answer().app_status(), 0, "{}", host.log());
    assert_eq!(host.log(), "closed /close_waits\n");
}
