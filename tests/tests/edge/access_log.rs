//! One line a request: formats, escapes, conditions, files.

use crate::server::{Edge, Site, is_nginx};

#[test]
fn combined_is_what_everybody_parses() {
    let edge =
        Edge::start("server { listen 127.0.0.1:%%PORT%%; location / { return 200 hello; } }");
    edge.request(
        "GET",
        "/a?b=\"",
        &["Authorization: Basic YWxpY2U6c2VjcmV0", "Referer: http://r/\\", "User-Agent: t\u{e9}st"],
        b"",
    );
    edge.get("/");
    let log = edge.access_log();
    let lines: Vec<&str> = log.lines().collect();
    let (before, after) = lines[0].split_once(" [").unwrap();
    let (time, after) = after.split_once("] ").unwrap();
    assert_eq!(before, "127.0.0.1 - alice");
    assert_eq!(time.len(), "22/Nov/2026:17:00:00 +0000".len());
    assert_eq!(after, "\"GET /a?b=\\x22 HTTP/1.1\" 200 5 \"http://r/\\x5C\" \"t\\xC3\\xA9st\"");
    assert!(lines[1].starts_with("127.0.0.1 - - ["), "{}", lines[1]);
    assert!(lines[1].ends_with("\"GET / HTTP/1.1\" 200 5 \"-\" \"-\""), "{}", lines[1]);
}

#[test]
fn formats_escape_as_they_say() {
    let edge = Edge::start(
        "log_format plain 'p:$http_x' ':$http_gone:$status';\n\
         log_format json escape=json '{\"x\":\"$http_x\",\"gone\":\"$http_gone\"}';\n\
         log_format raw escape=none '$http_x|$http_gone|';\n\
         server { listen 127.0.0.1:%%PORT%%; location / { return 204;\n\
         access_log %%DIR%%/plain.log plain; access_log %%DIR%%/json.log json;\n\
         access_log %%DIR%%/raw.log raw; } }",
    );
    edge.request("GET", "/", &["X: a\"b\\c\td"], b"");
    assert_eq!(edge.site.read("plain.log"), "p:a\\x22b\\x5Cc\\x09d:-:204\n");
    assert_eq!(edge.site.read("json.log"), "{\"x\":\"a\\\"b\\\\c\\td\",\"gone\":\"\"}\n");
    assert_eq!(edge.site.read("raw.log"), "a\"b\\c\td||\n");
    assert_eq!(edge.access_log(), "", "a location's own logs replace the others");
}

#[test]
fn a_log_can_be_off_and_a_line_can_be_unwanted() {
    let edge = Edge::start(
        "log_format uri $uri; server { listen 127.0.0.1:%%PORT%%; access_log %%DIR%%/uri.log uri;\n\
         location / { return 200; }\n\
         location = /favicon.ico { access_log off; return 204; }\n\
         location /if { access_log %%DIR%%/if.log uri if=$arg_log; return 200; } }",
    );
    for path in ["/", "/favicon.ico", "/if", "/if?log=0", "/if?log=1"] {
        edge.get(path);
    }
    assert_eq!(edge.site.read("uri.log"), "/\n");
    assert_eq!(edge.site.read("if.log"), "/if\n");
}

#[test]
fn a_path_may_have_variables() {
    let edge = Edge::start(
        "log_format uri $uri; server { listen 127.0.0.1:%%PORT%%; root %%DIR%%;\n\
         location / { access_log %%DIR%%/by-$arg_to.log uri; return 200; } }",
    );
    for path in ["/1?to=a", "/2?to=b", "/3?to=a"] {
        edge.get(path);
    }
    assert_eq!(edge.site.read("by-a.log"), "/1\n/3\n");
    assert_eq!(edge.site.read("by-b.log"), "/2\n");
}

#[test]
fn a_buffer_is_written_when_the_server_ends() {
    let mut edge = Edge::start(
        "log_format uri $uri; access_log %%DIR%%/uri.log uri buffer=16k;\n\
         server { listen 127.0.0.1:%%PORT%%; location / { return 200; } }",
    );
    edge.get("/waits");
    assert_eq!(edge.site.read("uri.log"), "");
    assert!(edge.stop().success());
    assert_eq!(edge.site.read("uri.log"), "/waits\n");
}

#[test]
fn a_buffer_is_flushed_in_time() {
    let mut edge = Edge::start(
        "log_format uri $uri; access_log %%DIR%%/uri.log uri buffer=16k flush=100ms;\n\
         server { listen 127.0.0.1:%%PORT%%; location / { return 200; } }",
    );
    edge.get("/soon");
    edge.wait_for_line("uri.log", "/soon");
}

#[test]
fn a_refused_request_has_its_line() {
    let edge = Edge::start("server { listen 127.0.0.1:%%PORT%%; }");
    edge.raw(b"GET / HTTP/1.1\r\n\r\n");
    let log = edge.access_log();
    assert!(log.contains("\"GET / HTTP/1.1\" 400 "), "{log}");
}

#[test]
fn slips_in_formats() {
    let refused = |http: &str| {
        let site = Site::new();
        let server = "server { listen 127.0.0.1:%%PORT%%; }";
        site.write("nginx.conf", site.config(&format!("{http}\n{server}")));
        let said = site.run(&["-t"]).stderr;
        String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
    };
    let check = |http: &str, expected: &str| {
        let said = refused(http);
        assert!(said.contains(expected), "{expected}: {said}");
    };
    check("access_log %%DIR%%/x gone;", "unknown log format \"gone\" in ");
    check("log_format a $gone;", "unknown \"gone\" variable");
    check("log_format a x; log_format a y;", "duplicate \"log_format\" name \"a\"");
    check("log_format a escape=x y;", "unknown log format escaping \"x\"");
    check("access_log %%DIR%%/x combined buffer=x;", "invalid buffer size");
    if !is_nginx() {
        check("access_log %%DIR%%/x combined gzip;", "\"gzip\" of \"access_log\"");
        check("access_log syslog:server=x;", "\"syslog:\" of \"access_log\"");
    }
}
