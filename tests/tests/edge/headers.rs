//! `add_header` and `expires`.

use crate::{
    server::{Edge, Site, is_nginx},
    static_files::write_dated,
};

fn edge(inside: &str) -> Edge {
    let site = Site::new();
    write_dated(&site, "www/a.html", "hello");
    Edge::start_in(
        site,
        &format!("server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; {inside} }}"),
    )
}

#[test]
fn fields_are_added_to_what_was_asked_for() {
    let edge = edge(
        "add_header X-Outer outer;
         location /inner/ {
            alias %%DIR%%/www/; add_header X-Uri $uri; add_header X-Uri twice;
            add_header X-Empty \"\"; add_header X-Always yes always;
         }",
    );
    assert_eq!(edge.get("/a.html").header("x-outer"), Some("outer"));
    assert_eq!(edge.get("/none").header("x-outer"), None);
    let response = edge.get("/inner/a.html");
    assert_eq!(response.headers("x-uri"), ["/inner/a.html", "twice"]);
    assert_eq!(response.header("x-empty"), None);
    assert_eq!(response.header("x-outer"), None, "a block's own replace those around it");
    let missing = edge.get("/inner/none");
    assert_eq!((missing.header("x-uri"), missing.header("x-always")), (None, Some("yes")));
    let etag = "If-None-Match: \"6553f100-5\"";
    let unchanged = edge.request("GET", "/inner/a.html", &[etag], b"");
    assert_eq!((unchanged.status, unchanged.headers("x-uri").len()), (304, 2));
}

#[test]
fn fields_of_the_file_can_be_replaced() {
    let edge = edge(
        "add_header ETag '\"mine\"'; add_header Last-Modified '';
         location /dated/ {
            alias %%DIR%%/www/; add_header Last-Modified 'Thu, 01 Jan 2015 00:00:00 GMT';
         }",
    );
    let response = edge.get("/a.html");
    assert_eq!(response.headers("etag"), ["\"mine\""]);
    assert_eq!(response.header("last-modified"), None);
    let response = edge.get("/dated/a.html");
    assert_eq!(response.headers("last-modified"), ["Thu, 01 Jan 2015 00:00:00 GMT"]);
}

#[test]
fn when_an_answer_goes_stale() {
    let edge = edge(
        "location /off/ { alias %%DIR%%/www/; expires off; }
         location /epoch/ { alias %%DIR%%/www/; expires epoch; }
         location /max/ { alias %%DIR%%/www/; expires max; }
         location /hour/ { alias %%DIR%%/www/; expires 1h; }
         location /past/ { alias %%DIR%%/www/; expires -1; }
         location /zero/ { alias %%DIR%%/www/; expires 0; }
         location /modified/ { alias %%DIR%%/www/; expires modified 1h; }
         location /daily/ { alias %%DIR%%/www/; expires @15h30m; }",
    );
    let check = |path: &str, expires: Option<&str>, control: Option<&str>| {
        let response = edge.get(&format!("/{path}/a.html"));
        if expires.is_some() || control.is_none() {
            assert_eq!(response.header("expires"), expires, "{path}");
        }
        assert_eq!(response.header("cache-control"), control, "{path}");
    };
    check("off", None, None);
    check("epoch", Some("Thu, 01 Jan 1970 00:00:01 GMT"), Some("no-cache"));
    check("max", Some("Thu, 31 Dec 2037 23:55:55 GMT"), Some("max-age=315360000"));
    check("hour", None, Some("max-age=3600"));
    check("past", None, Some("no-cache"));
    check("zero", None, Some("max-age=0"));
    check("modified", Some("Tue, 14 Nov 2023 23:13:20 GMT"), Some("no-cache"));
    let daily = edge.get("/daily/a.html");
    let control = daily.header("cache-control").expect("an age");
    let age: u64 = control.trim_start_matches("max-age=").parse().expect("a number");
    assert!((1..=86_400).contains(&age));
    assert_eq!(edge.get("/hour/none").header("expires"), None);
}

#[test]
fn a_moment_may_be_computed() {
    let edge = edge("location / { expires $http_x_age; }");
    let get = |fields: &[&str]| edge.request("GET", "/a.html", fields, b"");
    assert_eq!(get(&["X-Age: 2h"]).header("cache-control"), Some("max-age=7200"));
    assert_eq!(get(&["X-Age: nonsense"]).header("cache-control"), None);
    assert_eq!(get(&[]).header("cache-control"), None);
}

#[test]
fn a_value_may_ask_for_what_is_about_to_be_sent() {
    let edge = edge(
        "add_header X-One 1; add_header X-Two $sent_http_x_one; add_header X-Type $sent_http_content_type;
         add_header X-Length $sent_http_content_length;",
    );
    let response = edge.get("/a.html");
    assert_eq!(response.header("x-two"), Some("1"));
    assert_eq!(response.header("x-type"), Some("text/html"));
    assert_eq!(response.header("x-length"), Some("5"));
}

#[test]
fn fields_may_follow_the_body() {
    let edge = edge(
        "add_trailer X-Sum $uri; add_trailer X-Sum again; add_trailer X-Empty \"\";
         add_trailer X-Error yes always;
         location /text { return 200 hello; } location /none { return 200; }",
    );
    let raw = |request: &str| String::from_utf8(edge.raw(request.as_bytes())).unwrap();
    let get = |path: &str, version: &str| {
        raw(&format!("GET {path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n"))
    };
    for (path, chunk) in [("/a.html", "5\r\nhello\r\n"), ("/text", "5\r\nhello\r\n"), ("/none", "")]
    {
        let response = get(path, "1.1");
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("\r\nTransfer-Encoding: chunked"), "{response}");
        assert!(!head.contains("Content-Length"), "{response}");
        let trailers = format!("X-Sum: {path}\r\nX-Sum: again\r\nX-Error: yes\r\n");
        assert_eq!(body, format!("{chunk}0\r\n{trailers}\r\n"));
    }
    let missing = get("/gone", "1.1");
    assert!(missing.ends_with("\r\n0\r\nX-Error: yes\r\n\r\n"), "{missing}");
    // They have no place in a body without chunks, and none in an answer without a body.
    let old = get("/a.html", "1.0");
    assert!(old.contains("\r\nContent-Length: 5\r\n") && old.ends_with("\r\n\r\nhello"), "{old}");
    let head = raw("HEAD /a.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.contains("\r\nContent-Length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn those_around_can_be_merged_or_left_out() {
    if is_nginx() {
        return; // Since 1.29.3.
    }
    let edge = edge(
        "add_header X outer;
         location /merge/ { alias %%DIR%%/www/; add_header_inherit merge; add_header X inner;
            location /merge/below/ { alias %%DIR%%/www/; add_header X below; } }
         location /off/ { alias %%DIR%%/www/; add_header_inherit off; }",
    );
    let found = |path: &str| edge.get(path).headers("x").join(" ");
    assert_eq!(found("/merge/a.html"), "inner outer");
    assert_eq!(found("/merge/below/a.html"), "below inner outer");
    assert_eq!(found("/off/a.html"), "");
}
