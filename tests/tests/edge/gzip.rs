//! `gzip`: what is compressed, for whom, and that it is still the same.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{
    server::{Edge, Response, Site},
    static_files::write_dated,
};

fn edge(inside: &str) -> Edge {
    let site = Site::new();
    write_dated(&site, "www/a.html", "0123456789".repeat(10));
    write_dated(&site, "www/a.css", "a { color: red }\n".repeat(20_000));
    write_dated(&site, "www/a.bin", "x".repeat(100));
    write_dated(&site, "www/tiny.html", "tiny");
    Edge::start_in(
        site,
        &format!(
            "types {{ text/html html; text/css css; }} default_type application/octet-stream;
             gzip on; gzip_types text/css;
             server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; {inside} }}"
        ),
    )
}

fn get(edge: &Edge, path: &str, fields: &[&str]) -> Response {
    edge.request("GET", path, &[&["Accept-Encoding: gzip"], fields].concat(), b"")
}

fn is_compressed(response: &Response) -> bool {
    response.header("content-encoding") == Some("gzip")
}

/// By the system's own tool, which knows nothing of ours.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut gunzip = Command::new("gzip");
    gunzip.arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = gunzip.spawn().expect("gzip runs");
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().expect("gzip ends");
    assert!(output.status.success(), "a whole gzip file");
    writer.join().expect("no panic").expect("gzip reads everything");
    output.stdout
}

#[test]
fn what_is_compressed_is_still_the_same() {
    let edge = edge("");
    for path in ["/a.html", "/a.css"] {
        let response = get(&edge, path, &[]);
        assert!(is_compressed(&response), "{path}");
        assert_eq!(response.header("content-length"), None);
        assert_eq!(response.header("accept-ranges"), None);
        let plain = edge.get(path);
        assert!(!is_compressed(&plain));
        assert!(response.body.len() < plain.body.len());
        assert!(gunzip(&response.body) == plain.body, "{path}");
        let weak = format!("W/{}", plain.header("etag").expect("an etag"));
        assert_eq!(response.header("etag"), Some(&weak[..]));
    }
    let head = edge.request("HEAD", "/a.html", &["Accept-Encoding: gzip"], b"");
    assert!(is_compressed(&head));
    assert_eq!(head.header("content-length"), None);
}

#[test]
fn the_head_of_what_comes_from_elsewhere() {
    let edge = edge(
        "location /up/ { proxy_pass http://127.0.0.1:%%PORT%%/plain/; gzip_vary on; }
         location /plain/ { alias %%DIR%%/www/; gzip off; }",
    );
    let head = edge.request("HEAD", "/up/a.html", &[], b"");
    assert!(!is_compressed(&head));
    assert_eq!(head.header("vary"), Some("Accept-Encoding"));
    assert_eq!(head.header("content-length"), Some("100"));
    let head = edge.request("HEAD", "/up/a.html", &["Accept-Encoding: gzip"], b"");
    assert!(is_compressed(&head));
    assert_eq!(head.header("content-length"), None);
}

#[test]
fn what_is_not_worth_it() {
    let edge = edge("location /long/ { alias %%DIR%%/www/; gzip_min_length 1000; }");
    for path in ["/tiny.html", "/a.bin", "/long/a.html"] {
        assert!(!is_compressed(&get(&edge, path, &[])), "{path}");
    }
    let missing = get(&edge, "/none", &[]);
    assert_eq!((missing.status, is_compressed(&missing)), (404, true));
    let unchanged = get(&edge, "/a.html", &["If-None-Match: W/\"6553f100-64\""]);
    assert_eq!((unchanged.status, is_compressed(&unchanged)), (304, false));
    let part = get(&edge, "/a.html", &["Range: bytes=0-1"]);
    assert_eq!((part.status, is_compressed(&part)), (200, true));
}

#[test]
fn who_understands_it() {
    let edge = edge("location /old/ { alias %%DIR%%/www/; gzip_http_version 1.0; }");
    let check = |accepted: &str, expected: bool| {
        let accepted = format!("Accept-Encoding: {accepted}");
        let response = edge.request("GET", "/a.html", &[&accepted], b"");
        assert_eq!(is_compressed(&response), expected, "{accepted}");
    };
    check("gzip", true);
    check("deflate, gzip;q=0.5, br", true);
    check("GZIP", true);
    check("gzip;q=0", false);
    check("x-gzip", false);
    check("identity", false);
    let old = |path: &str| {
        let request = format!("GET {path} HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
        let response = edge.raw(request.as_bytes());
        String::from_utf8_lossy(&response).contains("Content-Encoding: gzip")
    };
    assert!(!old("/a.html"));
    assert!(old("/old/a.html"));
}

#[test]
fn proxies_and_old_browsers() {
    let edge = edge(
        "gzip_disable msie6; gzip_vary on;
         location /any/ { alias %%DIR%%/www/; gzip_proxied any; }
         location /stale/ { alias %%DIR%%/www/; gzip_proxied expired; expires -1; }
         location /auth/ { alias %%DIR%%/www/; gzip_proxied auth no_etag; }",
    );
    let via = "Via: 1.1 proxy";
    assert!(!is_compressed(&get(&edge, "/a.html", &[via])));
    assert!(is_compressed(&get(&edge, "/any/a.html", &[via])));
    assert!(is_compressed(&get(&edge, "/stale/a.html", &[via])));
    assert!(!is_compressed(&get(&edge, "/auth/a.html", &[via])));
    assert!(is_compressed(&get(&edge, "/auth/a.html", &[via, "Authorization: Basic eDp5"])));
    let old = "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";
    assert!(!is_compressed(&get(&edge, "/a.html", &[old])));
    let repaired = "User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)";
    assert!(is_compressed(&get(&edge, "/a.html", &[repaired])));
    assert_eq!(edge.get("/a.html").header("vary"), Some("Accept-Encoding"));
    assert_eq!(edge.get("/a.bin").header("vary"), None);
}

#[test]
fn how_much_it_was_worth() {
    let site = Site::new();
    site.write("www/a.html", "a".repeat(10_000));
    let mut edge = Edge::start_in(
        site,
        "log_format ratio 'ratio=$gzip_ratio.';
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; gzip on; access_log %%DIR%%/ratio.log ratio; }",
    );
    edge.request("GET", "/a.html", &["Accept-Encoding: gzip"], b"");
    edge.get("/a.html");
    edge.stop();
    let log = edge.site.read("ratio.log");
    let (one, other) = log.trim_end().split_once('\n').expect("two lines");
    let ratio: f64 = one["ratio=".len()..].trim_end_matches('.').parse().expect("a number");
    assert!(ratio > 50.0, "{one}");
    assert_eq!(other, "ratio=-.");
}
