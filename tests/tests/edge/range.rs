//! Ranges: one part, several, none that exists, and too many.

use crate::{
    server::{Edge, Response, Site},
    static_files::write_dated,
};

fn edge() -> Edge {
    let site = Site::new();
    write_dated(&site, "www/a", "0123456789");
    write_dated(&site, "www/large", (0..=255_u8).cycle().take(300_000).collect::<Vec<u8>>());
    write_dated(&site, "www/empty", "");
    Edge::start_in(
        site,
        "default_type text/plain; sendfile on;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            location /one/ { alias %%DIR%%/www/; max_ranges 1; }
            location /none/ { alias %%DIR%%/www/; max_ranges 0; }
            location /added/ { alias %%DIR%%/www/; add_header X-Added yes; }
         }",
    )
}

fn get(edge: &Edge, path: &str, ranges: &str) -> Response {
    edge.request("GET", path, &[&format!("Range: {ranges}")], b"")
}

#[test]
fn one_part() {
    let edge = edge();
    let check = |ranges: &str, text: &str, content_range: &str| {
        let response = get(&edge, "/a", ranges);
        assert_eq!((response.status, response.text()), (206, text), "{ranges}");
        assert_eq!(response.header("content-range"), Some(content_range), "{ranges}");
        assert_eq!(response.header("content-type"), Some("text/plain"));
        assert_eq!(response.header("accept-ranges"), None);
    };
    check("bytes=0-0", "0", "bytes 0-0/10");
    check("bytes=2-4", "234", "bytes 2-4/10");
    check("bytes=7-", "789", "bytes 7-9/10");
    check("bytes=-3", "789", "bytes 7-9/10");
    check("bytes=-100", "0123456789", "bytes 0-9/10");
    check("BYTES=8-100", "89", "bytes 8-9/10");
    check("bytes=0-1,20-30", "01", "bytes 0-1/10");
}

#[test]
fn several_parts() {
    let response = get(&edge(), "/a", "bytes=0-1, 4-5,-1");
    assert_eq!(response.status, 206);
    let kind = response.header("content-type").expect("a type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
    let part = |range: &str, text: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain\r\n\
             Content-Range: bytes {range}/10\r\n\r\n{text}"
        )
    };
    let expected = part("0-1", "01") + &part("4-5", "45") + &part("9-9", "9");
    assert_eq!(response.text(), expected + &format!("\r\n--{boundary}--\r\n"));
    assert_eq!(response.header("content-range"), None);
}

#[test]
fn parts_of_a_large_file() {
    let edge = edge();
    let byte = |at: usize| (at % 256) as u8;
    let response = get(&edge, "/large", "bytes=100000-250000");
    assert_eq!(response.body.len(), 150_001);
    assert!(response.body.iter().enumerate().all(|(at, found)| *found == byte(100_000 + at)));
    let response = get(&edge, "/large", "bytes=0-99999,200000-299999");
    assert!(response.body.len() > 200_000);
    let at = response.body.windows(4).rposition(|end| end == b"\r\n\r\n").expect("a head");
    assert_eq!(response.body[at + 4], byte(200_000));
}

#[test]
fn what_the_file_does_not_have() {
    let edge = edge();
    for ranges in ["bytes=10-", "bytes=20-30", "bytes=-0", "bytes=a-b", "bytes=0-1,x"] {
        let response = get(&edge, "/a", ranges);
        assert_eq!(response.status, 416, "{ranges}");
        assert_eq!(response.header("content-range"), Some("bytes */10"), "{ranges}");
        assert_eq!(response.header("etag"), None);
        assert!(response.text().contains("416 Requested Range Not Satisfiable"));
    }
    assert_eq!(get(&edge, "/added/a", "bytes=10-").header("x-added"), Some("yes"));
}

#[test]
fn what_is_answered_with_everything() {
    let edge = edge();
    let check = |path: &str, fields: &[&str]| {
        let response = edge.request("GET", path, fields, b"");
        assert_eq!((response.status, response.text()), (200, "0123456789"), "{fields:?}");
    };
    check("/a", &["Range: lines=0-1"]);
    check("/a", &["Range: bytes=0-9,0-9"]);
    check("/one/a", &["Range: bytes=0-1,3-4"]);
    check("/none/a", &["Range: bytes=0-1"]);
    assert_eq!(get(&edge, "/one/a", "bytes=0-1").status, 206);
    assert_eq!(edge.get("/none/a").header("accept-ranges"), None);
    assert_eq!(get(&edge, "/empty", "bytes=0-").status, 200);
}

#[test]
fn a_part_of_what_the_client_has() {
    let edge = edge();
    let status = |condition: &str| {
        let condition = format!("If-Range: {condition}");
        edge.request("GET", "/a", &["Range: bytes=0-1", &condition], b"").status
    };
    assert_eq!(status("\"6553f100-a\""), 206);
    assert_eq!(status("\"x\""), 200);
    assert_eq!(status("W/\"6553f100-a\""), 200);
    assert_eq!(status("Tue, 14 Nov 2023 22:13:20 GMT"), 206);
    assert_eq!(status("Tue, 14 Nov 2023 22:13:21 GMT"), 200);
}

#[test]
fn head_tells_of_the_part() {
    let response = edge().request("HEAD", "/a", &["Range: bytes=0-1"], b"");
    assert_eq!((response.status, response.header("content-length")), (206, Some("2")));
}
