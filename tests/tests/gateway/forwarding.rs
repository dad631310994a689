//! Whose word on the scheme, the mount and the rest is believed, and what the operator hears of it.

use std::io::Write;

use nix::sys::signal::Signal;

use crate::{
    environ::facts,
    real_gunicorn::{self, Program, both},
    stack::{Gateway, Listens, Response, Setup, fixtures, start, wait_until},
};

fn with(fields: &str) -> Vec<u8> {
    format!("GET /a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n").into_bytes()
}

fn answer(server: &Gateway, fields: &str) -> Response {
    let mut stream = server.connect();
    stream.write_all(&with(fields)).unwrap();
    Response::read(&mut stream).unwrap()
}

#[test]
fn two_scheme_headers_that_disagree_are_refused_and_both_are_named() {
    let servers = both(Listens::Tcp, &[], "");
    let fields = "X-Forwarded-Proto: https\r\nX-Forwarded-Protocol: https\r\n";
    for server in &servers {
        let answer = answer(server, fields);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("Contradictory scheme headers"), "{}", answer.text());
        assert!(!answer.text().contains("X-Forwarded"), "the client need not know");
    }
    let line = servers[0].log.wait_for("Contradictory scheme headers");
    let expected = "Invalid request from ip=127.0.0.1: Contradictory scheme headers: \
                    \"X-Forwarded-Proto: https\" says https, but \"X-Forwarded-Protocol: https\" says \
                    http (only \"ssl\" says https)";
    assert!(line.ends_with(expected), "{line}");
    let line = servers[1].log.wait_for("Contradictory scheme headers");
    assert!(!line.contains("X-Forwarded"), "gunicorn does not say which: {line}");
}

#[test]
fn a_word_that_does_not_count_is_told_once_with_the_flag_that_would_change_it() {
    let flags = ["--forwarded-allow-ips", "10.0.0.0/8,::1"];
    let servers = both(Listens::Tcp, &flags, "");
    for fields in [
        "X-Forwarded-Proto: https\r\n",
        "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n",
        "X-Forwarded-Ssl: on\r\n",
    ] {
        for server in &servers {
            assert_eq!(facts(server, &with(fields))["wsgi.url_scheme"], "http");
        }
    }
    let line = servers[0].log.wait_for("is not believed");
    let start = "\"X-Forwarded-Proto: https\" from 127.0.0.1 is not believed";
    assert!(line.contains(start), "{line}");
    assert!(line.contains("add it to --forwarded-allow-ips"), "{line}");
    assert_eq!(servers[0].log.count("is not believed"), 1);
    assert_eq!(servers[1].log.count("X-Forwarded"), 0, "gunicorn says nothing");
}

/// As on gunicorn, but told in words.
#[test]
fn a_network_with_host_bits_is_a_mistake() {
    for flag in ["--forwarded-allow-ips", "--proxy-allow-from"] {
        let mut gateway =
            Setup::new(Listens::Tcp, &[flag, "192.168.1.1/24", "app:application"]).launch();
        assert_eq!(gateway.exit_code(), Some(1));
        let line = gateway.log.last_line();
        assert!(line.contains("\"192.168.1.1/24\" has host bits set"), "{line}");
        assert!(line.contains("the network is 192.168.1.0/24"), "{line}");
        assert!(line.contains(flag), "{line}");
    }
}

#[test]
fn names_with_underscores_may_be_refused_altogether() {
    let [ours, theirs] = both(Listens::Tcp, &["--header-map", "refuse"], "");
    for server in [&ours, &theirs] {
        assert_eq!(answer(server, "X_User: root\r\n").status, 400);
        assert_eq!(answer(server, "SCRIPT_NAME: /a\r\n").status, 200, "from a proxy of ours");
    }
    let line = ours.log.wait_for("Invalid HTTP header name: 'X_User'");
    assert!(line.contains("--header-map is \"refuse\""), "{line}");
}

/// gunicorn takes the mount from anybody then, and with it what an application under a prefix is
/// guarded by. Ours goes on believing a proxy alone.
#[test]
fn a_dangerous_header_map_does_not_let_clients_move_the_application() {
    let flags = ["--header-map", "dangerous", "--forwarded-allow-ips", "10.0.0.1"];
    let [ours, theirs] = both(Listens::Tcp, &flags, "");
    let bytes = with("SCRIPT_NAME: /a\r\n");
    let (our, their) = (facts(&ours, &bytes), facts(&theirs, &bytes));
    assert_eq!((&our["SCRIPT_NAME"], &our["PATH_INFO"]), (&"".into(), &"/a/b".into()));
    assert_eq!((&their["SCRIPT_NAME"], &their["PATH_INFO"]), (&"/a".into(), &"/b".into()));
    assert_eq!(our["HTTP_SCRIPT_NAME"], their["HTTP_SCRIPT_NAME"]);
}

#[test]
fn a_path_outside_of_the_mount_is_the_operators_mistake() {
    for server in both(Listens::Tcp, &["--env", "SCRIPT_NAME=/mounted"], "") {
        assert_eq!(answer(&server, "").status, 500);
        let line = server.log.wait_for("does not start with SCRIPT_NAME");
        assert!(line.contains("/a/b") && line.contains("/mounted"), "{line}");
        assert_eq!(answer(&server, "SCRIPT_NAME: /a\r\n").status, 200, "a proxy knows better");
        assert_eq!(answer(&server, "SCRIPT_NAME: /c\r\n").status, 500);
    }
    let fixtures = fixtures();
    let flags =
        ["--pythonpath", fixtures.to_str().unwrap(), "--log-level=debug", "facts:application"];
    let mut setup = Setup::new(Listens::Tcp, &flags);
    setup.command.env("SCRIPT_NAME", "/a");
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    let facts = facts(&gateway, &with(""));
    assert_eq!((&facts["SCRIPT_NAME"], &facts["PATH_INFO"]), (&"/a".into(), &"/b".into()));
}

#[test]
fn what_is_too_large_is_named_with_its_limit() {
    let flags =
        ["--limit-request-line=100", "--limit-request-fields=4", "--limit-request-field_size=60"];
    let [ours, theirs] = both(Listens::Tcp, &flags, "");
    let long = "x".repeat(100);
    let cases = [
        (
            format!("X-Long: {long}\r\n"),
            431,
            "\"X-Long\" is longer than --limit-request-field_size, 60",
        ),
        ("A: 1\r\nB: 2\r\nC: 3\r\n".to_owned(), 431, "more than --limit-request-fields allows, 4"),
        // 60 bytes with their line end, and one more.
        (format!("X: {}\r\n", &long[..55]), 200, ""),
        (format!("X: {}\r\n", &long[..56]), 431, "\"X\" is longer"),
    ];
    for (fields, status, line) in cases {
        assert_eq!(answer(&ours, &fields).status, status, "{fields}");
        assert_eq!(answer(&theirs, &fields).status, status, "gunicorn: {fields}");
        ours.log.wait_for(line);
    }
    let line_of = |length: usize| {
        let path = "x".repeat(length - "GET / HTTP/1.1".len());
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    for server in [&ours, &theirs] {
        assert_eq!(server.send(&line_of(100)).status, 200);
        assert_eq!(server.send(&line_of(101)).status, 414);
        server.log.wait_for("Request Line is too large (101 > 100)");
    }
}

#[test]
fn a_reload_changes_how_new_connections_are_read() {
    let strict = "loglevel = 'debug'\nheader_map = 'refuse'\nlimit_request_line = 60\n";
    let gateway =
        real_gunicorn::start(Program::Ours, "facts:application", Listens::Tcp, &[], strict);
    gateway.log.wait_for("Worker ready");
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\nX_A: b\r\n\r\n", "x".repeat(60));
    assert_eq!(gateway.send(&long).status, 414);
    assert_eq!(answer(&gateway, "X_A: b\r\n").status, 400);
    gateway.write("gunicorn.conf.py", "loglevel = 'debug'\nforwarded_allow_ips = ''\n");
    gateway.signal(Signal::SIGHUP);
    wait_until("the new limit", || (gateway.send(&long).status == 200).then_some(()));
    let facts = facts(&gateway, &with("X_A: b\r\nX-Forwarded-Proto: https\r\n"));
    assert_eq!((&facts["wsgi.url_scheme"], facts.get("HTTP_X_A")), (&"http".into(), None));
}

/// With 0, gunicorn has no limit; above 8190 it silently keeps to that.
#[test]
fn long_lines_where_the_operator_wants_them() {
    for flag in ["--limit-request-line=0", "--limit-request-line=40000"] {
        let gateway = start(&[flag]);
        let target = format!("/env?{}", "x".repeat(30_000));
        let answer = gateway.get(&target);
        assert!(answer.text().contains(&format!("RAW_URI={target}\n")));
    }
    let gateway = start(&["--limit-request-line=0"]);
    assert_eq!(gateway.get(&format!("/{}", "x".repeat(70_000))).status, 414);
}

/// As many at a time as gunicorn's threaded workers take; the others wait, and lose nothing.
#[test]
fn a_threaded_worker_has_so_many_connections_and_no_more() {
    let gateway = start(&["--threads", "8", "--worker-connections", "2"]);
    let gates = ["one", "two"].map(|name| gateway.gate(name));
    let mut held = gates.each_ref().map(|gate| {
        let stream = gateway.begin(&format!("/held?gate={}", gate.path()));
        (gate, Some(stream))
    });
    gateway.log.wait_for_nth("held /held", 2);
    let third = gateway.begin("/seen?third");
    // What comes later is heard all the same: the third would have been, too.
    gateway.signal(Signal::SIGUSR1);
    gateway.log.wait_for("Handling signal: usr1");
    assert_eq!(gateway.log.count("seen GET"), 0);
    held[0].0.open();
    assert_eq!(held[0].1.take().unwrap().answer().text(), "released");
    assert_eq!(third.answer().text(), "seen");
    let fourth = gateway.begin(&format!("/held?again&gate={}", held[0].0.path()));
    gateway.log.wait_for("held /held?again");
    let fifth = gateway.begin("/seen?fifth");
    gateway.signal(Signal::SIGTTIN);
    assert_eq!(fifth.answer().text(), "seen", "another worker, and room for two more");
    for gate in gates {
        gate.open();
    }
    assert_eq!(fourth.answer().text(), "released");
}
