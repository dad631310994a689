//! Status, headers, `exc_info`: what is taken, what is refused, and when.

use crate::host::Host;

#[test]
fn a_head_may_be_replaced_until_it_is_sent() {
    let answer = Host::start("start_response").get("/replaced_before_sent");
    assert_eq!((answer.status(), answer.text()), (503, "second"));
    assert_eq!((answer.field("X-First"), answer.field("X-Second")), (None, Some("yes".into())));
}

#[test]
fn once_it_is_sent_the_exception_comes_back() {
    let host = Host::start("start_response");
    let answer = host.get("/raised_after_sent");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (200, "first part", 1));
    assert!(host.log().contains("ValueError: after the head was sent"), "{}", host.log());
}

#[test]
fn valid_heads() {
    let host = Host::start("start_response");
    let get = |path| host.get(path);
    assert_eq!(get("/none_exc_info").text(), "fine");
    let answer = get("/head_only");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (202, "", 0));
    assert_eq!(answer.head.unwrap().reason(), b"Accepted");
    let answer = get("/iterable_of_lists");
    assert_eq!((answer.text(), answer.field("X-List")), ("ab", Some("taken".into())));
    let answer = get("/latin1");
    assert_eq!(answer.field("X-Name"), Some("caf\u{e9}".into()));
    assert_eq!(answer.field("X-Padded"), Some("value".into()));
    assert_eq!(answer.head.unwrap().reason(), b"Tr\xe8s bien");
    assert_eq!(get("/no_reason").status(), 299);
    assert_eq!(get("/same_length_twice").head.unwrap().fields().count(), 1);
    assert_eq!(get("/length").field("Content-Length"), Some("4".into()));
    assert_eq!(host.log(), "");
}

#[test]
fn responses_without_a_body() {
    let host = Host::start("start_response");
    let answer = host.get("/no_content");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (204, "", 0));
    assert_eq!(
        (answer.field("Content-Length"), answer.field("X-Kept")),
        (None, Some("yes".into()))
    );
    let answer = host.get("/not_modified");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (304, "", 0));
    let answer = host.connect().request("/length", &[("REQUEST_METHOD", "HEAD")], b"");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (200, "", 0));
    assert_eq!(answer.field("Content-Length"), Some("4".into()));
    assert_eq!(host.log(), "");
}

#[test]
fn a_body_that_is_not_as_long_as_it_says() {
    let host = Host::start("start_response");
    let answer = host.get("/too_long");
    assert_eq!((answer.text(), answer.app_status()), ("bod", 0));
    let answer = host.get("/too_short");
    assert_eq!((answer.text(), answer.app_status()), ("body", 1));
    let log = host.log();
    for line in [
        "[ERROR] Response body of GET /too_long is 1 bytes beyond its Content-Length\n",
        "[ERROR] Response body of GET /too_short is 1 bytes short of its Content-Length\n",
    ] {
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn invalid_heads_are_500_and_say_why() {
    let host = Host::start("start_response");
    let mut client = host.connect();
    for (path, reason) in [
        ("status_is_bytes", "TypeError: the status is not a string"),
        ("status_is_number", "TypeError: the status is not a string"),
        ("status_is_word", "ValueError: invalid status \"OK\""),
        ("status_is_long", "ValueError: invalid status \"2000 OK\""),
        ("status_breaks_line", "ValueError: invalid status \"200 OK\\r\\nX-Evil: 1\""),
        ("status_is_interim", "ValueError: invalid status \"100 Continue\""),
        ("status_beyond_latin1", "ValueError: the status has a character beyond Latin-1"),
        ("name_is_bytes", "TypeError: a header name is not a string"),
        ("name_is_empty", "ValueError: invalid header name \"\""),
        ("name_has_space", "ValueError: invalid header name \"X Y\""),
        ("name_has_colon", "ValueError: invalid header name \"X:\""),
        ("value_is_number", "TypeError: a header value is not a string"),
        ("value_breaks_line", "ValueError: invalid value of header \"X-Secret\""),
        ("value_has_nul", "ValueError: invalid value of header \"X\""),
        ("value_beyond_latin1", "ValueError: a header value has a character beyond Latin-1"),
        ("three_parts", "ValueError: a header is a pair of name and value"),
        ("bad_length", "ValueError: invalid Content-Length"),
        ("two_lengths", "ValueError: invalid Content-Length"),
        ("hop_by_hop_breaks_line", "ValueError: invalid value of header \"Connection\""),
        ("twice", "AssertionError: start_response was called before"),
        ("never", "AssertionError: the application has not called start_response"),
        ("never_and_empty", "AssertionError: the application has not called start_response"),
    ] {
        let answer = client.get(&format!("/{path}"));
        assert_eq!((answer.status(), answer.app_status()), (500, 0), "{path}");
        assert!(answer.text().contains("Internal Server Error"));
        let log = host.log();
        let entry = log.split("[ERROR] ").last().unwrap();
        assert!(entry.starts_with(&format!("Error handling request GET /{path}\n")), "{entry}");
        assert!(entry.contains(reason), "{path}: {entry}");
    }
    assert!(!host.log().contains("hidden"), "a header's value is not for the log");
}

#[test]
fn hop_by_hop_headers_are_dropped_and_that_is_said_once() {
    let host = Host::start("start_response");
    let mut client = host.connect();
    for _ in 0..2 {
        let answer = client.get("/hop_by_hop");
        assert_eq!((answer.status(), answer.text()), (200, "body"));
        for name in ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"] {
            assert_eq!(answer.field(name), None, "{name}");
        }
        assert_eq!(answer.field("X-Kept").as_deref(), Some("yes"));
    }
    let log = host.log();
    for name in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
        let line = format!("[WARNING] header \"{name}\" of the application is dropped: ");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
    assert_eq!(log.lines().count(), 4, "{log}");
}

#[test]
fn a_header_called_status_is_not_taken_for_the_status() {
    let host = Host::start("start_response");
    let mut client = host.connect();
    // nginx, which would take the last for the status, as CGI has only one.
    for _ in 0..2 {
        let answer = client.get("/status_as_header");
        assert_eq!((answer.status(), answer.field("Status")), (200, None));
    }
    let line = "[WARNING] header \"status\" of the application is dropped: to a web server";
    assert_eq!(host.log().matches(line).count(), 1, "{}", host.log());
    let answer = client.request("/status_as_header", &[("CAUSEWAY_GATEWAY", "1")], b"");
    assert_eq!((answer.status(), answer.field("Status")), (200, Some("404 Not Found".into())));
}

#[test]
fn beyond_its_content_length_an_endless_body_is_stopped() {
    let host = Host::start("start_response");
    let answer = host.get("/endless");
    assert_eq!((answer.text(), answer.app_status()), ("0123456789", 0));
    let log = host.log();
    assert!(log.contains("endless closed\n"), "{log}");
    assert!(log.contains("bytes beyond its Content-Length"), "{log}");
}

#[test]
fn an_exception_that_comes_back_has_the_traceback_it_was_given_with() {
    let host = Host::start("start_response");
    assert_eq!(host.get("/raised_after_sent").app_status(), 1);
    let log = host.log();
    assert!(log.contains("in where_it_was_raised\n"), "{log}");
}

#[test]
fn applications_and_iterables_of_every_kind() {
    let host = Host::start("start_response");
    for path in ["/by_keyword", "/old_sequence", "/class", "/bytes_subclass"] {
        let answer = host.get(path);
        assert_eq!((answer.text(), answer.app_status()), ("body", 0), "{path}: {}", host.log());
    }
}

#[test]
fn nothing_can_be_sent_after_the_request() {
    let host = Host::start("start_response");
    let mut client = host.connect();
    assert_eq!(client.get("/kept_too_long").text(), "kept");
    assert_eq!(client.get("/kept_too_long").text(), "the request has ended");
}
