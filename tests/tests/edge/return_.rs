//! `return`: statuses, texts and redirects.

use crate::server::Edge;

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    location /200 { return 200; }
    location /text { return 200 "$request_method $uri"; }
    location /204 { return 204; }
    location /301 { return 301 /x; }
    location /302 { return http://a/b; }
    location /scheme { return $scheme://a$request_uri; }
    location /307 { return 307 /x; }
    location /308 { return 308 /x; }
    location /relative { absolute_redirect off; return 301 /x; }
    location /400 { return 400 "hey"; }
    location /404 { return 404; }
    location /599 { return 599; }
    location /444 { return 444; }
}
"#;

#[test]
fn statuses_and_texts() {
    let edge = Edge::start(CONF);
    for (path, status, body, kind) in [
        ("/200", 200, "", Some("text/plain")),
        ("/text", 200, "GET /text", Some("text/plain")),
        ("/204", 204, "", None),
        ("/400", 400, "hey", Some("text/plain")),
        ("/599", 599, "", None),
    ] {
        let response = edge.get(path);
        assert_eq!((response.status, response.text()), (status, body), "{path}");
        assert_eq!(response.header("content-type"), kind, "{path}");
    }
    let page = edge.get("/404");
    assert!(page.text().contains("<center><h1>404 Not Found</h1></center>"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    let head = edge.request("HEAD", "/text", &[], b"");
    assert_eq!(head.header("content-length"), Some("10"));
}

#[test]
fn redirects() {
    let edge = Edge::start(CONF);
    let here = format!("http://localhost:{}", edge.site.port("PORT"));
    for (path, status, to) in [
        ("/301", 301, format!("{here}/x")),
        ("/302", 302, "http://a/b".to_owned()),
        ("/scheme?q", 302, "http://a/scheme?q".to_owned()),
        ("/307", 307, format!("{here}/x")),
        ("/308", 308, format!("{here}/x")),
        ("/relative", 301, "/x".to_owned()),
    ] {
        let response = edge.get(path);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("location"), Some(to.as_str()), "{path}");
        assert!(response.text().contains("<h1>3"), "{path} has a page");
    }
}

#[test]
fn four_four_four_closes_without_a_word() {
    let edge = Edge::start(CONF);
    assert_eq!(edge.raw(b"GET /444 HTTP/1.1\r\nHost: localhost\r\n\r\n"), b"");
}
