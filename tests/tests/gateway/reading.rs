//! Requests as clients send them: too large, too slowly, under names that pass for others.

use std::io::Write;

use crate::stack::{Gateway, start};

#[test]
fn limits_have_their_own_statuses() {
    let flags = ["--limit-request-line", "100", "--limit-request-fields", "4"];
    let more = ["--limit-request-field_size", "50", "--limit-request-body", "10"];
    let gateway = start(&[&flags[..], &more].concat());
    let long = "x".repeat(200);
    assert_eq!(gateway.get(&format!("/{long}")).status, 414);
    let with = |fields: &str| {
        gateway
            .send(&format!("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}"))
            .status
    };
    assert_eq!(with(&format!("X: {long}\r\n\r\n")), 431);
    assert_eq!(with("A: 1\r\nB: 2\r\nC: 3\r\n\r\n"), 431);
    assert_eq!(with("Content-Length: 11\r\n\r\n"), 413);
    assert_eq!(with("Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"), 413);
    assert_eq!(with("Content-Length: 10\r\n\r\nhelloworld"), 200);
}

/// The value of a variable in what `/env` answers.
fn variable(gateway: &Gateway, fields: &str, name: &str) -> Option<String> {
    let request =
        format!("GET /env/a%20b?q HTTP/1.1\r\nHost: h:81\r\nConnection: close\r\n{fields}\r\n");
    let text = gateway.send(&request).text();
    let prefix = format!("{name}=");
    text.lines().find_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
}

#[test]
fn a_header_does_not_pass_for_another() {
    let gateway = start(&["--forwarded-allow-ips", "10.0.0.1"]);
    let user = variable(&gateway, "X-User: me\r\nX_User: root\r\n", "HTTP_X_USER");
    assert_eq!(user.as_deref(), Some("me"));
    assert_eq!(variable(&gateway, "X_User: root\r\n", "HTTP_X_USER"), None);
    gateway.log.wait_for("header \"X_User\" from 127.0.0.1 is dropped");
    assert_eq!(gateway.log.count("is dropped"), 1, "each name once");
    assert_eq!(variable(&gateway, "Script_Name: /x\r\n", "SCRIPT_NAME").as_deref(), Some(""));
    assert_eq!(
        variable(&gateway, "CAUSEWAY_SERVER_TIMING: on\r\n", "CAUSEWAY_SERVER_TIMING"),
        None
    );
    let scheme = variable(&gateway, "X-Forwarded-Proto: https\r\n", "wsgi.url_scheme");
    assert_eq!(scheme.as_deref(), Some("http"));
    assert_eq!(variable(&gateway, "", "PATH_INFO").as_deref(), Some("/env/a b"));
    assert_eq!(variable(&gateway, "", "RAW_URI").as_deref(), Some("/env/a%20b?q"));
    let trusting = start(&[]);
    let scheme = variable(&trusting, "X-Forwarded-Proto: https\r\n", "wsgi.url_scheme");
    assert_eq!(scheme.as_deref(), Some("https"));
}

#[test]
fn slow_clients_hold_nobody() {
    let gateway = start(&["--workers", "1"]);
    let mut silent: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    let halves = [
        "GET / HT",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhe",
    ];
    for (index, stream) in silent.iter_mut().enumerate() {
        stream.write_all(halves[index % 2].as_bytes()).unwrap();
    }
    assert_eq!(gateway.get("/").status, 200, "the only worker is free");
    let mut slow = silent.swap_remove(1);
    slow.write_all(b"llo").unwrap();
    assert_eq!(slow.answer().text(), "hello");
}
