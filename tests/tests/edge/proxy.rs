//! `proxy_pass`: what the upstream is told, and what the client is told.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
};

use crate::{
    peer::{After, Peer, ok},
    server::{Edge, Site, is_nginx, read_response},
};

/// A server whose locations pass to a peer that answers everything with `response`.
fn start(locations: &str, response: impl Into<Vec<u8>>) -> (Edge, Peer) {
    let site = Site::new();
    let peer = Peer::says(site.listener("PORT1"), response);
    (Edge::start_in(site, &format!("server {{ listen 127.0.0.1:%%PORT%%; {locations} }}")), peer)
}

fn head(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{fields}\r\n\r\n")
}

#[test]
fn the_uri_is_replaced_as_the_location_says() {
    let (edge, peer) = start(
        "location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /slash/ { proxy_pass http://127.0.0.1:%%PORT1%%/; }
         location /bare { proxy_pass http://127.0.0.1:%%PORT1%%/with; }
         location = /exact { proxy_pass http://127.0.0.1:%%PORT1%%/other; }
         location ~ ^/re { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /rw/ { rewrite ^/rw/(.*)$ /new/$1 break; proxy_pass http://127.0.0.1:%%PORT1%%/x/; }
         location /vars/ { set $to 127.0.0.1:%%PORT1%%; proxy_pass http://$to$request_uri; }",
        ok(""),
    );
    let check = |path: &str, expected: &str| {
        assert_eq!(edge.get(path).status, 200, "{path}");
        let line = peer.next();
        let target = line.line().split(' ').nth(1).unwrap();
        assert_eq!(target, expected, "{path}");
    };
    check("/a//b/%7Ec?d=e", "/a//b/%7Ec?d=e");
    check("/slash/a%20b?c", "/a%20b?c");
    check("/bare/x", "/with/x");
    check("/bareness", "/withness");
    check("/exact?a", "/other?a");
    check("/re/%2e/x", "/re/%2e/x");
    check("/rw/y?z", "/new/y?z");
    check("/vars/y?z", "/vars/y?z");
    let slash = edge.get("/slash");
    assert_eq!(slash.status, 301);
    assert!(slash.header("location").unwrap().ends_with("/slash/"));
}

#[test]
fn a_unix_socket_with_a_uri() {
    let site = Site::new();
    let listener = UnixListener::bind(site.path("up.sock")).unwrap();
    let peer = Peer::unix(listener, |_, wire| {
        wire.write_all(&ok("unix")).unwrap();
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://unix:%%DIR%%/up.sock; }
           location /a/ { proxy_pass http://unix:%%DIR%%/up.sock:/b/; } }",
    );
    assert_eq!(edge.get("/x?y").text(), "unix");
    let seen = peer.next();
    assert!(seen.line().starts_with("GET /x?y HTTP/1."));
    assert_eq!(seen.header("host"), Some("localhost"));
    assert_eq!(edge.get("/a/x").text(), "unix");
    assert!(peer.next().line().starts_with("GET /b/x "));
}

#[test]
fn fields_meant_for_one_hop_stay_there() {
    let (edge, peer) = start("location / { proxy_pass http://127.0.0.1:%%PORT1%%; }", ok(""));
    let fields = [
        "TE: trailers",
        "Keep-Alive: 5",
        "Upgrade: x",
        "X-One: 1",
        "x-two: 2",
        "Host: example.org",
    ];
    edge.request("GET", "/", &fields, b"");
    let seen = peer.next();
    for name in ["te", "keep-alive", "upgrade", "expect", "proxy-connection", "content-length"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-one"), Some("1"));
    assert!(seen.head.contains("\r\nx-two: 2\r\n"), "the client's own spelling");
    assert_eq!(seen.header("host"), Some(&*format!("127.0.0.1:{}", edge.site.port("PORT1"))));
    // 1.29.7 changed both defaults.
    let (version, connection) = if is_nginx() { ("1.0", Some("close")) } else { ("1.1", None) };
    assert!(seen.line().ends_with(version));
    assert_eq!(seen.header("connection"), connection);
}

#[test]
fn fields_are_set_and_unset() {
    let (edge, peer) = start(
        "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
         proxy_set_header Accept-Encoding \"\"; proxy_set_header X-Empty $arg_none;
         location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /own { proxy_set_header X-Own $proxy_host:$proxy_port; proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /none { proxy_pass_request_headers off; proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /method { proxy_method PUT; proxy_set_body \"b=$arg_b\"; proxy_pass http://127.0.0.1:%%PORT1%%; }",
        ok(""),
    );
    let fields = ["Host: a.example:8000", "X-Forwarded-For: 10.0.0.1", "Accept-Encoding: gzip"];
    edge.request("GET", "/", &fields, b"");
    let seen = peer.next();
    assert_eq!(seen.header("host"), Some("a.example:8000"));
    assert_eq!(seen.header("x-forwarded-for"), Some("10.0.0.1, 127.0.0.1"));
    assert_eq!(seen.header("accept-encoding"), None);
    assert_eq!(seen.header("x-empty"), None);
    edge.request("GET", "/own", &fields, b"");
    let seen = peer.next();
    let port = edge.site.port("PORT1");
    assert_eq!(seen.header("x-own"), Some(&*format!("127.0.0.1:{port}:{port}")));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"), "one of its own replaces all outside");
    edge.request("GET", "/none", &["X-Client: 1"], b"");
    assert_eq!(peer.next().header("x-client"), None);
    edge.get("/method?b=5");
    let seen = peer.next();
    assert_eq!((seen.line().split(' ').next(), &seen.body[..]), (Some("PUT"), &b"b=5"[..]));
}

#[test]
fn fields_of_the_answer() {
    let (edge, _peer) = start(
        "location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_hide_header X-Secret; }
         location /server { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_pass_header Server; }
         location /untyped { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_hide_header Content-Type; }",
        head(
            "Server: behind\r\nX-Pad: x\r\nX-Secret: y\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             X-Accel-Buffering: no\r\nKeep-Alive: 5\r\nContent-Type: text/x; charset=x\r\nContent-Length: 0",
        ),
    );
    let response = edge.get("/");
    assert!(response.header("server").unwrap().starts_with("nginx/"));
    assert_eq!(response.headers("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.header("content-type"), Some("text/x; charset=x"));
    for name in ["x-pad", "x-secret", "x-accel-buffering", "keep-alive"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.headers("date").len(), 1);
    assert_eq!(edge.get("/server").headers("server"), ["behind"]);
    assert_eq!(edge.get("/untyped").header("content-type"), None);
}

#[test]
fn places_are_named_as_they_are_seen_from_outside() {
    let locations = "
        location /in/ { proxy_pass http://127.0.0.1:%%PORT1%%/deep/; }
        location /off/ { proxy_pass http://127.0.0.1:%%PORT1%%/deep/; proxy_redirect off; }
        location /own/ { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_redirect http://127.0.0.1:%%PORT1%%/deep https://shop.example/$request_method; }
        location /re/ { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_redirect ~^http://[^/]+/deep/(.*)$ /$1/re; }";
    let site = Site::new();
    let port = site.port("PORT1");
    let location = format!("http://127.0.0.1:{port}/deep/x");
    let response =
        head(&format!("Location: {location}\r\nRefresh: 3; url={location}\r\nContent-Length: 0"));
    let peer = Peer::says(site.listener("PORT1"), response);
    let edge =
        Edge::start_in(site, &format!("server {{ listen 127.0.0.1:%%PORT%%; {locations} }}"));
    let own = edge.site.port("PORT");
    let check = |path: &str, expected: &str| {
        assert_eq!(edge.get(path).header("location"), Some(expected), "{path}");
        peer.next();
    };
    check("/in/", &format!("http://localhost:{own}/in/x"));
    check("/off/", &location);
    check("/own/", "https://shop.example/GET/x");
    check("/re/", &format!("http://localhost:{own}/x/re"));
    assert_eq!(edge.get("/in/").header("refresh"), Some("3; url=/in/x"));
}

#[test]
fn cookies_are_moved() {
    let (edge, _peer) = start(
        "proxy_cookie_path /two/ /one/; proxy_cookie_domain inner outer.example;
         proxy_cookie_domain ~^(.+)\\.back$ $1.front;
         location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /off { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_cookie_path off; proxy_cookie_domain off; }",
        head(
            "Set-Cookie: a=path=/two/; Path=/two/x; HttpOnly; domain=.inner;x=1\r\n\
             Set-Cookie: b=1; Domain=one.BACK\r\nSet-Cookie: c=1;Path=/three/\r\nContent-Length: 0",
        ),
    );
    let cookies = [
        "a=path=/two/; Path=/one/x; HttpOnly; domain=.outer.example; x=1",
        "b=1; Domain=one.front",
        // What no rule fits is not touched.
        "c=1;Path=/three/",
    ];
    assert_eq!(edge.get("/").headers("set-cookie"), cookies);
    assert!(
        edge.get("/off").head.contains("a=path=/two/; Path=/two/x; HttpOnly; domain=.inner;x=1")
    );
}

#[test]
fn cookies_get_flags() {
    let (edge, _peer) = start(
        "location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_cookie_flags a secure samesite=strict;
           proxy_cookie_flags ~^SESS httponly; proxy_cookie_flags c nosecure nosamesite; }",
        head(
            "Set-Cookie: a=1; samesite=lax\r\nSet-Cookie: sessid=2; Path=/\r\n\
             Set-Cookie: c=3; SECURE; SameSite=None\r\nSet-Cookie: d=4;Secure\r\nContent-Length: 0",
        ),
    );
    let cookies =
        ["a=1; SameSite=Strict; Secure", "sessid=2; Path=/; HttpOnly", "c=3", "d=4;Secure"];
    assert_eq!(edge.get("/").headers("set-cookie"), cookies);
}

#[test]
fn bodies_end_as_their_framing_says() {
    let check = |response: &str, expected: &str| {
        let (edge, _peer) =
            start("location / { proxy_pass http://127.0.0.1:%%PORT1%%; }", response);
        let got = edge.get("/");
        assert_eq!((got.status, got.text()), (200, expected), "{response}");
    };
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n",
        "abcde",
    );
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc");
    check("HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end");
    if !is_nginx() {
        // 1.22 takes the interim answer for the answer.
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok");
    }
    check("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok");
}

#[test]
fn no_body_where_there_is_none() {
    let (edge, _peer) = start(
        "location / { proxy_pass http://127.0.0.1:%%PORT1%%; }",
        "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
    );
    assert_eq!(edge.get("/").status, 304);
    let (edge, _peer) =
        start("location / { proxy_pass http://127.0.0.1:%%PORT1%%; }", head("Content-Length: 10"));
    let response = edge.request("HEAD", "/", &[], b"");
    assert_eq!((response.status, response.header("content-length")), (200, Some("10")));
}

#[test]
fn whether_an_answer_is_still_good_is_the_upstreams_decision() {
    let (edge, _peer) = start(
        "location / { proxy_pass http://127.0.0.1:%%PORT1%%; }",
        head("ETag: \"x\"\r\nContent-Length: 0"),
    );
    assert_eq!(edge.request("GET", "/", &["If-None-Match: \"x\""], b"").status, 200);
}

#[test]
fn an_answer_without_a_head_goes_on_as_it_is() {
    let (edge, _peer) = start("location / { proxy_pass http://127.0.0.1:%%PORT1%%; }", "just text");
    assert_eq!(edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), b"just text");
    assert!(edge.error_log().contains(
        "upstream sent no valid HTTP/1.0 header while reading response header from upstream"
    ));
}

#[track_caller]
fn broken(response: &str, message: &str) {
    let (edge, _peer) = start("location /u { proxy_pass http://127.0.0.1:%%PORT1%%; }", response);
    assert_eq!(edge.get("/u").status, 502, "{response}");
    let log = edge.error_log();
    assert!(log.contains(message), "{log}");
    let url = format!("upstream: \"http://127.0.0.1:{}/u\"", edge.site.port("PORT1"));
    assert!(log.contains(&url), "{log}");
}

#[test]
fn heads_without_meaning_are_502() {
    broken(
        "",
        "upstream prematurely closed connection while reading response header from upstream",
    );
    broken("HTTP/1.1 200 OK\r\nA: b\r\n", "upstream prematurely closed connection while");
    let big = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(5000));
    broken(&big, "upstream sent too big header while reading response header from upstream");
    broken("HTTP/1.1 200 OK\r\n : x\r\n\r\n", "upstream sent invalid header");
}

#[test]
fn two_lengths_are_502() {
    if is_nginx() {
        return; // Debian's 1.22 takes the first; 1.23.0 began to refuse.
    }
    broken(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
    );
    broken(
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "upstream sent duplicate header line",
    );
    broken(
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "upstream sent invalid \"Content-Length\"",
    );
    broken(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n",
        "upstream sent unknown \"Transfer-Encoding\"",
    );
}

#[test]
fn a_body_that_breaks_is_seen_to_break() {
    let location = "location / { proxy_pass http://127.0.0.1:%%PORT1%%; }";
    let (mut edge, _peer) = start(location, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    let raw = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(raw.ends_with(b"\r\n\r\nabc"), "{}", String::from_utf8_lossy(&raw));
    edge.wait_for_line(
        "error.log",
        "upstream prematurely closed connection while reading upstream",
    );
    let (edge, _peer) =
        start(location, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    // To HTTP/1.1 clients the last chunk is missing.
    let raw = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!raw.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&raw));
}

#[test]
fn nobody_there() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%;
           location /tcp { proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /unix { proxy_pass http://unix:%%DIR%%/none.sock; }
           location /name { set $name nowhere.invalid; proxy_pass http://$name/; } }",
    );
    for path in ["/tcp", "/unix", "/name"] {
        assert_eq!(edge.get(path).status, 502, "{path}");
    }
    let log = edge.error_log();
    let refused = "connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1";
    assert!(log.contains(refused), "{log}");
    let dir = edge.site.path("none.sock").display().to_string();
    assert!(log.contains("[crit]"), "{log}");
    let missing = format!(
        "connect() to unix:{dir} failed (2: No such file or directory) while connecting to upstream"
    );
    assert!(log.contains(&missing), "{log}");
    assert!(
        log.contains(&format!("upstream: \"http://unix:{dir}:/unix\", host: \"localhost\"")),
        "{log}"
    );
    assert!(log.contains("no resolver defined to resolve nowhere.invalid"), "{log}");
}

#[test]
fn an_upstream_that_says_nothing_is_504() {
    let site = Site::new();
    let _peer = Peer::tcp(site.listener("PORT1"), |_, wire| {
        let _until_the_edge_gives_up = wire.read(&mut [0]);
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_read_timeout 200ms; } }",
    );
    assert_eq!(edge.get("/").status, 504);
    let log = edge.error_log();
    let message = "upstream timed out (110: Connection timed out) while reading response header from upstream";
    assert!(log.contains(message), "{log}");
}

#[test]
fn a_client_that_leaves_ends_the_question() {
    let site = Site::new();
    let peer = Peer::tcp(site.listener("PORT1"), |_, wire| {
        // Only the edge's closing ends this.
        let mut rest = Vec::new();
        let _closed = wire.read_to_end(&mut rest);
        After::Close
    });
    let mut edge = Edge::start_in(
        site,
        "log_format s '$status $request_uri'; access_log %%DIR%%/s.log s;
         server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let mut client = edge.connect();
    client.write_all(b"GET /left HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    peer.next();
    drop(client);
    edge.wait_for_line("s.log", "499 /left");
    edge.wait_for_line("error.log", "client prematurely closed connection");
}

#[test]
fn statuses_are_intercepted_only_where_that_is_said() {
    let (edge, _peer) = start(
        "error_page 404 /page;
         location = /page { return 200 ours; }
         location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /mine { proxy_intercept_errors on; proxy_pass http://127.0.0.1:%%PORT1%%; }",
        "HTTP/1.1 404 Gone Fishing\r\nContent-Length: 5\r\n\r\ntheir",
    );
    let theirs = edge.get("/");
    assert_eq!((theirs.status, theirs.text()), (404, "their"));
    assert!(theirs.head.starts_with("HTTP/1.1 404 Gone Fishing\r\n"), "{}", theirs.head);
    let ours = edge.get("/mine");
    assert_eq!((ours.status, ours.text()), (404, "ours"));
}

#[test]
fn an_answer_can_send_the_request_elsewhere() {
    let site = Site::new();
    site.write("private/file.txt", "secret");
    let _peer = Peer::says(
        site.listener("PORT1"),
        head(
            "X-Accel-Redirect: /private/file.txt\r\nContent-Type: x/y\r\nSet-Cookie: a=b\r\nX-Lost: 1\r\nContent-Length: 0",
        ),
    );
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /private/ { internal; root %%DIR%%; } }",
    );
    let response = edge.request("POST", "/download", &[], b"q=1");
    assert_eq!((response.status, response.text()), (200, "secret"));
    assert_eq!(response.header("content-type"), Some("x/y"));
    assert_eq!(response.header("set-cookie"), Some("a=b"));
    assert_eq!(response.header("x-lost"), None);
    assert_eq!(edge.get("/private/file.txt").status, 404);
}

#[test]
fn an_answer_sends_nobody_out_of_a_location() {
    for uri in ["/private/../secret", "/private/%2e%2e/secret", "/../secret", "/private/.."] {
        let site = Site::new();
        site.write("secret", "secret");
        site.write("private/file.txt", "private");
        let answer = head(&format!("X-Accel-Redirect: {uri}\r\nContent-Length: 0"));
        let _peer = Peer::says(site.listener("PORT1"), answer);
        let edge = Edge::start_in(
            site,
            "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%;
               location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
               location /private/ { internal; } location = /secret { internal; } }",
        );
        assert_eq!(edge.get("/download").status, 404, "{uri}");
        assert!(edge.error_log().contains("unsafe URI"), "{uri}: {}", edge.error_log());
    }
}

#[test]
fn requests_come_whole_however_they_were_framed() {
    let site = Site::new();
    let peer = Peer::says(site.listener("PORT1"), ok(""));
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; client_max_body_size 8m; client_body_temp_path %%DIR%%/spool;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /stream { proxy_request_buffering off; proxy_http_version 1.1; proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let large: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    for path in ["/", "/stream"] {
        assert_eq!(edge.request("POST", path, &[], &large).status, 200);
        let seen = peer.next();
        assert!(seen.body == large, "byte for byte");
        assert_eq!(seen.header("content-length"), Some("3000000"));
        let chunked = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        edge.request("POST", path, &["Transfer-Encoding: chunked"], chunked);
        let seen = peer.next();
        assert_eq!(seen.body, b"abcde");
        if path == "/" {
            assert_eq!(seen.header("content-length"), Some("5"));
        }
    }
    assert!(crate::server::listing(&edge.site.path("spool")).iter().all(|name| name.len() < 4));
    assert_eq!(edge.request("POST", "/", &["Content-Length: 9000000"], b"").status, 413);
    edge.request("POST", "/", &["Content-Length: 0"], b"");
    assert_eq!(peer.next().header("content-length"), Some("0"));
    assert!(peer.is_quiet());
}

#[test]
fn an_answer_before_the_whole_request_is_passed_on() {
    let site = Site::new();
    let listener = site.listener("PORT1");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 1000];
        stream.read_exact(&mut some[..100]).unwrap();
        let refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(refusal).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Not read: the edge must not insist on sending it. Held open until the edge closes.
        while stream.read(&mut some).is_ok_and(|read| read > 0) {}
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; client_max_body_size 0;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let mut client = edge.connect();
    let body = vec![b'x'; 500_000];
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n").unwrap();
    client.write_all(&body).unwrap();
    let response = read_response(&mut client, "POST");
    assert_eq!((response.status, response.text()), (413, "no"));
}

#[test]
fn an_if_leads_where_its_location_leads_or_elsewhere_or_nowhere() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%;
           location /a { proxy_pass http://127.0.0.1:%%PORT1%%/other; if ($arg_x) { set $y 1; } }
           location /b { set $y 1; error_page 500 @page;
             if ($y) { proxy_pass http://127.0.0.1:%%PORT1%%; } if ($arg_x) { set $y 2; } }
           location @page { return 200 page; } }
         server { listen 127.0.0.1:%%PORT1%%; return 200 $uri; }",
    );
    assert_eq!(edge.get("/a").text(), "/other");
    assert_eq!(edge.get("/a?x=1").text(), "/other");
    assert_eq!(edge.get("/b").text(), "/b");
    // The last one is in force, and has nobody to answer.
    let page = edge.get("/b?x=1");
    assert_eq!((page.status, page.text()), (500, "page"));
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let refused = |directive: &str| {
        let site = Site::new();
        let http = format!("server {{ listen 127.0.0.1:%%PORT%%; location / {{ {directive} }} }}");
        site.write("nginx.conf", site.config(&http));
        let output = site.run(&["-t"]);
        assert!(!output.status.success(), "{directive}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused("proxy_pass ftp://x;").contains("invalid URL prefix"));
    assert!(
        refused("proxy_pass http://nowhere.invalid;")
            .contains("host not found in upstream \"nowhere.invalid\"")
    );
    assert!(
        refused("if ($args) { proxy_pass http://127.0.0.1/uri; }").contains("cannot have URI part")
    );
    if !is_nginx() {
        assert!(refused("proxy_cache zone;").contains("\"proxy_cache\" directive"));
    }
    assert!(refused("proxy_cookie_path off; proxy_cookie_path a b;").contains("is duplicate"));
    assert!(refused("proxy_cookie_domain on;").contains("invalid parameter \"on\""));
}
