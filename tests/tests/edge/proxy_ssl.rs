//! `proxy_pass https://`: who is met behind the edge, and who is not.

use crate::{
    server::{Edge, Site, is_nginx},
    tls::{Authority, self_signed},
};

/// A server behind TLS, which is the edge itself, and one before it.
fn both(behind: &str, before: &str) -> String {
    format!(
        "server {{ listen 127.0.0.1:%%PORT1%% ssl; server_name behind.test; \
         ssl_certificate behind.crt; ssl_certificate_key behind.key; \
         ssl_protocols TLSv1.2 TLSv1.3; {behind} }} \
         server {{ listen 127.0.0.1:%%PORT%%; proxy_ssl_protocols TLSv1.2 TLSv1.3; {before} }}"
    )
}

/// The one behind has a certificate of this authority.
fn site(root: &Authority) -> Site {
    let site = Site::new();
    root.pair.write(&site, "root");
    root.sign("behind.test").write(&site, "behind");
    site
}

#[test]
fn requests_go_on_by_tls() {
    let edge = Edge::start_in(
        site(&Authority::root("root")),
        &both(
            "location / { return 200 '$scheme $host [$ssl_server_name] $request_method $content_length'; }",
            "location / { proxy_pass https://127.0.0.1:%%PORT1%%; proxy_set_header Host h; \
             proxy_ssl_server_name on; proxy_ssl_name behind.test; } \
             location /quiet { proxy_pass https://127.0.0.1:%%PORT1%%; proxy_set_header Host h; }",
        ),
    );
    assert_eq!(edge.get("/").text(), "https h [behind.test] GET ");
    assert_eq!(edge.get("/quiet").text(), "https h [] GET ");
    let body = vec![b'x'; 100_000];
    let answer = edge.request("POST", "/", &[], &body);
    assert_eq!(answer.text(), "https h [behind.test] POST 100000");
}

#[test]
fn connections_and_sessions_are_kept() {
    let edge = Edge::start_in(
        site(&Authority::root("root")),
        &("upstream u { server 127.0.0.1:%%PORT1%%; keepalive 4; }".to_owned()
            + &both(
                "location / { return 200 '$ssl_session_reused $connection_requests'; }",
                "location /kept { proxy_pass https://u; proxy_http_version 1.1; \
                 proxy_set_header Connection ''; } \
                 location /anew { proxy_pass https://127.0.0.1:%%PORT1%%; } \
                 location /never { proxy_pass https://127.0.0.1:%%PORT1%%; \
                 proxy_ssl_session_reuse off; }",
            ))
            .replace("worker_processes 2", "worker_processes 1"),
    );
    // More than one process or thread may be asked; one of them twice, after a while.
    let eventually = |path: &str, wanted: &str| {
        let mut seen = (0..20).map(|_| edge.get(path).text().to_owned());
        seen.any(|text| text.starts_with(wanted))
    };
    assert!(eventually("/kept", ". 2"));
    assert!(eventually("/anew", "r 1"));
    assert!(!eventually("/never", "r"));
}

#[test]
fn only_who_can_be_known_is_asked() {
    let root = Authority::root("root");
    let site = site(&root);
    Authority::root("stranger").pair.write(&site, "stranger");
    let verify = |name: &str, trusted: &str| {
        format!(
            "proxy_pass https://127.0.0.1:%%PORT1%%; proxy_ssl_verify on; proxy_ssl_name {name}; \
             proxy_ssl_trusted_certificate {trusted}.crt;"
        )
    };
    let before = format!(
        "location /good {{ {} }} location /name {{ {} }} location /stranger {{ {} }} \
         location /anybody {{ proxy_pass https://127.0.0.1:%%PORT1%%; }}",
        verify("behind.test", "root"),
        verify("other.test", "root"),
        verify("behind.test", "stranger"),
    );
    let edge = Edge::start_in(site, &both("location / { return 200 here; }", &before));
    assert_eq!(edge.get("/good").text(), "here");
    assert_eq!(edge.get("/anybody").text(), "here");
    assert_eq!(edge.get("/name").status, 502);
    assert_eq!(edge.get("/stranger").status, 502);
    let log = edge.error_log();
    assert!(log.contains("upstream SSL certificate does not match"), "{log}");
    assert!(log.contains("upstream SSL certificate verify error: ("), "{log}");
}

#[test]
fn a_certificate_is_shown_to_those_who_ask() {
    let root = Authority::root("root");
    let site = site(&root);
    root.sign("edge.test").write(&site, "edge");
    let edge = Edge::start_in(
        site,
        &both(
            "ssl_verify_client on; ssl_client_certificate root.crt; \
             location / { return 200 '$ssl_client_verify $ssl_client_s_dn'; }",
            "location /shown { proxy_pass https://127.0.0.1:%%PORT1%%; \
             proxy_ssl_certificate edge.crt; proxy_ssl_certificate_key edge.key; } \
             location /hidden { proxy_pass https://127.0.0.1:%%PORT1%%; }",
        ),
    );
    assert_eq!(edge.get("/shown").text(), "SUCCESS CN=edge.test");
    assert_eq!(edge.get("/hidden").status, 400);
}

#[test]
fn who_does_not_speak_tls_is_told_from_who_is_not_there() {
    let site = Site::new();
    self_signed("behind.test").write(&site, "behind");
    let edge = Edge::start_in(
        site,
        &(both(
            "",
            "location /plain { proxy_pass https://127.0.0.1:%%PORT%%; } \
                    location /gone { proxy_pass https://127.0.0.1:%%PORT2%%; }",
        )),
    );
    assert_eq!(edge.get("/plain").status, 502);
    assert_eq!(edge.get("/gone").status, 502);
    let log = edge.error_log();
    assert!(log.contains("while SSL handshaking to upstream"), "{log}");
    assert!(log.contains("connect() failed (111: Connection refused)"), "{log}");
    assert!(!log.contains("[crit]") || is_nginx(), "{log}");
}
