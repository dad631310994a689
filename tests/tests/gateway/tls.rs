//! TLS with certfile and keyfile, where no web server in front ends it.

use std::{
    fs,
    io::{Read, Write},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    secure::{self, Authority, Client, Pair, Wants, self_signed, setup},
    stack::{Listens, Response, start},
};

#[test]
fn the_application_hears_of_https_as_from_gunicorn() {
    let gateway = secure::start(&[]);
    let line = gateway.log.wait_for("Listening at: ");
    assert!(line.contains("Listening at: https://127.0.0.1:"), "{line}");
    let mut session = secure::connect(&gateway);
    let environ = session.get("/env").text();
    for expected in ["wsgi.url_scheme=https", "SERVER_NAME=127.0.0.1", "SERVER_PROTOCOL=HTTP/1.1"] {
        assert!(environ.lines().any(|line| line == expected), "{expected} in\n{environ}");
    }
    assert!(!environ.lines().any(|line| line.starts_with("HTTPS=")), "{environ}");
    // A proxy that may speak for others is believed here too.
    let said = "GET /env HTTP/1.1\r\nHost: test\r\nX-Forwarded-Proto: http\r\n\r\n";
    assert!(session.send(said).text().lines().any(|line| line == "wsgi.url_scheme=http"));
}

#[test]
fn bodies_of_any_size_both_ways_on_one_connection() {
    let gateway = secure::start(&[]);
    let mut session = secure::connect(&gateway);
    assert_eq!(session.get("/big").body.len(), 160 * 65536);
    let body = "0123456789abcdef".repeat(200_000);
    let length = body.len();
    let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    let echoed = session.send(&(head + &body));
    assert!(echoed.body == body.as_bytes(), "{} of {length} bytes", echoed.body.len());
    let last = session.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_eq!(last.status, 200);
    assert_eq!(session.rest(), (Vec::new(), true), "an end that is said to be one");
}

#[test]
fn both_versions_and_sessions_that_go_on() {
    let gateway = secure::start(&[]);
    for version in rustls::ALL_VERSIONS {
        let client = Client::new(&Wants { versions: &[version], ..Wants::default() });
        let mut first = client.connect(&gateway).unwrap();
        assert_eq!(first.get("/version").text(), "one");
        assert!(!first.is_resumed());
        let mut second = client.connect(&gateway).unwrap();
        assert_eq!(second.get("/version").text(), "one");
        assert!(second.is_resumed(), "{version:?}");
    }
}

#[test]
fn the_key_may_be_in_the_certificates_file_and_the_socket_a_unix_one() {
    let pair = self_signed("test");
    let both = pair.certificate.clone() + &pair.key;
    let files = [("both.pem", &both[..])];
    let gateway = setup(Listens::Unix, &files, &["--certfile", "both.pem"]).launch();
    gateway.log.wait_for("Worker ready");
    let mut session = secure::connect(&gateway);
    assert!(session.was_shown(&pair));
    let environ = session.get("/env").text();
    for expected in ["wsgi.url_scheme=https", "SERVER_NAME=test", "SERVER_PORT=443"] {
        assert!(environ.lines().any(|line| line == expected), "{expected} in\n{environ}");
    }
}

#[test]
fn files_that_will_not_do_are_named_before_anything_listens() {
    let (pair, other) = (self_signed("test"), self_signed("other"));
    let encrypted = pair.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let garbled = pair.certificate.replacen("MII", "AAA", 1);
    let files = [
        ("test.crt", &pair.certificate[..]),
        ("test.key", &pair.key),
        ("other.key", &other.key),
        ("encrypted.key", &encrypted),
        ("empty.pem", ""),
        ("garbled.crt", &garbled),
    ];
    let cases: &[(&[&str], &str)] = &[
        (&["--certfile", "no.crt"], r#"certfile "no.crt" does not exist"#),
        (&["--certfile", "test.crt", "--keyfile", "no.key"], r#"keyfile "no.key" does not exist"#),
        (&["--keyfile", "test.key"], r#"keyfile "test.key" is of no use without a certfile"#),
        (
            &["--certfile", "test.crt"],
            r#"certfile "test.crt" holds no private key, and there is no keyfile"#,
        ),
        (
            &["--certfile", "test.crt", "--keyfile", "empty.pem"],
            r#"keyfile "empty.pem" holds no private key"#,
        ),
        (&["--certfile", "test.key"], r#"certfile "test.key" holds no certificate"#),
        (
            &["--certfile", "garbled.crt", "--keyfile", "test.key"],
            r#"certfile "garbled.crt" holds a certificate that can not be used"#,
        ),
        (&["--certfile", "."], r#"certfile "." can not be read"#),
        (
            &["--certfile", "test.crt", "--keyfile", "other.key"],
            r#"keyfile "other.key" does not belong to certfile "test.crt""#,
        ),
        (
            &["--certfile", "test.crt", "--keyfile", "encrypted.key"],
            r#"keyfile "encrypted.key" is encrypted"#,
        ),
        (
            &["--certfile", "test.crt", "--keyfile", "test.key", "--cert-reqs", "2"],
            r#"cert_reqs "2" asks clients for certificates, and no ca_certs"#,
        ),
        (
            &["--certfile", "test.crt", "--keyfile", "test.key", "--ca-certs", "no.ca"],
            r#"ca_certs "no.ca" does not exist"#,
        ),
    ];
    let refuse = |flags: &[&str], expected: &str| {
        let mut gateway = setup(Listens::Tcp, &files, flags).launch();
        assert_eq!(gateway.exit_code(), Some(1), "{flags:?}");
        let folder = format!("{}/", gateway.scratch().display());
        let log = gateway.log.text().replace(&folder, "");
        assert!(log.starts_with(&format!("Error: {expected}")), "{flags:?}: {log}");
        assert!(!log.contains("Listening at"), "{log}");
    };
    for (flags, expected) in cases {
        refuse(flags, expected);
    }
    let (flags, expected) = cases[0];
    refuse(&[flags, &["--check-config"]].concat(), expected);
}

#[test]
fn files_are_looked_for_where_the_application_is() {
    let pair = self_signed("test");
    let both = pair.certificate.clone() + &pair.key;
    let setup = setup(Listens::Tcp, &[], &["--certfile", "both.pem", "--chdir", "inner"]);
    fs::create_dir(setup.scratch.path().join("inner")).unwrap();
    setup.write("inner/both.pem", &both);
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    assert!(secure::connect(&gateway).was_shown(&pair));
}

#[test]
fn certificates_of_clients() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let (friend, stranger) = (ours.sign("friend"), others.sign("stranger"));
    let pair = self_signed("test");
    let files = [
        ("test.crt", &pair.certificate[..]),
        ("test.key", &pair.key),
        ("ours.crt", &ours.certificate),
    ];
    let client = |certificate| Client::new(&Wants { certificate, ..Wants::default() });
    // Without a certificate, with one of ours, with somebody else's.
    for (wanted, let_in) in
        [("0", [true, true, true]), ("1", [true, true, false]), ("2", [false, true, false])]
    {
        let flags = ["--certfile", "test.crt", "--keyfile", "test.key", "--ca-certs", "ours.crt"];
        let flags = [&flags[..], &["--cert-reqs", wanted]].concat();
        let gateway = setup(Listens::Tcp, &files, &flags).launch();
        gateway.log.wait_for("Worker ready");
        let found =
            [None, Some(&friend), Some(&stranger)].map(|pair| client(pair).is_let_in(&gateway));
        assert_eq!(found, let_in, "cert_reqs {wanted}\n{}", gateway.log.text());
        let refused = let_in.iter().filter(|let_in| !**let_in).count();
        let line = "TLS handshake with 127.0.0.1 failed: ";
        for nth in 1..=refused {
            gateway.log.wait_for_nth(line, nth);
        }
        assert_eq!(gateway.log.count(line), refused, "{}", gateway.log.text());
    }
}

#[test]
fn plain_http_to_a_port_that_speaks_tls_is_told_so() {
    let gateway = secure::start(&[]);
    let answer = gateway.get("/");
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("https://"), "{}", answer.text());
    gateway.log.wait_for("Invalid request from ip=127.0.0.1: not TLS");
    assert_eq!(gateway.log.count("ip=127.0.0.1"), 1, "{}", gateway.log.text());
    // A health check that only connects is no news.
    drop(gateway.connect());
    assert_eq!(secure::connect(&gateway).get("/").status, 200);
    assert_eq!(gateway.log.count("127.0.0.1 failed"), 0, "{}", gateway.log.text());
}

#[test]
fn tls_to_a_port_that_speaks_plain_http_is_one_clear_line() {
    let gateway = start(&[]);
    assert!(Client::new(&Wants::default()).connect(&gateway).is_err());
    let line = gateway.log.wait_for("Invalid request");
    assert!(line.contains("TLS was sent to a port that speaks plain HTTP"), "{line}");
    assert_eq!(gateway.log.count("Invalid request"), 1);
}

#[test]
fn a_handshake_that_takes_for_ever_does_not() {
    let gateway = secure::start(&[]);
    let mut slow = gateway.connect();
    slow.write_all(&[22, 3, 1]).unwrap();
    gateway.log.wait_for("TLS handshake with 127.0.0.1 failed: it did not come to its end within");
    assert_eq!(slow.rest(), b"");
}

#[test]
fn a_handshake_in_the_middle_does_not_hold_up_a_stop() {
    let mut gateway = secure::start(&[]);
    let mut slow = gateway.connect();
    slow.write_all(&[22, 3, 1]).unwrap();
    let mut idle = secure::connect(&gateway);
    assert_eq!(idle.get("/").status, 200);
    gateway.stop();
    assert_eq!(idle.rest(), (Vec::new(), true));
}

#[test]
fn a_handshake_without_end_is_ended() {
    let gateway = secure::start(&[]);
    let mut endless = gateway.connect();
    // A message of 16 MB, in records that are each in order.
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    while endless.write_all(&record).is_ok() {
        record[5] = 1;
    }
    gateway.log.wait_for("TLS handshake with 127.0.0.1 failed: ");
    assert_eq!(secure::connect(&gateway).get("/").status, 200);
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let gateway = secure::start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let mut session = secure::connect(&gateway);
    // HTTP/1.0 knows the end of an answer by the end of the connection.
    session
        .write_all(format!("GET /stream?gate={} HTTP/1.0\r\n\r\n", gate.path()).as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"first") {
        let mut byte = [0];
        session.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    kill(Pid::from_raw(gateway.booted()[0]), Signal::SIGKILL).unwrap();
    assert_eq!(session.rest(), (Vec::new(), false));
}

#[test]
fn a_client_that_left_is_not_served() {
    let gateway = secure::start(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let mut first = secure::connect(&gateway);
    let target = format!("/held?gate={}", gate.path());
    first.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).unwrap();
    gateway.log.wait_for("held /held");
    let mut second = secure::connect(&gateway);
    second.write_all(b"GET /seen HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    second.leave();
    gateway.log.wait_for("499 for GET /seen");
    gate.open();
    assert_eq!(Response::read(&mut first).unwrap().text(), "released");
    assert_eq!(first.get("/").status, 200);
    assert_eq!(gateway.log.count("seen GET"), 0);
}

#[test]
fn a_hangup_reads_the_certificate_again() {
    let (old, new) = (self_signed("old"), self_signed("new"));
    let both = |pair: &Pair| pair.certificate.clone() + &pair.key;
    let setup = setup(
        Listens::Tcp,
        &[("it.pem", &both(&old))],
        &["--certfile", "it.pem", "--workers", "1"],
    );
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    let place = gateway.scratch().join("it.pem");
    let mut lasting = secure::connect(&gateway);
    assert!(lasting.was_shown(&old));

    fs::write(&place, &new.certificate).unwrap();
    gateway.signal(Signal::SIGHUP);
    let complaint = gateway.log.wait_for("Reload failed, the old workers serve on. Reason: ");
    assert!(complaint.contains("it.pem\" holds no private key"), "{complaint}");
    assert!(secure::connect(&gateway).was_shown(&old));
    assert_eq!(gateway.booted().len(), 1);

    fs::write(&place, both(&new)).unwrap();
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for("Worker exiting");
    assert!(secure::connect(&gateway).was_shown(&new));
    assert_eq!(lasting.get("/").status, 200);
}

#[test]
fn a_choice_of_ciphers_is_one_warning() {
    let mut gateway = secure::start(&["--ciphers", "HIGH:!aNULL"]);
    assert_eq!(secure::connect(&gateway).get("/").status, 200);
    gateway.stop();
    assert_eq!(gateway.log.count("[WARNING] --ciphers \"HIGH:!aNULL\" has no effect"), 1);
}

#[test]
fn without_http2_nothing_is_asked_by_alpn() {
    let gateway = secure::start(&[]);
    let client = Client::new(&Wants { alpn: &["h2", "http/1.1"], ..Wants::default() });
    let mut session = client.connect(&gateway).unwrap();
    assert_eq!(session.alpn(), None);
    assert_eq!(session.get("/").status, 200);
}
