//! `client_body_*`, `client_max_body_size`: where a request's body is kept, and who gets it.

use std::{io::Write, os::unix::fs::PermissionsExt};

use crate::server::{Edge, PATIENCE, Site, is_nginx, listing, pause, read_response};

const BACKEND: &str = "server { listen 127.0.0.1:%%PORT1%%; return 200 \"$request_body\"; }";

fn start(settings: &str) -> Edge {
    Edge::start(&format!(
        "server {{ listen 127.0.0.1:%%PORT%%; client_body_temp_path %%DIR%%/spool; {settings} }}
         server {{ listen 127.0.0.1:%%PORT1%%; location / {{ return 204; }} }}"
    ))
}

/// Fields that say where the body was.
const TOLD: &str = "add_header X-Body \"$request_body\" always;
                    add_header X-File \"$request_body_file\" always;
                    proxy_pass http://127.0.0.1:%%PORT1%%;";

#[test]
fn a_small_body_is_in_memory_and_a_large_one_in_a_file() {
    let edge = start(&format!("client_body_buffer_size 1k; location / {{ {TOLD} }}"));
    let small = edge.request("POST", "/", &[], b"hello");
    assert_eq!((small.header("x-body"), small.header("x-file")), (Some("hello"), None));
    let none = edge.get("/");
    assert_eq!((none.header("x-body"), none.header("x-file")), (None, None));
    let large = edge.request("POST", "/", &[], &[b'x'; 4096]);
    assert_eq!(large.header("x-body"), None);
    let file = large.header("x-file").expect("the file's name, though it has gone");
    assert!(file.starts_with(edge.site.path("spool").to_str().unwrap()), "{file}");
    assert!(listing(&edge.site.path("spool")).is_empty());
    let log = edge.error_log();
    let told = "a client request body is buffered to a temporary file";
    assert!(log.contains("[warn]") && log.contains(told), "{log}");
}

#[test]
fn every_body_in_a_file_that_stays() {
    let edge = start(&format!(
        "location / {{ client_body_in_file_only on; {TOLD} }}
         location /levels {{ client_body_temp_path %%DIR%%/deep 1 2; client_body_in_file_only on; {TOLD} }}"
    ));
    let response = edge.request("POST", "/", &[], b"hello");
    assert_eq!(response.header("x-body"), None);
    let file = response.header("x-file").expect("a file");
    assert_eq!(std::fs::read(file).expect("it stays"), b"hello");
    let mode = std::fs::metadata(file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let empty = edge.request("POST", "/", &["Content-Length: 0"], b"");
    let file = empty.header("x-file").expect("even of nothing");
    assert_eq!(std::fs::read(file).expect("it stays"), b"");
    assert_eq!(edge.get("/").header("x-file"), None);
    let response = edge.request("POST", "/levels", &[], b"hello");
    let file = response.header("x-file").expect("a file");
    let name = file.rsplit('/').next().expect("a name");
    let (one, two) = (&name[name.len() - 1..], &name[name.len() - 3..name.len() - 1]);
    assert!(file.ends_with(&format!("/deep/{one}/{two}/{name}")), "{file}");
    assert_eq!(std::fs::read(file).expect("it stays"), b"hello");
}

#[test]
fn every_body_in_a_file_that_goes() {
    let site = Site::new();
    let listener = site.listener("PORT2");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; client_body_temp_path %%DIR%%/spool;
            client_body_in_file_only clean; proxy_pass_request_body off;
            proxy_set_header X-File $request_body_file; proxy_set_header Content-Length \"\";
            location / { proxy_pass http://127.0.0.1:%%PORT2%%; } }",
    );
    let spool = edge.site.path("spool");
    let backend = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the edge asks");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stream, &mut byte).expect("a head");
            head.push(byte[0]);
        }
        let there = listing(&spool);
        stream.write_all(b"HTTP/1.0 204 No Content\r\n\r\n").expect("it is answered");
        there
    });
    let _answer = edge.request("POST", "/", &[], b"hello");
    let while_asked = backend.join().expect("the backend was asked");
    assert_eq!(while_asked.len(), 1, "{while_asked:?}");
    // It goes with the request, which may end a moment after its answer.
    let deadline = std::time::Instant::now() + PATIENCE;
    while !listing(&edge.site.path("spool")).is_empty() {
        assert!(std::time::Instant::now() < deadline, "the file stays");
        pause();
    }
}

#[test]
fn a_refused_body_goes_to_nobody() {
    let edge = Edge::start(&format!(
        "server {{ listen 127.0.0.1:%%PORT%%; client_max_body_size 10; error_page 413 /too-large;
            location / {{ proxy_pass http://127.0.0.1:%%PORT1%%; }}
            location = /too-large {{ proxy_method POST; proxy_pass http://127.0.0.1:%%PORT1%%; }} }}
         {BACKEND}"
    ));
    let response = edge.request("POST", "/", &[], &[b'x'; 100]);
    assert_eq!((response.status, response.text()), (413, ""));
    assert_eq!(response.header("connection"), Some("close"));
    let chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n";
    let response = edge.raw(&[&chunked[..], &[b'x'; 64], b"\r\n0\r\n\r\n"].concat());
    assert!(response.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&response));
}

#[test]
fn a_body_nobody_wanted_is_skipped_in_all_its_forms() {
    let edge = Edge::start("server { listen 127.0.0.1:%%PORT%%; location / { return 200 no; } }");
    let mut stream = edge.connect();
    let large = "x".repeat(5000);
    for body in ["x", &large, ""] {
        let length = body.len();
        let sized = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        let chunk =
            if body.is_empty() { String::new() } else { format!("{length:x}\r\n{body}\r\n") };
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for request in [sized, format!("{head}{chunk}0\r\n\r\n")] {
            // In two writes, so that the answer may come before the body has.
            let (first, second) = request.split_at(request.len() / 2);
            stream.write_all(first.as_bytes()).expect("it is sent");
            stream.write_all(second.as_bytes()).expect("it is sent");
            assert_eq!(read_response(&mut stream, "POST").text(), "no");
        }
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on_only_by_the_right_word() {
    let edge = start("location / { proxy_pass http://127.0.0.1:%%PORT1%%; }");
    let ask = |expects: &str, version: &str| {
        let head = format!("POST / HTTP/{version}\r\nHost: a\r\nExpect: {expects}\r\n");
        let response =
            edge.raw(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
        response.starts_with(b"HTTP/1.1 100 Continue\r\n\r\n")
    };
    assert!(ask("100-continue", "1.1"));
    assert!(ask("100-Continue", "1.1"));
    assert!(!ask("100-continue", "1.0"));
    assert!(!ask("200-maybe", "1.1"));
}

#[test]
fn a_body_that_is_here_is_whole_even_where_bodies_are_passed_as_they_come() {
    let edge = start(
        "location / { proxy_request_buffering off; add_header X-Body \"$request_body\";
            proxy_pass http://127.0.0.1:%%PORT1%%; }",
    );
    assert_eq!(edge.request("POST", "/", &[], b"hello").header("x-body"), Some("hello"));
    let chunked =
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                    2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let response = String::from_utf8(edge.raw(chunked)).expect("text");
    assert!(response.contains("X-Body: hello\r\n"), "{response}");
}

#[test]
fn a_worker_without_rights_has_folders_of_its_own() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let site = Site::new();
    let readable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.path("."), readable).expect("it is ours");
    let inside = "server { listen 127.0.0.1:%%PORT%%; location / { proxy_pass http://127.0.0.1:%%PORT1%%; } }
         server { listen 127.0.0.1:%%PORT1%%; location / { return 204; } }";
    let config = site.config(inside).replace("user root;", "user nobody nogroup;");
    let edge = Edge::start_whole(site, &config);
    assert_eq!(edge.request("POST", "/", &[], &vec![b'x'; 100_000]).status, 204);
    let folder = edge.site.path("client_body_temp");
    let metadata = std::fs::metadata(&folder).expect("it was made");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
    assert_ne!(std::os::unix::fs::MetadataExt::uid(&metadata), 0);
    assert!(edge.site.path("proxy_temp").is_dir());
}

#[test]
fn a_body_that_can_not_be_kept_is_an_error_of_the_server() {
    let edge =
        start("client_body_buffer_size 1k; location / { proxy_pass http://127.0.0.1:%%PORT1%%; }");
    std::fs::remove_dir(edge.site.path("spool")).expect("it was made, and is empty");
    edge.site.write("spool", "in its place");
    let response = edge.request("POST", "/", &[], &vec![b'x'; 100_000]);
    assert_eq!(response.status, 500);
    assert!(edge.error_log().contains("[crit]"), "{}", edge.error_log());
    assert_eq!(edge.request("POST", "/", &[], b"small").status, 204);
}

#[test]
fn what_these_directives_may_not_be() {
    let check = |line: &str, expected: &str| {
        let site = Site::new();
        site.write("nginx.conf", site.config(&format!("server {{ {line} }}")));
        let output = site.run(&["-t"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{line}: {told}");
    };
    check("client_body_in_file_only maybe;", "invalid value \"maybe\"");
    check("client_body_temp_path x 0;", "\"client_body_temp_path\" directive invalid value");
    check("client_body_temp_path x 9 9;", "\"client_body_temp_path\" directive invalid value");
    check("client_body_in_single_buffer 1;", "it must be \"on\" or \"off\"");
    if !is_nginx() {
        check("client_max_body_size 1t;", "\"client_max_body_size\" directive invalid value");
    }
}
