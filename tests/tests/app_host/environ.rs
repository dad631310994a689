//! What the application finds in environ.

use crate::host::{Answer, Host, Setup};

/// `key: type: repr`.
fn entry(answer: &Answer, key: &str) -> Option<String> {
    let start = format!("{key}: ");
    let line = answer.text().lines().find(|line| line.starts_with(&start));
    line.map(|line| line[start.len()..].to_owned())
}

#[track_caller]
fn check(answer: &Answer, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(entry(answer, key).as_deref(), Some(*value), "{key}\n{}", answer.text());
    }
}

#[test]
fn what_the_gateway_sends_is_what_pep_3333_wants() {
    let host = Host::start("environ");
    let answer = host.connect().request(
        "/some/path",
        &[("HTTP_HOST", "localhost"), ("CONTENT_TYPE", "text/plain"), ("CONTENT_LENGTH", "2")],
        b"hi",
    );
    check(
        &answer,
        &[
            ("REQUEST_METHOD", "str: 'GET'"),
            ("SCRIPT_NAME", "str: ''"),
            ("PATH_INFO", "str: '/some/path'"),
            ("RAW_URI", "str: '/some/path'"),
            ("HTTP_HOST", "str: 'localhost'"),
            ("CONTENT_TYPE", "str: 'text/plain'"),
            ("CONTENT_LENGTH", "str: '2'"),
            ("SERVER_PROTOCOL", "str: 'HTTP/1.1'"),
            ("wsgi.version", "tuple: (1, 0)"),
            ("wsgi.url_scheme", "str: 'http'"),
            ("wsgi.multithread", "bool: False"),
            ("wsgi.multiprocess", "bool: False"),
            ("wsgi.run_once", "bool: False"),
            ("wsgi.input_terminated", "bool: True"),
        ],
    );
    assert!(entry(&answer, "wsgi.input").unwrap().starts_with("Input: "));
    assert!(entry(&answer, "wsgi.errors").unwrap().starts_with("Errors: "));
    assert!(
        entry(&answer, "wsgi.early_hints").unwrap().starts_with("builtin_function_or_method: ")
    );
    assert!(entry(&answer, "wsgi.file_wrapper").unwrap().starts_with("type: "));
}

#[test]
fn threads_and_processes_are_told() {
    let mut setup = Setup::of("environ").threads(2);
    setup.options.processes = 3;
    let answer = setup.start().get("/");
    check(&answer, &[("wsgi.multithread", "bool: True"), ("wsgi.multiprocess", "bool: True")]);
}

#[test]
fn bytes_become_characters_one_to_one() {
    let host = Host::start("environ");
    let answer = host.connect().request("/caf\u{e9}/\u{20ac}", &[], b"");
    check(&answer, &[("PATH_INFO", r"str: '/cafÃ©/â\x82¬'")]);
}

#[test]
fn nothing_of_a_request_is_left_for_the_next() {
    let host = Host::start("environ");
    let mut client = host.connect();
    let long = "x".repeat(1000);
    for value in ["a", "b", &long, "b"] {
        let answer = client.request("/", &[("HTTP_X_ONE", value), ("HTTP_X_TWO", "same")], b"");
        check(
            &answer,
            &[("HTTP_X_ONE", &format!("str: '{value}'")), ("HTTP_X_TWO", "str: 'same'")],
        );
    }
    let answer = client.get("/");
    assert_eq!((entry(&answer, "HTTP_X_ONE"), entry(&answer, "HTTP_X_TWO")), (None, None));
}

#[test]
fn more_names_than_are_kept_work_too() {
    let host = Host::start("environ");
    let mut client = host.connect();
    for number in 0..600 {
        let name = format!("HTTP_X_{number}");
        let answer = client.request("/", &[(&name, "value")], b"");
        check(&answer, &[(&name, "str: 'value'")]);
    }
}

#[test]
fn what_is_between_the_hops_stays_between_them() {
    let host = Host::start("environ");
    let answer = host.connect().request(
        "/",
        &[
            ("CAUSEWAY_SERVER_TIMING", "on"),
            ("CAUSEWAY_ANYTHING", "x"),
            ("FCGI_ROLE", "RESPONDER"),
            ("wsgi.errors", "not a stream"),
            ("wsgi.run_once", "1"),
            ("HTTP_CONTENT_LENGTH", "7"),
            ("HTTP_CONTENT_TYPE", "x"),
        ],
        b"",
    );
    for absent in ["CAUSEWAY_", "FCGI_", "HTTP_CONTENT", "not a stream"] {
        assert!(!answer.text().contains(absent), "{absent}");
    }
    check(&answer, &[("wsgi.run_once", "bool: False")]);
}

#[test]
fn what_nginx_sends_is_understood() {
    let host = Host::start("environ");
    let nginx = [
        ("SCRIPT_NAME", "/a b/c"),
        ("DOCUMENT_URI", "/a b/c"),
        ("REQUEST_URI", "/a%20b/c?q=1"),
        ("REQUEST_SCHEME", "https"),
        ("HTTPS", "on"),
        ("CONTENT_LENGTH", ""),
    ];
    check(
        &request(&host, &nginx),
        &[
            ("SCRIPT_NAME", "str: ''"),
            ("PATH_INFO", "str: '/a b/c'"),
            ("RAW_URI", "str: '/a%20b/c?q=1'"),
            ("wsgi.url_scheme", "str: 'https'"),
            ("SERVER_NAME", "str: 'localhost'"),
            ("SERVER_PORT", "str: '443'"),
        ],
    );
}

/// As `Client::request` does, but without the gateway's own names.
fn request(host: &Host, params: &[(&str, &str)]) -> Answer {
    let mut wire = Vec::new();
    let mut request = fastcgi::RequestWriter::begin(&mut wire, 1, fastcgi::KeepConnection::Yes);
    request.param(b"REQUEST_METHOD", b"GET");
    for (name, value) in params {
        request.param(name.as_bytes(), value.as_bytes());
    }
    request.params_end();
    fastcgi::stdin_end(&mut wire, 1);
    let mut client = host.connect();
    client.send(&wire);
    client.answer()
}

#[test]
fn the_server_always_has_a_name_and_a_port() {
    let host = Host::start("environ");
    let check_server = |params: &[(&str, &str)], name: &str, port: &str| {
        let expected =
            [("SERVER_NAME", format!("str: '{name}'")), ("SERVER_PORT", format!("str: '{port}'"))];
        let expected = expected.each_ref().map(|(key, value)| (*key, value.as_str()));
        check(&request(&host, params), &expected);
    };
    // nginx: `server_name ""`, which is its default.
    let nginx = [("SERVER_NAME", ""), ("SERVER_PORT", "8080"), ("SERVER_ADDR", "10.0.0.1")];
    check_server(&nginx, "10.0.0.1", "8080");
    let named = [("SERVER_NAME", ""), ("SERVER_PORT", "8080"), ("HTTP_HOST", "example:81")];
    check_server(&named, "example", "8080");
    check_server(&[("HTTP_HOST", "[::1]:81")], "[::1]", "81");
    check_server(&[("HTTP_HOST", "[::1]")], "[::1]", "80");
    check_server(&[("HTTPS", "on"), ("HTTP_HOST", "example")], "example", "443");
    check_server(&[], "localhost", "80");
    // The gateway says what gunicorn says, even that there is none.
    check_server(&[("CAUSEWAY_GATEWAY", "1"), ("SERVER_NAME", "x"), ("SERVER_PORT", "")], "x", "");
}

#[test]
fn a_request_without_a_method_is_an_error() {
    let host = Host::start("environ");
    let answer = host.connect().request("/", &[("REQUEST_METHOD", "")], b"");
    assert_eq!(answer.status(), 500);
    assert!(host.log().contains("ValueError: a request without REQUEST_METHOD"), "{}", host.log());
}
