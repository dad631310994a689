//! `fastcgi_pass`: what an application is told, and what the client is told.

use std::{
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::Path,
    process::{Child, Stdio},
};

use causeway_app_host::HostOptions;

use crate::{
    fastcgi_peer::{Application, Asked},
    peer::{After, Peer, Wire, ok},
    server::{Edge, Site, is_nginx, read_response},
};

fn server(inside: &str) -> String {
    format!("server {{ listen 127.0.0.1:%%PORT%%; {inside} }}")
}

/// A server whose locations pass to an application that answers everything with `text`.
fn start(locations: &str, text: &str) -> (Edge, Application) {
    let site = Site::new();
    let application = Application::says(site.listener("PORT1"), text);
    (Edge::start_in(site, &server(locations)), application)
}

/// The same, with an application of the test's own.
fn start_with(
    locations: &str,
    answer: impl Fn(&Asked, &mut dyn Wire) -> After + Send + Sync + 'static,
) -> (Edge, Application) {
    let site = Site::new();
    let application = Application::start(site.listener("PORT1"), answer);
    (Edge::start_in(site, &server(locations)), application)
}

const PASS: &str = "location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }";
const PAGE: &str = "Content-Type: text/plain\r\n\r\npage";

#[test]
fn variables_are_what_the_configuration_says() {
    let (edge, application) = start(
        "fastcgi_param FROM server; fastcgi_param EMPTY $arg_none;
         fastcgi_param LEFT_OUT $arg_none if_not_empty;
         fastcgi_param LONG $arg_long; fastcgi_param REQUEST_URI $request_uri;
         fastcgi_param CONTENT_LENGTH $content_length;
         location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /own { fastcgi_param ONLY this; fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let long = "x".repeat(5000);
    let response = edge.get(&format!("/a%20b?long={long}"));
    assert_eq!((response.status, response.text()), (200, "page"));
    assert_eq!(response.header("content-type"), Some("text/plain"));
    let asked = application.next();
    assert_eq!((asked.get("FROM"), asked.get("EMPTY")), (Some("server"), Some("")));
    assert_eq!(asked.get("LEFT_OUT"), None);
    assert_eq!(asked.get("LONG"), Some(&long[..]));
    assert_eq!(asked.get("REQUEST_URI").unwrap().len(), long.len() + 12);
    assert_eq!((asked.get("CONTENT_LENGTH"), asked.keep), (Some(""), false));
    edge.get("/own");
    let asked = application.next();
    assert_eq!((asked.get("ONLY"), asked.get("FROM")), (Some("this"), None));
}

#[test]
fn variables_may_be_more_than_a_record_can_carry() {
    if is_nginx() {
        return; // It refuses them.
    }
    let (edge, application) = start(
        "large_client_header_buffers 4 32k; fastcgi_param LONG $args$args$args;
         location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let long = "0123456789".repeat(3000);
    assert_eq!(edge.get(&format!("/?{long}")).text(), "page");
    assert!(application.next().get("LONG") == Some(&long.repeat(3)));
}

#[test]
fn fields_become_variables_and_can_not_pass_for_the_servers() {
    let (edge, application) = start(
        "underscores_in_headers on; fastcgi_param HTTP_X_USER server; fastcgi_param HTTP_PROXY '';
         location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /off { fastcgi_pass_request_headers off; fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let fields = [
        "X-User: client",
        "x_user: client",
        "X_USER: client",
        "Proxy: http://evil",
        "X-Some-Thing: one",
        "Cookie: a=1",
        "x-some-thing: two",
        "Cookie: b=2",
        "Content-Type: text/x",
    ];
    edge.request("GET", "/", &fields, b"");
    let asked = application.next();
    assert_eq!(asked.all("HTTP_X_USER"), ["server"]);
    assert_eq!(asked.get("HTTP_PROXY"), None);
    assert_eq!(asked.get("HTTP_HOST"), Some("localhost"));
    assert_eq!(asked.get("HTTP_CONTENT_TYPE"), Some("text/x"));
    if !is_nginx() {
        // Fields of one name are joined from 1.23.0 on.
        assert_eq!(asked.all("HTTP_X_SOME_THING"), ["one, two"]);
        assert_eq!(asked.all("HTTP_COOKIE"), ["a=1; b=2"]);
    }
    edge.request("GET", "/off", &fields, b"");
    let asked = application.next();
    assert_eq!((asked.get("HTTP_COOKIE"), asked.get("HTTP_X_USER")), (None, Some("server")));
}

#[test]
fn the_host_is_the_one_the_request_was_found_by() {
    if is_nginx() {
        return; // 1.22 passes the field, whatever the target says.
    }
    let (edge, application) = start(
        "location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /own { fastcgi_param HTTP_HOST mine; fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let host = |target: &str, host: &str| {
        edge.request("GET", target, &[&format!("Host: {host}")], b"");
        application.next().all("HTTP_HOST").join("|")
    };
    assert_eq!(host("/", "Example.Com:8080"), "example.com:8080");
    assert_eq!(host("http://real.example:81/", "spoofed"), "real.example:81");
    assert_eq!(host("http://real.example/", "spoofed:82"), "real.example");
    assert_eq!(host("/own", "spoofed"), "mine");
}

#[test]
fn the_uri_is_what_follows_the_host() {
    let (edge, application) = start(
        "fastcgi_param REQUEST_URI $request_uri; fastcgi_param QUERY_STRING $args;
         location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    for (target, uri, query) in [
        ("/a%20b/../c?d=e", "/a%20b/../c?d=e", "d=e"),
        ("http://localhost:81/p?q=http://x/", "/p?q=http://x/", "q=http://x/"),
        ("/p?to=http://x/", "/p?to=http://x/", "to=http://x/"),
        ("http://localhost", "/", ""),
    ] {
        edge.get(target);
        let asked = application.next();
        let told = (asked.get("REQUEST_URI"), asked.get("QUERY_STRING"));
        assert_eq!(told, (Some(uri), Some(query)), "{target}");
    }
}

#[test]
fn a_head_becomes_a_status_and_fields() {
    let text = "Status: 404 Not Here\r\nX-One: 1\r\nX-Hidden: h\r\nX-Accel-Expires: 0\r\n\
                Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 4\r\n\r\npage";
    let hide = "fastcgi_hide_header X-Hidden;
        add_header X-Upstream \"$upstream_status $upstream_http_x_one $upstream_cookie_a\" always;
        location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }";
    let (edge, _application) = start(hide, text);
    let response = edge.get("/");
    assert!(response.head.starts_with("HTTP/1.1 404 Not Here\r\n"), "{}", response.head);
    assert_eq!((response.text(), response.header("content-length")), ("page", Some("4")));
    assert_eq!(response.headers("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.header("x-upstream"), Some("404 1 1"));
    for (name, value) in [("x-one", Some("1")), ("x-hidden", None), ("x-accel-expires", None)] {
        assert_eq!(response.header(name), value, "{name}");
    }
    assert_eq!(response.header("status"), None);
    let head = edge.request("HEAD", "/", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (404, Some("4")));
    let (edge, _application) = start(PASS, "Location: http://elsewhere/\r\n\r\n");
    let response = edge.get("/");
    assert_eq!((response.status, response.header("location")), (302, Some("http://elsewhere/")));
}

#[test]
fn an_answer_can_send_the_request_elsewhere() {
    let locations = "location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /kept/ { internal; return 200 kept; }
         location /errors { fastcgi_intercept_errors on; error_page 404 /kept/e;
           fastcgi_pass 127.0.0.1:%%PORT1%%; }";
    let (edge, _application) =
        start(locations, "Status: 404 Not Found\r\nX-Accel-Redirect: /kept/x\r\n\r\n");
    assert_eq!(edge.get("/").text(), "kept");
    let (edge, _application) = start(locations, "Status: 404 Not Found\r\n\r\nown");
    assert_eq!(edge.get("/errors").text(), "kept");
    let own = edge.get("/");
    assert_eq!((own.status, own.text()), (404, "own"));
}

#[test]
fn bodies_come_whole_however_they_were_framed() {
    let (edge, application) = start(
        "client_body_buffer_size 8k; client_max_body_size 2m;
         fastcgi_param CONTENT_LENGTH $content_length;
         location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /live { fastcgi_request_buffering off; fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /none { fastcgi_pass_request_body off; fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let large: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
    for path in ["/", "/live"] {
        for body in [&b"subject=a&content=b"[..], &large] {
            assert_eq!(edge.request("POST", path, &[], body).text(), "page");
            let asked = application.next();
            assert!(asked.body == body, "{path}: {} bytes", asked.body.len());
            assert_eq!(asked.get("CONTENT_LENGTH"), Some(&body.len().to_string()[..]));
        }
        let chunked = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        edge.request("POST", path, &["Transfer-Encoding: chunked"], chunked);
        let asked = application.next();
        assert_eq!(asked.body, b"abcde");
        if path == "/" {
            assert_eq!(asked.get("CONTENT_LENGTH"), Some("5"));
        }
    }
    edge.request("POST", "/none", &[], b"dropped");
    assert_eq!(application.next().body, b"");
}

#[test]
fn a_live_answer_does_not_wait_for_its_end() {
    let (go, gone) = std::sync::mpsc::sync_channel(1);
    let gone = std::sync::Mutex::new(gone);
    let location = "location / { fastcgi_buffering off; fastcgi_pass 127.0.0.1:%%PORT1%%; }";
    let (edge, _application) = start_with(location, move |asked, wire| {
        wire.write_all(&asked.say("X: y\n\nfirst")).unwrap();
        gone.lock().unwrap().recv().unwrap();
        wire.write_all(&[asked.say("last"), asked.end()].concat()).unwrap();
        After::Close
    });
    let mut client = edge.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"first\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    go.send(()).unwrap();
    let mut rest = [0; 14];
    client.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"4\r\nlast\r\n0\r\n\r\n");
}

#[test]
fn a_large_answer_is_what_was_said() {
    let body: String = (0..200_000).map(|at| format!("{at},")).collect();
    let (edge, _application) = start(PASS, &format!("X: y\r\n\r\n{body}"));
    assert!(edge.get("/").text() == body);
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let (edge, _application) = start(PASS, "Content-Length: 100\n\nbeginning");
    let raw = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(raw.ends_with(b"\r\n\r\nbeginning"), "{}", String::from_utf8_lossy(&raw));
    if is_nginx() {
        return; // It takes a connection that closes for the end of an answer.
    }
    let (mut edge, _application) = start_with(PASS, |asked, wire| {
        wire.write_all(&asked.say("Content-Length: 100\n\nbeginning")).unwrap();
        After::Close
    });
    let raw = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(raw.ends_with(b"\r\n\r\nbeginning"), "{}", String::from_utf8_lossy(&raw));
    edge.wait_for_line(
        "error.log",
        "upstream prematurely closed connection while reading upstream",
    );
    let (edge, _application) = start_with(PASS, |asked, wire| {
        wire.write_all(&asked.say("X: y\n\nbeginning")).unwrap();
        After::Close
    });
    let raw = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(raw.ends_with(b"beginning\r\n"), "{}", String::from_utf8_lossy(&raw));
}

#[track_caller]
fn broken(wire: Vec<u8>, message: &str) {
    let (edge, _application) = start_with(PASS, move |_, peer| {
        peer.write_all(&wire).expect("the edge reads");
        After::Close
    });
    assert_eq!(edge.get("/u").status, 502, "{message}");
    let log = edge.error_log();
    assert!(log.contains(message), "{log}");
    let url = format!("upstream: \"fastcgi://127.0.0.1:{}\"", edge.site.port("PORT1"));
    assert!(log.contains(&url), "{log}");
}

#[test]
fn answers_without_meaning_are_502() {
    let reading = "while reading response header from upstream";
    broken(Vec::new(), &format!("upstream prematurely closed connection {reading}"));
    broken(
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        &format!("upstream sent unsupported FastCGI protocol version: 72 {reading}"),
    );
    let asked = |text: &str| {
        let mut wire = Vec::new();
        fastcgi::stdout(&mut wire, 1, text.as_bytes());
        fastcgi::stdout_end(&mut wire, 1);
        wire
    };
    broken(asked("Status: abc\r\n\r\n"), "upstream sent invalid status \"abc\"");
    broken(asked(&"X: y\r\n".repeat(2000)), "upstream sent too big header");
    broken(asked(" : x\r\n\r\n"), "upstream sent invalid header");
}

#[test]
fn what_is_said_on_stderr_is_in_the_log_and_may_be_caught() {
    let locations = "location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location /caught { fastcgi_catch_stderr Fatal; fastcgi_pass 127.0.0.1:%%PORT1%%; }";
    let (mut edge, _application) = start_with(locations, |asked, wire| {
        let said = [
            asked.complain("PHP Fatal error: no.\n"),
            asked.say("X: y\n\nbody"),
            asked.complain("and later\n"),
            asked.end(),
        ];
        wire.write_all(&said.concat()).unwrap();
        After::Close
    });
    assert_eq!(edge.get("/").text(), "body");
    let line = "[error]";
    edge.wait_for_line("error.log", "FastCGI sent in stderr: \"and later\" while reading upstream");
    let log = edge.error_log();
    let first =
        "FastCGI sent in stderr: \"PHP Fatal error: no\" while reading response header from";
    assert!(log.contains(line) && log.contains(first), "{log}");
    assert_eq!(edge.get("/caught").status, 502);
}

#[test]
fn a_connection_is_kept_where_both_want_it() {
    let site = Site::new();
    let application = Application::says(site.listener("PORT1"), PAGE);
    let edge = Edge::start_in(
        site,
        "upstream app { server 127.0.0.1:%%PORT1%%; keepalive 4; }
         server { listen 127.0.0.1:%%PORT%%;
           location /kept { fastcgi_keep_conn on; fastcgi_pass app; }
           location / { fastcgi_pass app; } }",
    );
    // One client connection, so that one worker of nginx has them all.
    let mut client = edge.connect();
    let mut connections = Vec::new();
    for path in ["/kept", "/kept", "/kept", "/", "/"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        assert_eq!(read_response(&mut client, "GET").text(), "page");
        let asked = application.next();
        assert_eq!(asked.keep, path == "/kept");
        connections.push(asked.connection);
    }
    assert_eq!(connections[..3], [0, 0, 0]);
    assert_ne!(connections[3], connections[4]);
}

#[test]
fn another_is_asked_where_one_fails() {
    let site = Site::new();
    drop(site.listener("PORT2")); // Nobody listens there.
    let good = Application::says(site.listener("PORT1"), PAGE);
    let _bad = Peer::says(site.listener("PORT3"), ok("not FastCGI"));
    let mut edge = Edge::start_in(
        site,
        "upstream refused { server 127.0.0.1:%%PORT2%%; server 127.0.0.1:%%PORT1%% backup; }
         server { listen 127.0.0.1:%%PORT%%; fastcgi_next_upstream error invalid_header;
           location / { fastcgi_pass refused; }
           location /nobody { fastcgi_pass 127.0.0.1:%%PORT2%%; }
           location /unix { fastcgi_pass unix:%%DIR%%/none.sock; } }",
    );
    assert_eq!(edge.get("/").text(), "page");
    good.next();
    assert_eq!(edge.get("/nobody").status, 502);
    assert_eq!(edge.get("/unix").status, 502);
    let url = edge.site.fill("upstream: \"fastcgi://127.0.0.1:%%PORT2%%\"");
    edge.wait_for_line("error.log", &url);
    let url = edge.site.fill("upstream: \"fastcgi://unix:%%DIR%%/none.sock:\"");
    edge.wait_for_line("error.log", &url);
}

#[test]
fn a_path_is_cut_into_script_and_rest() {
    let (edge, application) = start(
        "fastcgi_index index.php; fastcgi_split_path_info ^(.+\\.php)(/.*)$;
         fastcgi_param SCRIPT_NAME $fastcgi_script_name;
         fastcgi_param PATH_INFO $fastcgi_path_info; fastcgi_param FIRST $1;
         location ~ ^/(x)?.*\\.php { fastcgi_pass 127.0.0.1:%%PORT1%%; }
         location / { fastcgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let cut = |path: &str| {
        edge.get(path);
        let asked = application.next();
        let get = |name| asked.get(name).unwrap().to_owned();
        (get("SCRIPT_NAME"), get("PATH_INFO"), get("FIRST"))
    };
    let expect = |script: &str, info: &str, first: &str| {
        (script.to_owned(), info.to_owned(), first.to_owned())
    };
    assert_eq!(cut("/xa.php/more?q"), expect("/xa.php", "/more", "x"));
    assert_eq!(cut("/folder/"), expect("/folder/index.php", "", ""));
    assert_eq!(cut("/plain"), expect("/plain", "", ""));
}

#[test]
fn a_place_may_be_a_variable_and_another_family_a_block_apart() {
    let site = Site::new();
    let _application = Application::says(site.listener("PORT1"), PAGE);
    let _http = Peer::says(site.listener("PORT2"), ok("http"));
    let edge = Edge::start_in(
        site,
        "upstream app { server 127.0.0.1:%%PORT1%%; }
         server { listen 127.0.0.1:%%PORT%%;
           location /var { fastcgi_pass $arg_to; }
           location /f { fastcgi_pass app; if ($arg_http) { proxy_pass http://127.0.0.1:%%PORT2%%; } }
           location /h { proxy_pass http://127.0.0.1:%%PORT2%%; if ($arg_f) { fastcgi_pass app; } } }",
    );
    let place = format!("/var?to=127.0.0.1:{}", edge.site.port("PORT1"));
    for (path, expected) in [
        (&place[..], "page"),
        ("/var?to=app", "page"),
        ("/f", "page"),
        ("/f?http=1", "http"),
        ("/h", "http"),
        ("/h?f=1", "page"),
    ] {
        assert_eq!(edge.get(path).text(), expected, "{path}");
    }
    assert_eq!(edge.get("/var?to=127.0.0.1").status, 500);
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let refused = |directive: &str| {
        let site = Site::new();
        let http = server(&format!("location / {{ {directive} }}"));
        site.write("nginx.conf", site.config(&http));
        let output = site.run(&["-t"]);
        assert!(!output.status.success(), "{directive}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (directive, message) in [
        ("fastcgi_pass 127.0.0.1;", "no port in upstream \"127.0.0.1\""),
        ("fastcgi_pass 127.0.0.1:1; fastcgi_pass 127.0.0.1:2;", "directive is duplicate"),
        ("fastcgi_param A b c;", "invalid parameter \"c\""),
        ("fastcgi_split_path_info ^(x)$;", "pattern \"^(x)$\" must have 2 captures"),
        ("fastcgi_buffers 1 4k;", "there must be at least 2 \"fastcgi_buffers\""),
    ] {
        let said = refused(directive);
        assert!(said.contains(message), "{directive}: {said}");
    }
    if !is_nginx() {
        for directive in ["fastcgi_cache zone;", "fastcgi_store on;"] {
            let said = refused(directive);
            assert!(said.contains("the edge does not yet"), "{directive}: {said}");
        }
    }
}

/// Our own app-host, as it runs behind a web server that speaks FastCGI itself.
struct AppHost(Child);

impl AppHost {
    fn start(socket: &Path, application: &str) -> AppHost {
        let mut options = HostOptions::new(application);
        // A kept connection has a thread to itself.
        options.threads = 4;
        options.chdir = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wsgi"));
        let library = causeway_app_host::library().expect("cargo builds it next to this test");
        let python = std::env::var_os("CAUSEWAY_PYTHON").unwrap_or_else(|| "python3".into());
        let listener = UnixListener::bind(socket).expect("a socket");
        let mut command = causeway_app_host::command(python.as_ref(), &library, &options);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        let command = command.stdin(OwnedFd::from(listener)).stderr(Stdio::null());
        AppHost(command.spawn().expect("an interpreter"))
    }
}

impl Drop for AppHost {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

const PARAMS: &str = "fastcgi_param QUERY_STRING $query_string;
    fastcgi_param REQUEST_METHOD $request_method; fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param CONTENT_LENGTH $content_length; fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param DOCUMENT_URI $document_uri; fastcgi_param SERVER_PROTOCOL $server_protocol;
    fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param SERVER_PORT $server_port;
    fastcgi_param SERVER_NAME $server_name; fastcgi_param REQUEST_SCHEME $scheme;";

#[test]
fn an_application_of_our_own_host_is_reached_without_the_gateway() {
    let site = Site::new();
    let mut host = AppHost::start(&site.path("app.sock"), "echo_body");
    let edge = Edge::start_in(
        site,
        &format!(
            "upstream app {{ server unix:%%DIR%%/app.sock; keepalive 1; }} client_max_body_size 2m;
             {PARAMS} {}",
            server("fastcgi_keep_conn on; location / { fastcgi_pass app; }")
        ),
    );
    let body: Vec<u8> = (0..1_000_000).map(|at| (at % 253) as u8).collect();
    for _ in 0..3 {
        let response = edge.request("POST", "/read", &[], &body);
        assert!(response.status == 200 && response.body == body, "{}", response.head);
    }
    host.0.kill().unwrap();
    host.0.wait().unwrap();
    assert_eq!(edge.get("/read").status, 502);
    let log = edge.error_log();
    assert!(log.contains("upstream: \"fastcgi://unix:"), "{log}");
}
