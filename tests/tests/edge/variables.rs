//! The variables every request has, as nginx gives them.

use std::io::Write;

use crate::server::{Edge, is_nginx, read_response};

/// What each name is, for one request, in one answer.
fn check(request: &str, expected: &[(&str, &str)]) {
    let lines: String = expected.iter().map(|(name, _)| format!("{name}=[${name}]\n")).collect();
    let edge = Edge::start(&format!(
        "server {{ listen 127.0.0.1:%%PORT%%; server_name first.test second.test;\n\
         location / {{ return 200 '{lines}'; }} }}"
    ));
    let response = edge.raw(edge.site.fill(request).as_bytes());
    let response = String::from_utf8(response).expect("the answer is text");
    let (_, body) = response.split_once("\r\n\r\n").expect("the head has an end");
    let wanted: String =
        expected.iter().map(|(name, value)| format!("{name}=[{value}]\n")).collect();
    assert_eq!(body, edge.site.fill(&wanted), "{request}");
}

#[test]
fn of_the_request_line() {
    check(
        "GET /a%20b/../c?x=1&Y=2&x=3 HTTP/1.0\r\nHost: Second.TEST:80\r\n\r\n",
        &[
            ("request", "GET /a%20b/../c?x=1&Y=2&x=3 HTTP/1.0"),
            ("request_method", "GET"),
            ("request_uri", "/a%20b/../c?x=1&Y=2&x=3"),
            ("uri", "/c"),
            ("document_uri", "/c"),
            ("args", "x=1&Y=2&x=3"),
            ("query_string", "x=1&Y=2&x=3"),
            ("is_args", "?"),
            ("arg_x", "1"),
            ("arg_y", "2"),
            ("arg_z", ""),
            ("server_protocol", "HTTP/1.0"),
            ("host", "second.test"),
            ("server_name", "first.test"),
            ("scheme", "http"),
            ("https", ""),
            ("http_host", "Second.TEST:80"),
        ],
    );
}

#[test]
fn of_the_fields() {
    check(
        "POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\
         Content-Type: text/plain\r\nCookie: a=1; b=two\r\nX-Forwarded-For: 1.1.1.1\r\n\
         X-Forwarded-For: 2.2.2.2\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\n\r\nabc",
        &[
            ("content_length", "3"),
            ("content_type", "text/plain"),
            ("cookie_a", "1"),
            ("cookie_b", "two"),
            ("cookie_c", ""),
            ("http_cookie", "a=1; b=two"),
            ("http_x_forwarded_for", "1.1.1.1, 2.2.2.2"),
            ("remote_user", "alice"),
            ("http_none", ""),
            ("is_args", ""),
            ("args", ""),
        ],
    );
}

#[test]
fn of_the_place() {
    check(
        "GET /f HTTP/1.0\r\n\r\n",
        &[
            ("remote_addr", "127.0.0.1"),
            ("server_addr", "127.0.0.1"),
            ("server_port", "%%PORT%%"),
            ("host", "first.test"),
            ("document_root", "%%DIR%%"),
            ("request_filename", "%%DIR%%/f"),
            ("connection_requests", "1"),
            ("request_length", "19"),
        ],
    );
}

#[test]
fn of_what_was_sent() {
    let edge = Edge::start(
        "log_format sent '$status $body_bytes_sent $request_completion '\n\
         '$sent_http_connection $sent_http_content_length $sent_http_none';\n\
         access_log %%DIR%%/sent.log sent;\n\
         log_format size '$bytes_sent'; access_log %%DIR%%/size.log size;\n\
         server { listen 127.0.0.1:%%PORT%%;\n\
         location / { return 200 hello; } }",
    );
    let raw = edge.raw(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(edge.site.read("sent.log"), "200 5 OK close 5 -\n");
    assert_eq!(edge.site.read("size.log"), format!("{}\n", raw.len()));
}

#[test]
fn of_a_connection_that_goes_on() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; location / { return 200 $connection_requests; } }",
    );
    let mut stream = edge.connect();
    for number in 1..=3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(read_response(&mut stream, "GET").text(), number.to_string());
    }
}

#[test]
fn shapes_of_what_changes() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; location / { return 200 \
         '$request_id $request_id\n$msec\n$request_time\n$time_iso8601\n$pid\n$nginx_version'; } }",
    );
    let response = edge.get("/");
    let lines: Vec<&str> = response.text().lines().collect();
    let (id, again) = lines[0].split_once(' ').unwrap();
    assert!(id == again && id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(edge.get("/").text().lines().next(), Some(lines[0]));
    let number = |text: &str| {
        let (seconds, milliseconds) = text.split_once('.').unwrap();
        assert_eq!(milliseconds.len(), 3, "{text}");
        seconds.parse::<u64>().unwrap()
    };
    assert!(number(lines[1]) > 1_700_000_000);
    assert_eq!(number(lines[2]), 0);
    assert_eq!(lines[3].len(), "2026-11-22T17:00:00+00:00".len());
    let workers = edge.children();
    assert!(workers.iter().any(|worker| worker.to_string() == lines[4]), "{lines:?}");
    assert!(is_nginx() || lines[5] == "1.31.5");
}
