//! Where errors go, from which level on, and how a line looks.

use nix::sys::signal::Signal;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use crate::server::{Edge, Site, is_nginx};

#[test]
fn each_block_has_its_log_and_its_level() {
    let edge = Edge::start(
        "error_log %%DIR%%/info.log info;\n\
         server { listen 127.0.0.1:%%PORT%%; server_name a.test;\n\
         location / { return 200 ok; }\n\
         location /files/ { error_log %%DIR%%/files.log; root %%DIR%%; }\n\
         location /quiet/ { error_log %%DIR%%/quiet.log crit; root %%DIR%%; } }",
    );
    edge.request("GET", "/files/gone", &["Host: a.test", "Referer: http://r/"], b"");
    edge.get("/quiet/gone");
    let malformed = edge.raw(b"GET / HTTP/1.1\r\n\r\n");
    assert!(malformed.starts_with(b"HTTP/1.1 400 "));
    let line = edge.site.read("files.log");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains(" [error] "), "{line}");
    let from = line.find(", client: ").expect("who asked");
    assert_eq!(
        &line[from..],
        ", client: 127.0.0.1, server: a.test, request: \"GET /files/gone HTTP/1.1\", \
         host: \"a.test\", referrer: \"http://r/\"\n"
    );
    assert_eq!(edge.site.read("quiet.log"), "");
    let info = edge.site.read("info.log");
    assert!(info.contains("client sent HTTP/1.1 request without \"Host\" header"), "{info}");
    let stamp = info.as_bytes();
    assert!(stamp[4] == b'/' && stamp[7] == b'/' && stamp[13] == b':' && stamp[20] == b'[');
}

#[test]
fn several_logs_of_a_block_get_the_line() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; error_log %%DIR%%/a.log; error_log %%DIR%%/b.log info;\n\
         location / { root %%DIR%%; } }",
    );
    edge.get("/gone");
    assert_eq!(edge.site.read("a.log"), edge.site.read("b.log"));
    assert!(edge.site.read("a.log").contains("/gone"));
}

#[test]
fn logs_are_reopened_under_their_names() {
    let mut edge =
        Edge::start("server { listen 127.0.0.1:%%PORT%%; location / { return 200 x; } }");
    edge.get("/before");
    std::fs::rename(edge.site.path("access.log"), edge.site.path("access.log.1")).unwrap();
    std::fs::rename(edge.site.path("error.log"), edge.site.path("error.log.1")).unwrap();
    let workers = edge.children().len();
    edge.signal(Signal::SIGUSR1);
    // The master, and then each worker, says so in the old file or in the new one, and reopens.
    let said = |edge: &Edge| {
        let both = edge.site.read("error.log") + &edge.site.read("error.log.1");
        both.matches("reopening logs").count()
    };
    while said(&edge) < 1 + workers || !edge.site.path("access.log").exists() {
        crate::server::pause();
    }
    while !edge.access_log().contains("/after") {
        edge.get("/after");
    }
    assert!(edge.site.read("access.log.1").contains("/before"));
    assert!(edge.stop().success());
    assert!(edge.error_log().contains("exit"));
}

#[test]
fn a_log_that_can_not_be_opened_is_named() {
    let site = Site::new();
    let config = site.config(
        "access_log %%DIR%%/no/such/folder;\nserver { listen 127.0.0.1:%%PORT%%; return 200; }",
    );
    site.write("nginx.conf", config);
    let output = site.run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    let line = site.fill(
        "nginx: [emerg] open() \"%%DIR%%/no/such/folder\" failed (2: No such file or directory)\n",
    );
    assert!(said.contains(&line), "{said}");
    assert!(!output.status.success());
}

#[test]
fn what_the_edge_does_not_log_to_is_refused() {
    if is_nginx() {
        return;
    }
    let site = Site::new();
    let config = site.config("error_log memory:32m debug;");
    site.write("nginx.conf", config);
    let said = String::from_utf8_lossy(&site.run(&["-t"]).stderr).into_owned();
    assert!(said.contains("\"memory:32m\""), "{said}");
}

#[test]
fn a_connection_can_be_looked_at_closely() {
    let site = Site::new();
    let config = site
        .config("server { listen 127.0.0.1:%%PORT%%; listen unix:%%DIR%%/sock; return 200; }")
        .replace("error.log info", "error.log alert")
        .replace("events { }", "events { debug_connection unix:; }");
    let edge = Edge::start_whole(site, &config);
    edge.get("/");
    assert!(!edge.error_log().contains("[debug]"), "{}", edge.error_log());
    let mut stream = UnixStream::connect(edge.site.path("sock")).unwrap();
    stream.write_all(b"GET /closely HTTP/1.0\r\n\r\n").unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).unwrap();
    let log = edge.error_log();
    assert!(log.contains("[debug]") && log.contains("/closely"), "{log}");
}
