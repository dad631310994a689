//! What people search the web for with Django behind nginx, each named after what they see: the page
//! or the missing field, and the line in the log that says why.

use std::{
    fs::{self, Permissions},
    io::{Read, Write},
    net::Shutdown,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    sync::{
        Mutex,
        mpsc::{Receiver, sync_channel},
    },
};

use nix::unistd::geteuid;

use crate::{
    peer::{After, Peer, Seen, ok},
    server::{Edge, PATIENCE, Site, is_nginx, read_response},
};

/// A server with this inside, before an application that says yes to everything.
fn start(inside: &str) -> (Edge, Peer) {
    let site = Site::new();
    let peer = Peer::says(site.listener("PORT1"), ok("yes"));
    let edge = Edge::start_in(
        site,
        &format!(
            "log_format s '$status $request_uri'; access_log %%DIR%%/s.log s;
             upstream django_app {{ server 127.0.0.1:%%PORT1%%; }}
             server {{ listen 127.0.0.1:%%PORT%%; {inside} }}"
        ),
    );
    (edge, peer)
}

/// What the application was told by the answer to this request.
fn told(edge: &Edge, peer: &Peer, path: &str, fields: &[&str]) -> Seen {
    assert_eq!(edge.request("GET", path, fields, b"").status, 200, "{path}");
    peer.next()
}

/// 400 DisallowedHost: the name of the upstream arrives, and not the site's.
#[test]
fn the_application_sees_another_host_than_the_client() {
    let (edge, peer) = start(
        "location /unset { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /named { proxy_pass http://django_app; }
         location /host { proxy_pass http://django_app; proxy_set_header Host $host; }
         location /http_host { proxy_pass http://django_app; proxy_set_header Host $http_host; }
         location /port { proxy_pass http://django_app; proxy_set_header Host $host:$server_port; }",
    );
    let port = edge.site.port("PORT");
    let upstream = format!("127.0.0.1:{}", edge.site.port("PORT1"));
    for (path, expected) in [
        ("/unset", &upstream[..]),
        ("/named", "django_app"),
        ("/host", "shop.example"),
        ("/http_host", "Shop.Example:8080"),
        ("/port", &format!("shop.example:{port}")),
    ] {
        let seen = told(&edge, &peer, path, &["Host: Shop.Example:8080"]);
        assert_eq!(seen.header("host"), Some(expected), "{path}");
    }
}

#[test]
fn the_application_on_a_socket_sees_localhost() {
    let site = Site::new();
    let peer = Peer::unix(UnixListener::bind(site.path("app.sock")).unwrap(), |_, wire| {
        let _gone = wire.write_all(&ok("yes"));
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "upstream app_server { server unix:%%DIR%%/app.sock; }
         server { listen 127.0.0.1:%%PORT%%;
           location /unset { proxy_pass http://unix:%%DIR%%/app.sock; }
           location /named { proxy_pass http://app_server; }
           location /host { proxy_pass http://unix:%%DIR%%/app.sock; proxy_set_header Host $host; } }",
    );
    for (path, expected) in
        [("/unset", "localhost"), ("/named", "app_server"), ("/host", "shop.example")]
    {
        let seen = told(&edge, &peer, path, &["Host: shop.example"]);
        assert_eq!(seen.header("host"), Some(expected), "{path}");
    }
}

/// Whoever reads the first address of the list reads what the client has written.
#[test]
fn the_client_s_own_address_is_appended_to_what_it_claims() {
    let (edge, peer) = start(
        "location / { proxy_pass http://django_app;
           proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
           proxy_set_header X-Real-IP $remote_addr;
           proxy_set_header X-Forwarded-Proto $scheme; }",
    );
    for (fields, list) in [
        (&[][..], "127.0.0.1"),
        (&["X-Forwarded-For: 6.6.6.6"], "6.6.6.6, 127.0.0.1"),
        (&["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 7.7.7.7"], "6.6.6.6, 7.7.7.7, 127.0.0.1"),
        (&["X-Forwarded-For: 6.6.6.6, 7.7.7.7"], "6.6.6.6, 7.7.7.7, 127.0.0.1"),
        (&["X-Real-IP: 6.6.6.6", "X-Forwarded-Proto: https"], "127.0.0.1"),
    ] {
        let seen = told(&edge, &peer, "/", fields);
        assert_eq!(seen.header("x-forwarded-for"), Some(list));
        assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"));
        assert_eq!(seen.header("x-forwarded-proto"), Some("http"), "the claim is replaced");
        let count = seen.head.to_ascii_lowercase().matches("\nx-forwarded-for:").count();
        assert_eq!(count, 1, "{}", seen.head);
    }
}

/// A scheme that only a proxy may tell is passed on as the client wrote it where nobody sets it.
#[test]
fn a_field_that_is_not_set_is_the_client_s() {
    let (edge, peer) = start(
        "location / { proxy_pass http://django_app; }
         location /emptied { proxy_pass http://django_app; proxy_set_header X-Forwarded-Protocol ''; }",
    );
    let fields = ["X-Forwarded-Protocol: ssl"];
    assert_eq!(told(&edge, &peer, "/", &fields).header("x-forwarded-protocol"), Some("ssl"));
    assert_eq!(told(&edge, &peer, "/emptied", &fields).header("x-forwarded-protocol"), None);
}

/// A `proxy_set_header` further in takes the place of all those around it.
#[test]
fn the_host_is_lost_by_setting_another_field() {
    let (edge, peer) = start(
        "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;
         location / { proxy_pass http://django_app; }
         location /lost { proxy_pass http://django_app; proxy_set_header X-Other 1; }",
    );
    let seen = told(&edge, &peer, "/", &["Host: shop.example"]);
    assert_eq!(
        (seen.header("host"), seen.header("x-real-ip")),
        (Some("shop.example"), Some("127.0.0.1"))
    );
    let seen = told(&edge, &peer, "/lost", &["Host: shop.example"]);
    assert_eq!((seen.header("host"), seen.header("x-real-ip")), (Some("django_app"), None));
    assert_eq!(seen.header("x-other"), Some("1"));
}

#[test]
fn fields_with_underscores_vanish() {
    let fields = ["api_key: 1", "X_USER: root", "X-User: me"];
    let (edge, peer) = start("location / { proxy_pass http://django_app; }");
    let seen = told(&edge, &peer, "/", &fields);
    assert_eq!((seen.header("api_key"), seen.header("x_user")), (None, None));
    assert_eq!(seen.header("x-user"), Some("me"));
    let log = edge.error_log();
    assert!(log.contains("client sent invalid header line: \"api_key: 1\""), "{log}");
    let (edge, peer) =
        start("underscores_in_headers on; location / { proxy_pass http://django_app; }");
    let seen = told(&edge, &peer, "/", &fields);
    assert_eq!((seen.header("api_key"), seen.header("x_user")), (Some("1"), Some("root")));
}

#[test]
fn status_413_says_how_much_was_intended() {
    let (edge, peer) = start(
        "location / { proxy_pass http://django_app; }
         location /small { client_max_body_size 10; proxy_pass http://django_app; }
         location /any { client_max_body_size 0; proxy_pass http://django_app; }",
    );
    // A megabyte where nothing else is said.
    let (most, more) = (vec![b'x'; 1 << 20], vec![b'x'; (1 << 20) + 1]);
    assert_eq!(edge.request("POST", "/", &[], &most).status, 200);
    assert_eq!(edge.request("POST", "/any", &[], &more).status, 200);
    assert_eq!((peer.next().body.len(), peer.next().body.len()), (most.len(), more.len()));
    let response = edge.request("POST", "/", &[], &more);
    assert_eq!(response.status, 413);
    assert!(response.text().contains("413 Request Entity Too Large"), "{}", response.text());
    let line = format!("client intended to send too large body: {} bytes", more.len());
    assert!(edge.error_log().contains(&line), "{}", edge.error_log());
    // It is counted where no length is told.
    let chunks = ["Transfer-Encoding: chunked"];
    let response =
        edge.request("POST", "/small", &chunks, b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(response.status, 413);
    let line = "client intended to send too large chunked body";
    assert!(edge.error_log().contains(line), "{}", edge.error_log());
    assert!(peer.is_quiet(), "none of it was passed on");
}

#[test]
fn status_414_and_400_are_for_heads_without_room() {
    let (edge, peer) = start("location / { proxy_pass http://django_app; }");
    let long = format!("/{}", "a".repeat(8 << 10));
    let response = edge.get(&long);
    assert_eq!(
        (response.status, response.text().contains("414 Request-URI Too Large")),
        (414, true)
    );
    assert!(edge.error_log().contains("client sent too long URI"), "{}", edge.error_log());
    // The page of a code that nobody else has, and the status that everybody knows.
    let cookie = format!("Cookie: sessionid={}", "a".repeat(8 << 10));
    let response = edge.request("GET", "/", &[&cookie], b"");
    let page = response.text();
    assert!(
        response.status == 400 && page.contains("Request Header Or Cookie Too Large"),
        "{page}"
    );
    let log = edge.error_log();
    assert!(log.contains("client sent too long header line: \"Cookie: sessionid=aaaa"), "{log}");
    assert!(peer.is_quiet(), "neither was passed on");
    let (edge, _peer) =
        start("large_client_header_buffers 4 32k; location / { proxy_pass http://django_app; }");
    assert_eq!(edge.request("GET", &long, &[&cookie], b"").status, 200);
}

/// The page of a login with a large cookie.
#[test]
fn status_502_upstream_sent_too_big_header() {
    let site = Site::new();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a={}\r\nContent-Length: 0\r\n\r\n",
        "x".repeat(9000)
    );
    let _peer = Peer::says(site.listener("PORT1"), answer);
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /roomy { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_buffer_size 16k; proxy_buffers 4 16k; } }",
    );
    assert_eq!(edge.get("/").status, 502);
    let line = "upstream sent too big header while reading response header from upstream";
    assert!(edge.error_log().contains(line), "{}", edge.error_log());
    assert_eq!(edge.get("/roomy").status, 200);
}

/// The same page, for three reasons that only the log tells apart.
#[test]
fn status_502_nobody_listens_or_nobody_may_connect() {
    let site = Site::new();
    let root = geteuid().is_root();
    fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).unwrap();
    let _deaf = UnixListener::bind(site.path("closed.sock")).unwrap();
    fs::set_permissions(site.path("closed.sock"), Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(site.path("home")).unwrap();
    let _inside = UnixListener::bind(site.path("home/app.sock")).unwrap();
    fs::set_permissions(site.path("home"), Permissions::from_mode(0o700)).unwrap();
    drop(UnixListener::bind(site.path("left.sock")).unwrap());
    fs::set_permissions(site.path("left.sock"), Permissions::from_mode(0o777)).unwrap();
    let config = site.config(
        "server { listen 127.0.0.1:%%PORT%%;
           location /refused { proxy_pass http://127.0.0.1:%%PORT1%%; }
           location /none { proxy_pass http://unix:%%DIR%%/none.sock; }
           location /left { proxy_pass http://unix:%%DIR%%/left.sock; }
           location /closed { proxy_pass http://unix:%%DIR%%/closed.sock; }
           location /home { proxy_pass http://unix:%%DIR%%/home/app.sock; } }",
    );
    let edge = Edge::start_whole(site, &config.replace("user root;", "user nobody nogroup;"));
    let unix = |name: &str| format!("connect() to unix:{}", edge.site.path(name).display());
    let denied = "failed (13: Permission denied) while connecting to upstream";
    for (path, connect, reason) in [
        (
            "/refused",
            "connect()".into(),
            "failed (111: Connection refused) while connecting to upstream",
        ),
        (
            "/none",
            unix("none.sock"),
            "failed (2: No such file or directory) while connecting to upstream",
        ),
        (
            "/left",
            unix("left.sock"),
            "failed (111: Connection refused) while connecting to upstream",
        ),
        ("/closed", unix("closed.sock"), denied),
        ("/home", unix("home/app.sock"), denied),
    ] {
        if reason == denied && !root {
            continue; // What is the test's own is closed to nobody who runs as the test.
        }
        assert_eq!(edge.get(path).status, 502, "{path}");
        let line = format!("{connect} {reason}");
        let log = edge.error_log();
        let found = log.lines().find(|line| line.contains(&format!("\"GET {path} ")));
        assert!(found.is_some_and(|found| found.contains(&line)), "{line}: {log}");
    }
}

#[test]
fn status_504_at_the_time_that_was_set() {
    let site = Site::new();
    let (left, is_left) = sync_channel(1);
    let _peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
        let mut rest = Vec::new();
        let _reset = wire.read_to_end(&mut rest);
        left.send(()).expect("the test waits");
        After::Close
    });
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location / { proxy_pass http://127.0.0.1:%%PORT1%%; proxy_read_timeout 300ms; } }",
    );
    let response = edge.get("/report");
    assert!(response.status == 504 && response.text().contains("504 Gateway Time-out"));
    let line = "upstream timed out (110: Connection timed out) while reading response header from upstream";
    assert!(edge.error_log().contains(line), "{}", edge.error_log());
    is_left.recv_timeout(PATIENCE).expect("nobody waits for the rest, and it is told so");
}

/// What a client does that has seen enough, and what the application notices of it.
fn leave(inside: &str) -> (Edge, Receiver<()>) {
    let site = Site::new();
    let (left, is_left) = sync_channel(1);
    let peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
        let mut rest = Vec::new();
        let _reset = wire.read_to_end(&mut rest);
        let _over = left.send(());
        let _gone = wire.write_all(&ok("late"));
        After::Close
    });
    let edge = Edge::start_in(
        site,
        &format!(
            "log_format s '$status $request_uri'; access_log %%DIR%%/s.log s;
             server {{ listen 127.0.0.1:%%PORT%%;
               location / {{ proxy_pass http://127.0.0.1:%%PORT1%%; {inside} }} }}"
        ),
    );
    let mut client = edge.connect();
    client.write_all(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is open");
    peer.next();
    client.shutdown(Shutdown::Both).expect("it is open");
    (edge, is_left)
}

#[test]
fn status_499_when_the_browser_has_left() {
    let (mut edge, is_left) = leave("");
    edge.wait_for_line("s.log", "499 /page\n");
    is_left.recv_timeout(PATIENCE).expect("the upstream's connection is closed with it");
    let (mut edge, is_left) = leave("proxy_ignore_client_abort on; proxy_read_timeout 700ms;");
    edge.wait_for_line("s.log", "504 /page\n");
    is_left.recv_timeout(PATIENCE).expect("at its own time");
}

/// Events that arrive all at once, when the stream has ended.
#[test]
fn events_come_one_by_one_where_the_application_asks_for_it() {
    for (inside, asked) in [
        ("", "X-Accel-Buffering: no\r\n"),
        ("proxy_buffering off;", ""),
        ("gzip on; gzip_types text/event-stream; gzip_min_length 0;", "X-Accel-Buffering: no\r\n"),
    ] {
        let site = Site::new();
        let (go_on, wait) = sync_channel::<()>(1);
        let wait = Mutex::new(wait);
        let _peer = Peer::tcp(site.listener("PORT1"), move |_, wire| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{asked}Connection: close\r\n\r\n"
            );
            wire.write_all(head.as_bytes()).expect("the edge listens");
            for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
                wire.write_all(event.as_bytes()).expect("the edge listens");
                // Silent until the client has got what there is.
                let waited = wait.lock().expect("one waits").recv_timeout(PATIENCE);
                waited.expect("the client has got it while nothing more came");
            }
            After::Close
        });
        let edge = Edge::start_in(
            site,
            &format!(
                "server {{ listen 127.0.0.1:%%PORT%%; location / {{ proxy_pass http://127.0.0.1:%%PORT1%%; {inside} }} }}"
            ),
        );
        let mut client = edge.connect();
        client.write_all(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut text = Vec::new();
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            while !text.ends_with(event.as_bytes()) {
                let mut byte = [0];
                client.read_exact(&mut byte).expect("an event while the application is silent");
                text.push(byte[0]);
            }
            go_on.send(()).unwrap();
        }
    }
}

/// A prefix that is cut, kept, or cut in half.
#[test]
fn an_application_under_a_prefix_loses_it_by_a_slash() {
    let (edge, peer) = start(
        "location /kept/ { proxy_pass http://django_app; }
         location /cut/ { proxy_pass http://django_app/; }
         location /double { proxy_pass http://django_app/; }
         location /joined/ { proxy_pass http://django_app/other; }",
    );
    for (path, expected) in [
        ("/kept/a?b=c", "/kept/a?b=c"),
        ("/cut/a?b=c", "/a?b=c"),
        ("/double/a", "//a"),
        ("/joined/a", "/othera"),
    ] {
        let seen = told(&edge, &peer, path, &[]);
        assert_eq!(seen.line().split(' ').nth(1), Some(expected), "{path}");
    }
    // Where the slash is missing, one that exists is suggested.
    let response = edge.get("/cut?b=c");
    assert_eq!(response.status, 301);
    assert!(response.header("location").is_some_and(|place| place.ends_with("/cut/?b=c")));
}

/// `root` adds the location's name, `alias` puts something else in its place.
#[test]
fn static_files_are_looked_for_twice_as_deep() {
    let site = Site::new();
    site.write("files/a.css", "by alias");
    site.write("files/static/a.css", "by root");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location /static/ { root %%DIR%%/files; }
           location /wrong/static/ { root %%DIR%%/files/static; }
           location /assets/ { alias %%DIR%%/files/; }
           location /loose/ { alias %%DIR%%/files; } }",
    );
    assert_eq!(edge.get("/static/a.css").text(), "by root");
    assert_eq!(edge.get("/assets/a.css").text(), "by alias");
    for (path, looked_for) in
        [("/wrong/static/a.css", "files/static/wrong/static/a.css"), ("/loose/a.css", "filesa.css")]
    {
        assert_eq!(edge.get(path).status, 404, "{path}");
        let file = edge.site.path(looked_for).display().to_string();
        let line = format!("open() \"{file}\" failed (2: No such file or directory)");
        assert!(edge.error_log().contains(&line), "{line}: {}", edge.error_log());
    }
}

/// An answer that comes while the upload is still on its way, and the connection that stays usable.
#[test]
fn an_upload_is_whole_before_the_application_sees_it() {
    let (edge, peer) = start("location / { proxy_pass http://django_app; }");
    let mut client = edge.connect();
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello").unwrap();
    // Others are served meanwhile, and the half of a body is nowhere.
    assert_eq!(edge.get("/other").status, 200);
    assert_eq!(peer.next().line().split(' ').nth(1), Some("/other"));
    assert!(peer.is_quiet());
    client.write_all(b"world").unwrap();
    assert_eq!(read_response(&mut client, "POST").text(), "yes");
    assert_eq!(peer.next().body, b"helloworld");
}

/// The missing slash, and a name that a client may choose: both lead up on nginx.
#[test]
fn no_alias_and_no_variable_leads_up() {
    if is_nginx() {
        return; // They do there.
    }
    let site = Site::new();
    site.write("files/a", "public");
    site.write("secret", "secret");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%;
           location /static { alias %%DIR%%/files/; }
           location /root { root %%DIR%%/files/$arg_dir; rewrite ^ /secret break; }
           location /alias { alias %%DIR%%/files/$arg_file; } }",
    );
    assert_eq!(edge.get("/static/a").text(), "public");
    assert_eq!(edge.get("/alias?file=a").text(), "public");
    for path in ["/static../secret", "/root?dir=..", "/alias?file=../secret"] {
        let response = edge.get(path);
        assert_eq!(response.status, 404, "{path}: {}", response.text());
    }
}
