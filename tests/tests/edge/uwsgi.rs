//! `uwsgi_pass`: what a uWSGI server is told, and what the client is told.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use crate::server::{Edge, PATIENCE, Site, is_nginx};

/// A packet, as it came.
#[derive(Debug)]
struct Packet {
    modifiers: (u8, u8),
    variables: Vec<u8>,
    body: Vec<u8>,
}

impl Packet {
    /// Reads one from the wire; its body is as long as `CONTENT_LENGTH` says.
    fn read(stream: &mut impl Read) -> Option<Packet> {
        let mut header = [0; 4];
        stream.read_exact(&mut header).ok()?;
        let [first, low, high, second] = header;
        let mut variables = vec![0; usize::from(u16::from_le_bytes([low, high]))];
        stream.read_exact(&mut variables).ok()?;
        let mut packet = Packet { modifiers: (first, second), variables, body: Vec::new() };
        let length = packet.get("CONTENT_LENGTH").and_then(|text| text.parse().ok());
        packet.body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut packet.body).ok()?;
        Some(packet)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let mut rest = &self.variables[..];
        let mut part = || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = after;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        std::iter::from_fn(|| Some((part()?, part()?))).collect()
    }

    fn get(&self, name: &str) -> Option<String> {
        self.pairs().into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// A server that answers everything with these bytes, and closes.
fn play(listener: TcpListener, response: impl Into<Vec<u8>>) -> Receiver<Packet> {
    let (tell, packets) = sync_channel(1024);
    let response = Arc::new(response.into());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let (tell, response) = (tell.clone(), Arc::clone(&response));
            std::thread::spawn(move || {
                // The test may be over, and the edge may have seen enough.
                let Some(packet) = Packet::read(&mut stream) else { return };
                let _over = tell.send(packet);
                let _gone = stream.write_all(&response);
            });
        }
    });
    packets
}

fn start(locations: &str, response: &str) -> (Edge, Receiver<Packet>) {
    let site = Site::new();
    let packets = play(site.listener("PORT1"), response);
    let http = format!("server {{ listen 127.0.0.1:%%PORT%%; {locations} }}");
    (Edge::start_in(site, &http), packets)
}

fn next(packets: &Receiver<Packet>) -> Packet {
    packets.recv_timeout(PATIENCE).expect("a packet reaches the server")
}

const PASS: &str = "location / { uwsgi_pass 127.0.0.1:%%PORT1%%; }";
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\npage";

#[test]
fn a_packet_is_what_the_configuration_says() {
    let (edge, packets) = start(
        "uwsgi_param A b; uwsgi_param EMPTY $arg_none; uwsgi_param LEFT_OUT $arg_none if_not_empty;
         uwsgi_param HTTP_X_USER server;
         location / { uwsgi_pass uwsgi://127.0.0.1:%%PORT1%%; }
         location /own { uwsgi_modifier1 5; uwsgi_modifier2 6; uwsgi_pass_request_headers off;
           uwsgi_param HTTP_HOST h; uwsgi_string raw; uwsgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let response = edge.request("GET", "/", &["x-user: client", "Some-Field: v"], b"");
    assert_eq!((response.status, response.text()), (200, "page"));
    let packet = next(&packets);
    assert_eq!(packet.modifiers, (0, 0));
    let get = |name: &str| packet.get(name);
    assert_eq!((get("A"), get("EMPTY")), (Some("b".to_owned()), Some(String::new())));
    assert_eq!((get("LEFT_OUT"), get("HTTP_SOME_FIELD")), (None, Some("v".to_owned())));
    assert_eq!(get("HTTP_HOST").as_deref(), Some("localhost"));
    let users = packet.pairs().into_iter().filter(|(name, _)| name == "HTTP_X_USER");
    assert_eq!(users.map(|(_, value)| value).collect::<Vec<_>>(), ["server"]);
    edge.get("/own");
    let packet = next(&packets);
    assert_eq!(packet.modifiers, (5, 6));
    assert_eq!(packet.variables, b"\x09\0HTTP_HOST\x01\0hraw");
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let (edge, packets) = start(
        "uwsgi_param Q $args$args$args; location / { uwsgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let just = "x".repeat(7_900);
    assert_eq!(edge.get(&format!("/?{just}")).status, 200);
    assert_eq!(next(&packets).get("Q").unwrap().len(), 23_700);
    let (mut edge, packets) = start(
        "uwsgi_param Q $args$args$args$args$args$args$args$args$args;
         location / { uwsgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let response = edge.get(&format!("/?{just}"));
    assert_eq!(response.status, 500);
    edge.wait_for_line("error.log", "uwsgi request is too big: 7");
    assert!(packets.try_recv().is_err());
}

#[test]
fn a_head_has_a_line_or_a_status_or_neither() {
    for (head, line) in [
        ("HTTP/1.0 404 Not Here\r\n", "HTTP/1.1 404 Not Here\r\n"),
        ("Status: 201 Made\r\n", "HTTP/1.1 201 Made\r\n"),
        ("X: y\r\n", "HTTP/1.1 200 OK\r\n"),
        ("Location: http://x/\r\n", "HTTP/1.1 302 Moved Temporarily\r\n"),
    ] {
        let (edge, _packets) =
            start(PASS, &format!("{head}Set-Cookie: a\r\nSet-Cookie: b\r\n\r\nbody"));
        let response = edge.get("/");
        assert!(response.head.starts_with(line), "{head}: {}", response.head);
        assert_eq!((response.text(), response.headers("set-cookie")), ("body", vec!["a", "b"]));
        assert_eq!(edge.request("HEAD", "/", &[], b"").status, response.status);
    }
}

#[test]
fn bodies_come_whole_and_with_their_length() {
    let (edge, packets) = start(
        "client_body_buffer_size 8k; client_max_body_size 2m;
         uwsgi_param CONTENT_LENGTH $content_length if_not_empty;
         location / { uwsgi_pass 127.0.0.1:%%PORT1%%; }
         location /live { uwsgi_request_buffering off; uwsgi_pass 127.0.0.1:%%PORT1%%; }",
        PAGE,
    );
    let large: Vec<u8> = (0..1_000_000).map(|at| (at % 251) as u8).collect();
    for path in ["/", "/live"] {
        for body in [&b"subject=a&content=b"[..], &large] {
            assert_eq!(edge.request("POST", path, &[], body).text(), "page");
            let packet = next(&packets);
            assert!(packet.body == body, "{path}: {} bytes", packet.body.len());
        }
        // The protocol has no other way to tell a body's end: one in chunks is read whole first.
        let chunked = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        edge.request("POST", path, &["Transfer-Encoding: chunked"], chunked);
        assert_eq!(next(&packets).body, b"abcde");
    }
    edge.get("/");
    assert_eq!(next(&packets).get("CONTENT_LENGTH"), None);
}

#[test]
fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let (mut edge, _packets) = start(PASS, "Content-Length: 100\r\n\r\nbeginning");
    let raw = edge.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(raw.ends_with(b"\r\n\r\nbeginning"), "{}", String::from_utf8_lossy(&raw));
    edge.wait_for_line(
        "error.log",
        "upstream prematurely closed connection while reading upstream",
    );
    let url = edge.site.fill("upstream: \"uwsgi://127.0.0.1:%%PORT1%%\"");
    edge.wait_for_line("error.log", &url);
}

#[test]
fn answers_without_meaning_are_502() {
    for (response, message) in [
        ("", "upstream prematurely closed connection while reading response header"),
        ("Status: abc\r\n\r\n", "upstream sent invalid status \"abc\""),
        ("a b: c\r\n\r\n", "upstream sent invalid header"),
    ] {
        let (mut edge, _packets) = start(PASS, response);
        assert_eq!(edge.get("/").status, 502, "{response}");
        edge.wait_for_line("error.log", message);
    }
}

#[test]
fn a_place_may_be_a_name_or_a_variable() {
    let site = Site::new();
    drop(site.listener("PORT2")); // Nobody listens there.
    let _packets = play(site.listener("PORT1"), PAGE);
    let edge = Edge::start_in(
        site,
        "upstream app { server 127.0.0.1:%%PORT2%%; server 127.0.0.1:%%PORT1%% backup; }
         server { listen 127.0.0.1:%%PORT%%;
           location / { uwsgi_pass app; }
           location /var { uwsgi_pass $arg_to; } }",
    );
    let place = edge.site.port("PORT1");
    for path in ["/", "/var?to=app", &format!("/var?to=uwsgi://127.0.0.1:{place}")] {
        assert_eq!(edge.get(path).text(), "page", "{path}");
    }
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let refused = |directive: &str| {
        let site = Site::new();
        let http = format!("server {{ listen 127.0.0.1:%%PORT%%; location / {{ {directive} }} }}");
        site.write("nginx.conf", site.config(&http));
        let output = site.run(&["-t"]);
        assert!(!output.status.success(), "{directive}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused("uwsgi_pass 127.0.0.1;").contains("no port in upstream \"127.0.0.1\""));
    assert!(refused("uwsgi_modifier1 256;").contains("value must be between 0 and 255"));
    if !is_nginx() {
        for directive in
            ["uwsgi_pass suwsgi://127.0.0.1:1;", "uwsgi_ssl_verify on;", "uwsgi_cache zone;"]
        {
            let said = refused(directive);
            assert!(said.contains("the edge does not yet"), "{directive}: {said}");
        }
    }
}

/// The real uWSGI, with an application in Python: `cargo xtask test --real`.
#[cfg(feature = "real")]
mod real {
    use std::{
        process::{Child, Command, Stdio},
        time::Instant,
    };

    use super::{Edge, PATIENCE, Read, Site, Write};
    use crate::server::pause;

    const APPLICATION: &str = "
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/octet-stream')])
    length = int(environ.get('CONTENT_LENGTH') or 0)
    if environ['PATH_INFO'] == '/many':
        return (b'%d,' % number for number in range(100000))
    return [environ['wsgi.input'].read(length)]
";

    struct Uwsgi(Child);

    impl Uwsgi {
        fn start(site: &Site) -> Uwsgi {
            let application = site.write("app.py", APPLICATION);
            let socket = site.path("uwsgi.sock");
            let mut command = Command::new("uwsgi");
            command.args(["--plugin", "python3", "--chmod-socket=666", "--need-app"]);
            command.arg("--socket").arg(&socket).arg("--wsgi-file").arg(application);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let missing = "uwsgi: apt-get install uwsgi-core uwsgi-plugin-python3";
            let mut child = Uwsgi(command.spawn().expect(missing));
            let deadline = Instant::now() + PATIENCE;
            while !socket.exists() {
                assert!(Instant::now() < deadline, "{missing}");
                assert!(matches!(child.0.try_wait(), Ok(None)), "{missing}");
                pause();
            }
            child
        }
    }

    impl Drop for Uwsgi {
        fn drop(&mut self) {
            let _gone = self.0.kill();
            let _gone = self.0.wait();
        }
    }

    #[test]
    fn an_application_of_a_real_uwsgi_is_served_until_it_dies() {
        let site = Site::new();
        let uwsgi = Uwsgi::start(&site);
        let mut edge = Edge::start_in(
            site,
            "client_max_body_size 2m; uwsgi_param REQUEST_METHOD $request_method;
             uwsgi_param PATH_INFO $document_uri; uwsgi_param QUERY_STRING $query_string;
             uwsgi_param CONTENT_TYPE $content_type; uwsgi_param CONTENT_LENGTH $content_length;
             uwsgi_param REQUEST_URI $request_uri; uwsgi_param SERVER_PROTOCOL $server_protocol;
             uwsgi_param SERVER_NAME $server_name; uwsgi_param SERVER_PORT $server_port;
             server { listen 127.0.0.1:%%PORT%%; uwsgi_pass_header Server;
               location / { uwsgi_pass unix:%%DIR%%/uwsgi.sock; }
               location /live { uwsgi_request_buffering off; uwsgi_buffering off;
                 uwsgi_pass unix:%%DIR%%/uwsgi.sock; } }",
        );
        let form = b"subject=Question&content=What%20is%20it%3F";
        let kind = "Content-Type: application/x-www-form-urlencoded";
        assert_eq!(edge.request("POST", "/form", &[kind], form).body, form);
        let large: Vec<u8> = (0..1_000_000).map(|at| (at % 253) as u8).collect();
        for path in ["/whole", "/live"] {
            assert!(edge.request("POST", path, &[], &large).body == large, "{path}");
        }
        let many: String = (0..100_000).map(|number| format!("{number},")).collect();
        assert!(edge.get("/many").text() == many);
        // A client that leaves in the middle takes nobody with it.
        let mut client = edge.connect();
        client.write_all(b"GET /many HTTP/1.1\r\nHost: x\r\n\r\n").expect("the edge reads");
        client.read_exact(&mut [0; 1000]).expect("a beginning");
        drop(client);
        assert_eq!(edge.request("POST", "/", &[], b"still here").body, b"still here");
        drop(uwsgi);
        assert_eq!(edge.get("/").status, 502);
        edge.wait_for_line("error.log", "uwsgi.sock:\", host:");
    }
}
