//! Which server a host means.

use crate::server::Edge;

const CONF: &str = r#"
server { listen 127.0.0.1:%%PORT%%; server_name first; location / { return 200 "first $host"; } }
server { listen 127.0.0.1:%%PORT%% default_server; server_name second; location / { return 200 "second $host"; } }
server { listen 127.0.0.1:%%PORT%%; server_name example.org .dot.org; location / { return 200 "exact"; } }
server { listen 127.0.0.1:%%PORT%%; server_name *.example.org; location / { return 200 "star"; } }
server { listen 127.0.0.1:%%PORT%%; server_name *.long.example.org; location / { return 200 "long star"; } }
server { listen 127.0.0.1:%%PORT%%; server_name www.trail.*; location / { return 200 "trail"; } }
server { listen 127.0.0.1:%%PORT%%; server_name ~^(?<user>\w+)\.users\.net$ ~^p(\d+)$; location / { return 200 "$user|$1|$server_name"; } }
server { listen 127.0.0.1:%%PORT%%; server_name ""; location / { return 200 "none"; } }
server { listen 127.0.0.1:%%PORT%%; server_name [::1]; location / { return 200 "six"; } }
server { listen 127.0.0.1:%%PORT%%; server_name first; location / { return 200 "never"; } }
server { listen 127.0.0.1:%%PORT1%%; server_name lone; location / { return 200 "lone"; } }
"#;

#[test]
fn names_masks_and_patterns() {
    let edge = Edge::start(CONF);
    for (host, expected) in [
        ("first", "first first"),
        ("FIRST", "first first"),
        ("first:8080", "first first"),
        ("first.", "first first"),
        ("unknown", "second unknown"),
        ("example.org", "exact"),
        ("dot.org", "exact"),
        ("a.b.dot.org", "exact"),
        ("a.example.org", "star"),
        ("a.b.example.org", "star"),
        ("x.long.example.org", "long star"),
        ("www.trail.net", "trail"),
        ("www.trail.co.uk", "trail"),
        ("trail.net", "second trail.net"),
        ("bob.users.net", "bob|bob|~^(?<user>\\w+)\\.users\\.net$"),
        ("p42", "|42|~^(?<user>\\w+)\\.users\\.net$"),
        ("[::1]:80", "six"),
    ] {
        let response = edge.request("GET", "/", &[&format!("Host: {host}")], b"");
        assert_eq!(response.text(), expected, "{host}");
    }
    let response = edge.request_to("PORT1", "GET", "/", &["Host: first"], b"");
    assert_eq!(response.text(), "lone", "names belong to their address");
}

#[test]
fn a_host_may_be_absent_or_in_the_target() {
    let edge = Edge::start(CONF);
    let body = |request: &str| {
        let response = String::from_utf8(edge.raw(request.as_bytes())).expect("text");
        response.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
    };
    assert_eq!(body("GET / HTTP/1.0\r\n\r\n"), "none");
    let absolute = "GET http://example.org/ HTTP/1.1\r\nHost: first\r\nConnection: close\r\n\r\n";
    assert_eq!(body(absolute), "exact", "the target's host counts");
    assert_eq!(body("GET HTTP://FIRST:99 HTTP/1.0\r\n\r\n"), "first first");
}

#[test]
fn a_name_that_is_taken_is_a_warning() {
    let edge = Edge::start(CONF);
    let said = edge.error_log() + &edge.stderr();
    let port = edge.site.port("PORT");
    let warning = format!("conflicting server name \"first\" on 127.0.0.1:{port}, ignored");
    assert!(said.contains(&warning), "{said}");
}
