//! One line a request: formats, escapes, conditions, files.

use std::{io::Write, os::unix::net::UnixDatagram, process::Command};

use crate::server::{Edge, PATIENCE, Site, is_nginx, read_response};

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
    check("access_log %%DIR%%/x combined gzip=0;", "invalid compression level \"0\"");
    check("access_log syslog:tag=x;", "no syslog server specified");
    check(
        "access_log syslog:server=127.0.0.1 combined buffer=1k;",
        "logs to syslog cannot be buffered",
    );
    check(
        "open_log_file_cache inactive=1s;",
        "\"open_log_file_cache\" must have \"max\" parameter",
    );
    check("open_log_file_cache max=x;", "invalid \"open_log_file_cache\" parameter \"max=x\"");
}

#[test]
fn a_compressed_log_is_one_gzip_file() {
    let mut edge = Edge::start(
        "log_format uri $uri; access_log %%DIR%%/uri.gz uri gzip;\n\
         server { listen 127.0.0.1:%%PORT%%; location / { return 200; } }",
    );
    edge.get("/first");
    edge.get("/second");
    assert!(edge.stop().success());
    let unpacked = Command::new("gzip").arg("-dc").arg(edge.site.path("uri.gz")).output().unwrap();
    // Each of nginx's processes writes what it has when it ends.
    let text = String::from_utf8_lossy(&unpacked.stdout).into_owned();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["/first", "/second"]);
}

#[test]
fn names_made_for_each_line_are_kept_open() {
    let edge = Edge::start(
        "log_format uri $uri; open_log_file_cache max=3 min_uses=2;\n\
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%;\n\
         location / { access_log %%DIR%%/logs/$arg_to uri; return 200; } }",
    );
    std::fs::create_dir(edge.site.path("logs")).unwrap();
    // One connection, since each of nginx's workers remembers for itself.
    let mut stream = edge.connect();
    let mut get = |path: &str| {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        read_response(&mut stream, "GET");
    };
    ["/1?to=often", "/2?to=often", "/3?to=once"].into_iter().for_each(&mut get);
    // A line is written after its answer, which is all that was waited for.
    get("/?to=once-more");
    std::fs::rename(edge.site.path("logs"), edge.site.path("moved")).unwrap();
    ["/4?to=often", "/5?to=once", "/?to=once-more"].into_iter().for_each(&mut get);
    assert_eq!(edge.site.read("moved/often"), "/1\n/2\n/4\n");
    assert_eq!(edge.site.read("moved/once"), "/3\n");
}

/// A way out of the folder of logs that came with the request.
#[test]
fn no_log_is_written_above_what_the_file_names() {
    if is_nginx() {
        return; // It writes there.
    }
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%; location / {\n\
         access_log %%DIR%%/logs/$arg_to; return 200; } }",
    );
    std::fs::create_dir(edge.site.path("logs")).unwrap();
    assert_eq!(edge.get("/?to=../escaped").status, 200);
    assert!(!edge.site.path("escaped").exists());
}

#[test]
fn lines_go_to_a_syslog_daemon() {
    let site = Site::new();
    let daemon = UnixDatagram::bind(site.path("syslog")).unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let receive = || {
        let mut datagram = [0; 4096];
        let length = daemon.recv(&mut datagram).unwrap();
        String::from_utf8_lossy(&datagram[..length]).into_owned()
    };
    let edge = Edge::start_in(
        site,
        "log_format uri $uri;\n\
         server { listen 127.0.0.1:%%PORT%%;\n\
         location / { access_log syslog:server=unix:%%DIR%%/syslog,tag=edge_1,nohostname uri;\n\
         return 200; }\n\
         location /missing { access_log off;\n\
         error_log syslog:server=unix:%%DIR%%/syslog,facility=user error; } }",
    );
    edge.get("/a");
    let line = receive();
    let (head, text) = line.split_once(" edge_1: ").unwrap();
    assert_eq!((&head[..5], head.len(), text), ("<190>", "<190>Nov 22 17:00:00".len(), "/a"));
    edge.get("/missing");
    let line = receive();
    assert!(line.starts_with("<11>") && line.contains(" nginx: 2"), "{line}");
    assert!(line.contains(" [error] ") && line.contains("/missing\" failed (2: No such"), "{line}");
    assert!(!line.ends_with('\n'));
}
