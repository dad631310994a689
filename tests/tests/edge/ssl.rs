//! TLS as clients see it: who is shown to whom, what is agreed on, and what becomes of those who do
//! not speak it.

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
};

use nix::sys::signal::Signal;
use rcgen::RsaKeySize;
use rustls::{
    AlertDescription, Error, SignatureScheme,
    version::{TLS12, TLS13},
};

use crate::{
    peer::Peer,
    server::{Edge, Site, is_nginx, read_response},
    tls::{Authority, Client, Pair, Wants, self_signed, self_signed_rsa},
};

/// A folder with `localhost.crt` and `localhost.key` in it.
fn site() -> (Site, Pair) {
    let (site, pair) = (Site::new(), self_signed("localhost"));
    pair.write(&site, "localhost");
    (site, pair)
}

/// A server with these certificates, and these directives besides.
fn server(inside: &str) -> String {
    // What an older nginx does unasked is older, too.
    let asked = inside.contains("ssl_protocols");
    let versions = if asked { "" } else { "ssl_protocols TLSv1.2 TLSv1.3;" };
    format!(
        "server {{ listen 127.0.0.1:%%PORT%% ssl; server_name localhost; \
         ssl_certificate localhost.crt; ssl_certificate_key localhost.key; {versions} {inside} }}\n"
    )
}

fn client() -> Client {
    Client::new(&Wants::default())
}

#[test]
fn both_versions_are_spoken_and_told() {
    let (site, _) = site();
    let edge = Edge::start_in(
        site,
        &server(
            "location / { return 200 \
             '$scheme $https $ssl_protocol $ssl_cipher $ssl_server_name $ssl_session_reused'; }",
        ),
    );
    for (version, expected) in [
        (&TLS13, "https on TLSv1.3 TLS_AES_256_GCM_SHA384 localhost ."),
        (&TLS12, "https on TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 localhost ."),
    ] {
        let client = Client::new(&Wants { versions: &[version], ..Wants::default() });
        assert_eq!(client.get(&edge, "localhost", "/").text(), expected);
    }
}

#[test]
fn a_connection_lasts_for_several_requests() {
    let (site, _) = site();
    site.write("big", vec![b'x'; 1 << 20]);
    let edge = Edge::start_in(
        site,
        &server("sendfile on; tcp_nopush on; location /n { return 200 $connection_requests; }"),
    );
    let mut session = client().connect(&edge, Some("localhost")).expect("hands are shaken");
    assert_eq!(session.get_and_keep("localhost", "/n").text(), "1");
    assert_eq!(session.get_and_keep("localhost", "/n").text(), "2");
    assert_eq!(session.get_and_keep("localhost", "/big").body.len(), 1 << 20);
    // Several in one record, and one in several.
    let request = b"GET /n HTTP/1.1\r\nHost: localhost\r\n\r\n";
    session.write_all(&request.repeat(2)).expect("the requests are sent");
    assert_eq!(read_response(&mut session, "GET").text(), "4");
    assert_eq!(read_response(&mut session, "GET").text(), "5");
    for piece in request.chunks(7) {
        session.write_all(piece).expect("a piece is sent");
        session.flush().expect("a piece is sent");
    }
    assert_eq!(read_response(&mut session, "GET").text(), "6");
    assert_eq!(session.get("localhost", "/n").text(), "7");
}

#[test]
fn bodies_come_and_go() {
    let (site, _) = site();
    let http =
        server("client_max_body_size 0; location / { proxy_pass http://127.0.0.1:%%PORT1%%; }")
            + "server { listen 127.0.0.1:%%PORT1%%; client_max_body_size 0; location / \
           { return 200 $content_length; } }";
    let edge = Edge::start_in(site, &http);
    let mut session = client().connect(&edge, Some("localhost")).expect("hands are shaken");
    let body = vec![b'y'; 300_000];
    let head =
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    session.write_all(head.as_bytes()).expect("the head is sent");
    session.write_all(&body).expect("the body is sent");
    assert_eq!(read_response(&mut session, "POST").text(), "300000");
}

#[test]
fn the_name_chooses_the_server() {
    let (site, default) = site();
    let (exact, wild) = (self_signed("a.example.org"), self_signed("*.example.org"));
    exact.write(&site, "exact");
    wild.write(&site, "wild");
    let named = |name: &str, file: &str| {
        format!(
            "server {{ listen 127.0.0.1:%%PORT%% ssl; server_name {name}; ssl_certificate {file}.crt; \
             ssl_certificate_key {file}.key; location / {{ return 200 '{file} $ssl_server_name'; }} }}"
        )
    };
    let http = server("location / { return 200 'default $ssl_server_name'; }")
        + &named("a.example.org", "exact")
        + &named("*.example.org", "wild");
    let edge = Edge::start_in(site, &http);
    for (name, shown, text) in [
        ("a.example.org", &exact, "exact a.example.org"),
        ("A.EXAMPLE.org", &exact, "exact a.example.org"),
        ("b.example.org", &wild, "wild b.example.org"),
        ("c.b.example.org", &wild, "wild c.b.example.org"),
        ("example.org", &default, "default example.org"),
    ] {
        let mut session = client().connect(&edge, Some(name)).expect("hands are shaken");
        assert!(session.was_shown(shown), "{name}");
        let text_seen = session.get(name, "/").text().to_ascii_lowercase();
        assert_eq!(text_seen, text, "{name}");
    }
    let mut session = client().connect(&edge, None).expect("hands are shaken");
    assert!(session.was_shown(&default));
    assert_eq!(session.get("localhost", "/").text(), "default ");
    // The host counts where a request is for somebody else than the handshake was.
    let mut session = client().connect(&edge, Some("a.example.org")).expect("hands are shaken");
    assert_eq!(session.get("b.example.org", "/").text(), "wild a.example.org");
    let mut session = client().connect(&edge, Some("a.example.org")).expect("hands are shaken");
    assert_eq!(session.get("nobody.test", "/").text(), "default a.example.org");
}

#[test]
fn a_handshake_can_be_rejected() {
    let (site, _) = site();
    let http = "server { listen 127.0.0.1:%%PORT%% ssl default_server; ssl_reject_handshake on; }"
        .to_owned()
        + &server("location / { return 200 here; }");
    let edge = Edge::start_in(site, &http);
    assert_eq!(client().get(&edge, "localhost", "/").text(), "here");
    for name in [None, Some("example.org")] {
        let refused = client().connect(&edge, name).map(|_| ());
        let alert = Error::AlertReceived(AlertDescription::UnrecognisedName);
        assert_eq!(refused, Err(alert), "{name:?}");
    }
}

#[test]
fn what_the_client_can_do_decides_which_certificate_is_shown() {
    let (site, small) = site();
    let large = self_signed_rsa("localhost", RsaKeySize::_2048);
    large.write(&site, "rsa");
    let edge =
        Edge::start_in(site, &server("ssl_certificate rsa.crt; ssl_certificate_key rsa.key;"));
    for version in [&TLS12, &TLS13] {
        for (schemes, shown) in [
            (&[SignatureScheme::ECDSA_NISTP256_SHA256][..], &small),
            (&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256], &large),
            (&[], &small),
        ] {
            let wants = Wants { versions: &[version], schemes, ..Wants::default() };
            let session = Client::new(&wants).connect(&edge, Some("localhost"));
            assert!(session.expect("hands are shaken").was_shown(shown), "{schemes:?}");
        }
    }
}

#[test]
fn a_chain_of_large_keys_is_sent_whole() {
    let site = Site::new();
    let root = Authority::large("root");
    let between = root.below("between");
    let leaf = between.sign("localhost");
    let chain = leaf.certificate.clone() + &between.pair.certificate + &root.pair.certificate;
    Pair { certificate: chain, key: leaf.key.clone() }.write(&site, "localhost");
    let edge = Edge::start_in(site, &server("location / { return 200 here; }"));
    for version in [&TLS12, &TLS13] {
        let client = Client::new(&Wants { versions: &[version], ..Wants::default() });
        let mut session = client.connect(&edge, Some("localhost")).expect("hands are shaken");
        assert_eq!(session.certificates().len(), 3);
        assert!(session.was_shown(&leaf));
        assert_eq!(session.get("localhost", "/").text(), "here");
    }
}

#[test]
fn sessions_go_on() {
    for (settings, tls12, tls13) in [
        ("", true, true),
        ("ssl_session_tickets off; ssl_session_cache shared:S:1m;", true, true),
        ("ssl_session_tickets off;", false, false),
        ("ssl_session_cache shared:S:1m;", true, true),
    ] {
        let (site, _) = site();
        let inside = format!("{settings} location / {{ return 200 '$ssl_session_reused'; }}");
        // A cache of nginx's is of use to every process; its tickets are, of one process alone.
        let one = if is_nginx() { "worker_processes 1;" } else { "worker_processes 2;" };
        let config = site.config(&server(&inside)).replace("worker_processes 2;", one);
        let edge = Edge::start_whole(site, &config);
        for (version, goes_on) in [(&TLS12, tls12), (&TLS13, tls13)] {
            let client = Client::new(&Wants { versions: &[version], ..Wants::default() });
            assert_eq!(client.get(&edge, "localhost", "/").text(), ".", "{settings}");
            let mut session = client.connect(&edge, Some("localhost")).expect("hands are shaken");
            assert_eq!(session.is_resumed(), goes_on, "{settings} {version:?}");
            let told = if goes_on { "r" } else { "." };
            assert_eq!(session.get("localhost", "/").text(), told, "{settings} {version:?}");
        }
    }
}

#[test]
fn a_session_does_not_go_on_where_others_are_trusted() {
    let (site, _) = site();
    Authority::root("root").pair.write(&site, "root");
    let listen = "listen 127.0.0.1:%%PORT%% ssl; ssl_certificate localhost.crt; \
                  ssl_certificate_key localhost.key; location / { return 200 $ssl_session_reused; }";
    let http = format!(
        "server {{ server_name a; {listen} }} \
         server {{ server_name b; ssl_verify_client optional; ssl_client_certificate root.crt; {listen} }}"
    );
    let edge = Edge::start_in(site, &http);
    let client = client();
    assert_eq!(client.get(&edge, "a", "/").text(), ".");
    assert_eq!(client.get(&edge, "b", "/").text(), ".");
}

#[test]
fn clients_show_certificates() {
    let site = site().0;
    let (root, stranger) = (Authority::root("root"), Authority::root("stranger"));
    root.pair.write(&site, "root");
    let (good, bad) = (root.sign("somebody"), stranger.sign("nobody"));
    let verify = |name: &str, mode: &str| {
        format!(
            "server {{ listen 127.0.0.1:%%PORT%% ssl; server_name {name}; \
             ssl_certificate localhost.crt; ssl_certificate_key localhost.key; \
             ssl_client_certificate root.crt; ssl_verify_client {mode}; \
             location / {{ return 200 '$ssl_client_verify $ssl_client_s_dn'; }} }}"
        )
    };
    let http = server("location / { return 200 '$ssl_client_verify $ssl_client_s_dn'; }")
        + &verify("required", "on")
        + &verify("optional", "optional")
        + &verify("any", "optional_no_ca");
    let edge = Edge::start_in(site, &http);
    let ask = |name: &str, certificate: Option<&Pair>| {
        let client = Client::new(&Wants { certificate, ..Wants::default() });
        let answer = client.get(&edge, name, "/");
        let text = answer.text().to_owned();
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        title.map_or(text.clone(), |(title, _)| title.to_owned())
    };
    let (absent, wrong) =
        ("400 No required SSL certificate was sent", "400 The SSL certificate error");
    let unknown = "FAILED:unable to verify the first certificate CN=nobody";
    for (name, certificate, expected) in [
        ("localhost", Some(&good), "NONE "),
        ("required", None, absent),
        ("required", Some(&good), "SUCCESS CN=somebody"),
        ("required", Some(&bad), wrong),
        ("optional", None, "NONE "),
        ("optional", Some(&good), "SUCCESS CN=somebody"),
        ("optional", Some(&bad), wrong),
        ("any", None, "NONE "),
        ("any", Some(&good), "SUCCESS CN=somebody"),
        ("any", Some(&bad), unknown),
    ] {
        assert_eq!(ask(name, certificate), expected, "{name}");
    }
    // What was shown to one server was not judged by another's rules.
    let client = Client::new(&Wants { certificate: Some(&good), ..Wants::default() });
    let mut session = client.connect(&edge, Some("localhost")).expect("hands are shaken");
    assert_eq!(session.get("required", "/").status, 421);
}

#[test]
fn plain_http_gets_a_page_and_a_way_to_answer_it() {
    let (site, _) = site();
    let http = server("").replace("%%PORT%%", "%%PORT1%%")
        + &server("error_page 497 https://$host:%%PORT%%$request_uri;");
    let edge = Edge::start_in(site, &http);
    let page = edge.request_to("PORT1", "GET", "/", &[], b"");
    assert_eq!(page.status, 400);
    assert!(page.text().contains("The plain HTTP request was sent to HTTPS port"));
    let redirect = edge.get("/x?y");
    let to = format!("https://localhost:{}/x?y", edge.site.port("PORT"));
    assert_eq!((redirect.status, redirect.header("location")), (302, Some(to.as_str())));
}

#[test]
fn redirects_lead_back_to_tls() {
    let (site, _) = site();
    site.write("folder/file", "");
    let edge = Edge::start_in(site, &server(""));
    let redirect = client().get(&edge, "localhost", "/folder");
    let to = format!("https://localhost:{}/folder/", edge.site.port("PORT"));
    assert_eq!((redirect.status, redirect.header("location")), (301, Some(to.as_str())));
}

#[test]
fn alpn_is_agreed_on() {
    let (site, _) = site();
    let edge = Edge::start_in(site, &server("location / { return 200 '[$ssl_alpn_protocol]'; }"));
    let ask = |alpn: &[&str]| {
        let client = Client::new(&Wants { alpn, ..Wants::default() });
        client.connect(&edge, Some("localhost"))
    };
    let mut session = ask(&["h2", "http/1.1"]).expect("hands are shaken");
    assert_eq!(session.alpn().as_deref(), Some("http/1.1"));
    assert_eq!(session.get("localhost", "/").text(), "[http/1.1]");
    assert_eq!(ask(&[]).expect("hands are shaken").get("localhost", "/").text(), "[]");
    let refused = ask(&["unknown"]).map(|_| ());
    let alert = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    assert_eq!(refused, Err(alert));
}

#[test]
fn a_slow_handshake_is_ended() {
    let (site, _) = site();
    let edge = Edge::start_in(site, &server("client_header_timeout 1s;"));
    // The head of a record that never comes, and a piece of it.
    let mut stream = edge.connect();
    stream.write_all(&[22, 3, 1, 2, 0, 1]).expect("a piece is sent");
    assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
    assert!(edge.error_log().contains("client timed out"), "{}", edge.error_log());
}

#[test]
fn what_is_no_handshake_ends_the_connection_and_nothing_else() {
    let (site, _) = site();
    let edge = Edge::start_in(site, &server("location / { return 200 here; }"));
    let mut garbage = vec![22, 3, 1, 2, 0];
    garbage.extend((0..512).map(|byte| byte as u8));
    let of_ssl2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10];
    let too_long = [22, 3, 1, 255, 255];
    for beginning in [&garbage[..], &of_ssl2, &too_long, &[22], &[22; 5000]] {
        let mut stream = edge.connect();
        stream.write_all(beginning).expect("it is sent");
        let _told = stream.shutdown(Shutdown::Write);
        let _reset = stream.read_to_end(&mut Vec::new());
    }
    // After a good beginning, garbage.
    let mut session = client().connect(&edge, Some("localhost")).expect("hands are shaken");
    session.get_and_keep("localhost", "/");
    session.socket().write_all(&[23, 3, 3, 0, 20, 0, 0, 0, 0, 0]).expect("it is sent");
    session.socket().write_all(&[0; 15]).expect("it is sent");
    assert!(session.read(&mut [0; 16]).is_err());
    assert_eq!(client().get(&edge, "localhost", "/").text(), "here");
    let log = edge.error_log();
    // nginx finds some of it critical.
    for level in if is_nginx() { &["[emerg]"][..] } else { &["[crit]", "[alert]", "[emerg]"] } {
        assert!(!log.contains(level), "{log}");
    }
}

#[test]
fn an_answer_that_breaks_off_does_not_look_whole() {
    let (site, _) = site();
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let peer = Peer::says(site.listener("PORT1"), half);
    let edge =
        Edge::start_in(site, &server("location / { proxy_pass http://127.0.0.1:%%PORT1%%; }"));
    let mut session = client().connect(&edge, Some("localhost")).expect("hands are shaken");
    let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    session.write_all(head).expect("the request is sent");
    let mut answer = Vec::new();
    let ended = session.read_to_end(&mut answer);
    assert!(answer.ends_with(b"half"), "{}", String::from_utf8_lossy(&answer));
    // nginx takes its leave even so.
    let kind = ended.map_err(|error| error.kind()).err();
    assert_eq!(kind, Some(ErrorKind::UnexpectedEof).filter(|_| !is_nginx()));
    drop(peer);
}

#[test]
fn a_reload_shows_another_certificate_and_a_broken_one_none() {
    let (site, old) = site();
    let mut edge = Edge::start_in(site, &server("location / { return 200 here; }"));
    let shown = |edge: &Edge, pair: &Pair| {
        let session = client().connect(edge, Some("localhost"));
        session.expect("hands are shaken").was_shown(pair)
    };
    assert!(shown(&edge, &old));
    // A connection from before goes on as it was.
    let mut session = client().connect(&edge, Some("localhost")).expect("hands are shaken");
    let new = self_signed("localhost");
    new.write(&edge.site, "localhost");
    edge.signal(Signal::SIGHUP);
    while !shown(&edge, &new) {
        crate::server::pause();
    }
    assert_eq!(session.get("localhost", "/").text(), "here");
    // The key of somebody else.
    edge.site.write("localhost.key", &old.key);
    edge.signal(Signal::SIGHUP);
    edge.wait_for_line("error.log", "[emerg]");
    assert!(edge.error_log().contains("key values mismatch"), "{}", edge.error_log());
    assert!(shown(&edge, &new));
    edge.site.write("localhost.crt", "nothing");
    edge.signal(Signal::SIGHUP);
    edge.wait_for_line("error.log", "cannot load certificate \"");
    assert!(shown(&edge, &new));
}

#[test]
fn idle_connections_end_with_the_server() {
    let (site, _) = site();
    let mut edge =
        Edge::start_in(site, &server("client_header_timeout 2s; location / { return 200 here; }"));
    let mut idle = client().connect(&edge, Some("localhost")).expect("hands are shaken");
    idle.get_and_keep("localhost", "/");
    let silent = edge.connect();
    assert!(edge.stop().success());
    let mut rest = Vec::new();
    assert!(idle.read_to_end(&mut rest).is_ok(), "closed without a goodbye");
    assert!(rest.is_empty());
    drop(silent);
}

#[test]
fn what_certbot_and_debian_write_is_taken() {
    let (site, _) = site();
    let dhparam = "-----BEGIN DH PARAMETERS-----\nMIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a\n87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7\nYdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi\n7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD\nssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==\n-----END DH PARAMETERS-----\n";
    site.write("ssl-dhparams.pem", dhparam);
    let http = "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on;\n"
        .to_owned()
        + &server(
            "ssl_session_cache shared:le_nginx_SSL:10m; ssl_session_timeout 1440m; \
             ssl_session_tickets off; ssl_protocols TLSv1.2 TLSv1.3; \
             ssl_prefer_server_ciphers off; ssl_ciphers \"ECDHE-ECDSA-AES128-GCM-SHA256:\
             ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
             ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:\
             ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:\
             DHE-RSA-AES256-GCM-SHA384\"; ssl_dhparam ssl-dhparams.pem; \
             location / { return 200 $ssl_cipher; }",
        );
    let edge = Edge::start_in(site, &http);
    let client = Client::new(&Wants { versions: &[&TLS12], ..Wants::default() });
    assert_eq!(client.get(&edge, "localhost", "/").text(), "ECDHE-ECDSA-AES256-GCM-SHA384");
}

#[test]
fn ciphers_and_protocols_are_chosen_by_the_configuration() {
    let (site, _) = site();
    let edge = Edge::start_in(
        site,
        &server(
            "ssl_protocols TLSv1.2; ssl_prefer_server_ciphers on; ssl_ecdh_curve secp384r1; \
             ssl_ciphers CHACHA20:AESGCM+AES128; location / { return 200 '$ssl_protocol $ssl_cipher'; }",
        ),
    );
    let answer = client().get(&edge, "localhost", "/");
    assert_eq!(answer.text(), "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305");
    let newer = Client::new(&Wants { versions: &[&TLS13], ..Wants::default() });
    let refused = newer.connect(&edge, Some("localhost")).map(|_| ());
    assert_eq!(refused, Err(Error::AlertReceived(AlertDescription::ProtocolVersion)));
}

/// What is wrong is named, with its place.
#[test]
fn mistakes_are_refused() {
    let (site, _) = site();
    self_signed("other").write(&site, "other");
    site.write("empty", "");
    for (inside, expected) in [
        ("", "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive in "),
        (
            "ssl_certificate localhost.crt;",
            "no \"ssl_certificate_key\" is defined for certificate \"",
        ),
        ("ssl_certificate gone; ssl_certificate_key localhost.key;", "cannot load certificate \""),
        ("ssl_certificate empty; ssl_certificate_key localhost.key;", "cannot load certificate \""),
        (
            "ssl_certificate localhost.crt; ssl_certificate_key empty;",
            "cannot load certificate key \"",
        ),
        (
            "ssl_certificate localhost.crt; ssl_certificate_key other.key;",
            "SSL_CTX_use_PrivateKey(\"",
        ),
        ("ssl_protocols TLSv9;", "invalid value \"TLSv9\" in "),
        ("ssl_ciphers nonsense;", "SSL_CTX_set_cipher_list(\"nonsense\") failed"),
        ("ssl_ecdh_curve nonsense;", "SSL_CTX_set1_curves_list(\"nonsense\") failed"),
        ("ssl_session_cache shared:S;", "invalid session cache \"shared:S\" in "),
        ("ssl_session_cache shared:S:1k;", "session cache \"shared:S:1k\" is too small in "),
        ("ssl_verify_client perhaps;", "invalid value \"perhaps\" in "),
        ("ssl_buffer_size 1x;", "\"ssl_buffer_size\" directive invalid value in "),
        (
            "ssl_verify_client on;",
            "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client",
        ),
    ] {
        // A list of ciphers is only looked at where there are certificates.
        let pair = "ssl_certificate localhost.crt; ssl_certificate_key localhost.key;";
        let pair = if inside.is_empty() || inside.contains("_certificate ") { "" } else { pair };
        let http = format!("server {{ listen 127.0.0.1:%%PORT%% ssl; {inside} {pair} }}");
        site.write("nginx.conf", site.config(&http));
        let output = site.run(&["-t"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{inside}");
        // Older words for the same.
        let expected = if is_nginx() {
            expected.replace(
                "ssl_client_certificate or ssl_trusted_certificate",
                "ssl_client_certificate",
            )
        } else {
            expected.to_owned()
        };
        assert!(stderr.contains(&expected), "{inside}: {stderr}");
        assert!(is_nginx() || stderr.contains("nginx.conf:"), "{inside}: {stderr}");
    }
}
