//! The line for each request: every atom, beside gunicorn's for the same bytes.

use std::io::Write;

use nix::sys::signal::Signal;

use crate::{
    real_gunicorn::both_started,
    stack::{Gateway, Listens, Setup, fixtures, start, wait_for_text},
};

/// Every atom that is not a time, a process id or the server's name; layouts too.
const FORMAT: &str = "line|%(h)s|%(l)s|%(u)s|%(r)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(b)s|%(f)s|\
    %(a)s|%({x-one}i)s|%({X-MISSING}i)s|%({x-two}o)s|%({Content-Length}o)s|%({server}o)s|%({date}o)s|\
    %({connection}o)s|%({http_host}e)s|%({REMOTE_ADDR}e)s|%({wsgi.url_scheme}e)s|%({wsgi.version}e)s|\
    %({wsgi.multithread}e)s|%({wsgi.multiprocess}e)s|%({wsgi.run_once}e)s|%({SCRIPT_NAME}e)s|\
    %({missing}e)s|%(s)5s|%(m)-6s|%(U).3s|%(B)05d|%%";

const REQUESTS: &[&[u8]] = &[
    b"GET /a%20b?x=%20y HTTP/1.1\r\nHost: h\r\nReferer: r\"r\r\nUser-Agent: ua\r\nX-One: 1\r\nX-One: 2\r\n",
    b"GET /u HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\n",
    b"GET /u HTTP/1.1\r\nHost: h\r\nAuthorization: Basic xx\r\n",
    b"GET /u HTTP/1.1\r\nHost: h\r\nAuthorization: Basic w6k6eA==\r\n",
    b"GET /u HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer YWxpY2U6\r\n",
    b"GET /%C3%A9%22 HTTP/1.0\r\nHost: h\r\nX-One: \xe9\tx\r\n",
    b"HEAD /x HTTP/1.1\r\nHost: h\r\nReferer:\r\n",
    b"GET /nothing HTTP/1.1\r\nHost: h\r\n",
    b"GET /empty HTTP/1.1\r\nHost: h\r\n",
    b"DELETE /x?a=\"b HTTP/1.1\r\nHost: h\r\n",
    b"GET http://other/absolute?q HTTP/1.1\r\nHost: other\r\nUser-Agent: a\r\nUser-Agent: b\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n",
];

fn send(server: &Gateway, request: &[u8]) {
    let mut stream = server.connect();
    stream.write_all(&[request, b"Connection: close\r\n\r\n"].concat()).unwrap();
    stream.rest();
}

fn check(listens: Listens) {
    let flags = ["--access-logfile", "-", "--access-logformat", FORMAT];
    let both = both_started("spoken:application", listens, &flags, "");
    let lines = both.each_ref().map(|server| {
        for request in REQUESTS {
            send(server, request);
        }
        server.output.wait_for_nth("line|", REQUESTS.len());
        server.output.lines()
    });
    for (ours, theirs) in lines[0].iter().zip(&lines[1]) {
        assert_eq!(ours, theirs, "ours, then gunicorn's");
    }
}

#[test]
fn every_atom_is_gunicorns_over_tcp() {
    check(Listens::Tcp);
}

#[test]
fn every_atom_is_gunicorns_on_a_unix_socket() {
    check(Listens::Unix);
}

#[test]
fn times_and_process_ids_agree_with_each_other() {
    let format = "line %(t)s %(T)s %(M)s %(D)s %(L)s %(p)s";
    let gateway = start(&["--access-logfile", "-", "--access-logformat", format]);
    let worker = gateway.worker();
    let line = gateway.output.wait_for_nth("line", 2);
    let (date, numbers) = line.split_once("] ").unwrap();
    // [22/Nov/2026:17:00:00 +0000
    let shape: String = date
        .trim_start_matches("line ")
        .chars()
        .map(|letter| match letter {
            '0'..='9' => '0',
            'A'..='Z' | 'a'..='z' => 'a',
            '-' => '+',
            other => other,
        })
        .collect();
    assert_eq!(shape, "[00/aaa/0000:00:00:00 +0000");
    let fields: Vec<&str> = numbers.split(' ').collect();
    let micros: u64 = fields[2].parse().unwrap();
    assert_eq!(fields[0], (micros / 1_000_000).to_string(), "{line}");
    assert_eq!(fields[1], (micros / 1000).to_string(), "{line}");
    assert_eq!(fields[3], format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000), "{line}");
    assert_eq!(fields[4], format!("<{worker}>"), "{line}");
}

/// gunicorn writes the line break, and whoever reads the log sees a request nobody made.
#[test]
fn a_line_stays_one_line() {
    let gateway = start(&["--access-logfile", "-", "--access-logformat", "line %(U)s"]);
    gateway.get("/x%0Aline%20/forged%0D%1B[2J");
    let line = gateway.output.wait_for("forged");
    assert_eq!(line, r"line /x\x0aline /forged\x0d\x1b[2J");
}

#[test]
fn a_format_that_is_none_is_an_error_that_names_the_atom() {
    for (format, named) in
        [("%(h)s %(zz)s", "\"%(zz)s\""), ("%({x}q)s", "\"%({x}q)s\""), ("%(s)d", "\"%(s)\"")]
    {
        let flags = ["--access-logformat", format, "app:application"];
        let mut gateway = Setup::new(Listens::Tcp, &flags).launch();
        assert_eq!(gateway.exit_code(), Some(1));
        let line = gateway.log.last_line();
        assert!(line.starts_with("Error: --access-logformat: "), "{line}");
        assert!(line.contains(named), "{line}");
    }
}

#[test]
fn hup_brings_another_format_and_another_place() {
    let fixtures = fixtures();
    let flags = ["--chdir", fixtures.to_str().unwrap(), "app:application", "-c"];
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("conf.py");
    let log = folder.path().join("access.log");
    let write = |format: &str, place: &str| {
        let text = format!("access_log_format = {format:?}\naccesslog = {place:?}\n");
        std::fs::write(&conf, text).unwrap();
    };
    write("first %(U)s", "-");
    let gateway =
        Setup::new(Listens::Tcp, &[&flags[..], &[conf.to_str().unwrap()]].concat()).launch();
    gateway.get("/one");
    assert_eq!(gateway.output.wait_for("/one"), "first /one");
    write("second %(U)s", log.to_str().unwrap());
    gateway.signal(Signal::SIGHUP);
    // The file is opened before the new workers prove themselves, and in force when the old leave.
    gateway.log.wait_for("Worker exiting");
    gateway.get("/two");
    assert_eq!(wait_for_text(&log, "\n"), "second /two\n");
    assert_eq!(gateway.output.count("/two"), 0);
}
