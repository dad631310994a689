//! Whatever the application does, only its own request ends.

use crate::host::Host;

#[test]
fn every_fault_before_the_head_is_a_500_with_a_traceback() {
    let host = Host::start("faults");
    let mut client = host.connect();
    for (path, error) in [
        ("raises", "RuntimeError: on purpose"),
        ("raises_after_start", "RuntimeError: on purpose"),
        ("exits", "SystemExit: 7"),
        ("interrupts", "KeyboardInterrupt"),
        ("out_of_memory", "MemoryError"),
        ("leaves_a_generator", "GeneratorExit"),
        ("really_out_of_memory", "MemoryError"),
        ("recurses", "RecursionError: "),
        ("recurses_in_c", "RecursionError: "),
        ("raises_in_iter", "RuntimeError: on purpose"),
        ("raises_without_text", "NoText: <"),
        ("returns_none", "TypeError: 'NoneType' object is not iterable"),
        ("returns_text", "TypeError: a response body is made of bytes, not str"),
        ("surrogates", "RuntimeError: lone \\udc80 surrogate"),
        ("no_such_name", "KeyError: 'no_such_name'"),
    ] {
        let answer = client.get(&format!("/{path}"));
        assert_eq!((answer.status(), answer.app_status()), (500, 0), "{path}");
        assert!(answer.text().contains("<h1>Internal Server Error</h1>"));
        assert_eq!(answer.field("Content-Type"), Some("text/html".into()));
        assert_eq!(answer.field("X-Never"), None);
        let log = host.log();
        let entry = log.split("[ERROR] ").last().unwrap();
        assert!(entry.starts_with(&format!("Error handling request GET /{path}\n")), "{entry}");
        assert!(entry.contains(error), "{path}: {entry}");
        // wsgi.errors: an unfinished line is ended with the request.
        assert!(log.ends_with("\nno line end\n"), "{path}: {log}");
    }
    assert_eq!(client.get("/fine").text(), "fine");
}

#[test]
fn a_fault_after_the_head_breaks_the_response_off() {
    let host = Host::start("faults");
    let mut client = host.connect();
    let answer = client.get("/raises_in_the_middle");
    assert_eq!((answer.status(), answer.text(), answer.app_status()), (200, "some", 1));
    assert!(host.log().contains("RuntimeError: on purpose"));
    assert_eq!(client.get("/fine").text(), "fine");
}

#[test]
fn what_ends_a_program_ends_only_the_response() {
    let host = Host::start("faults");
    let mut client = host.connect();
    for (path, text, app_status, error) in [
        ("/exits_in_the_middle", "some", 1, "SystemExit: 7"),
        ("/interrupts_in_the_middle", "some", 1, "KeyboardInterrupt"),
        ("/leaves_a_generator_in_the_middle", "some", 1, "GeneratorExit"),
        ("/exits_in_close", "whole", 0, "SystemExit: in close"),
        ("/raises_in_a_thread", "fine", 0, "Exception in thread "),
        ("/interrupts_the_main_thread", "fine", 0, ""),
    ] {
        let answer = client.get(path);
        let found = (answer.status(), answer.text(), answer.app_status());
        assert_eq!(found, (200, text, app_status), "{path}");
        assert!(host.log().contains(error), "{path}: {}", host.log());
        assert_eq!(client.get("/fine").text(), "fine", "{path}");
    }
}

#[test]
fn a_line_says_when_who_and_which_request() {
    let host = Host::start("faults");
    let mut client = host.connect();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    client.request("/raises", &[("HTTP_TRACEPARENT", trace), ("RAW_URI", "/raises?x=1")], b"");
    let log = host.log();
    let line = log.lines().find(|line| line.contains("Error handling")).unwrap();
    let (time, rest) = line.split_at(28);
    assert!(time.starts_with("[20") && time.ends_with("] "), "{time}");
    let pid = host.child.id();
    let expected = format!(
        "[{pid}] [ERROR] Error handling request GET /raises?x=1 \
         trace=0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(rest, expected);
    assert!(log.contains("\nTraceback (most recent call last):\n"), "{log}");
}
