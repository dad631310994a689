//! Conditional requests.

use crate::{
    server::{Edge, Site},
    static_files::write_dated,
};

const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";
const ETAG: &str = "\"6553f100-5\"";

fn edge() -> Edge {
    let site = Site::new();
    write_dated(&site, "www/a", "hello");
    Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            location /before/ { alias %%DIR%%/www/; if_modified_since before; }
            location /off/ { alias %%DIR%%/www/; if_modified_since off; }
            location /text { return 200 text; }
         }",
    )
}

#[track_caller]
fn check(edge: &Edge, path: &str, fields: &[String], status: u16) {
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let response = edge.request("GET", path, &fields, b"");
    assert_eq!(response.status, status, "{path} {fields:?}");
    if status == 304 {
        assert_eq!(response.header("content-length"), None);
        assert_eq!(response.header("content-type"), None);
        assert_eq!(response.header("last-modified"), Some(DATE));
        assert_eq!(response.header("etag"), Some(ETAG));
    }
}

#[test]
fn dates() {
    let edge = edge();
    let since = |date: &str| [format!("If-Modified-Since: {date}")];
    check(&edge, "/a", &since(DATE), 304);
    check(&edge, "/a", &since(AFTER), 200);
    check(&edge, "/a", &since(BEFORE), 200);
    check(&edge, "/a", &since("nonsense"), 200);
    check(&edge, "/before/a", &since(AFTER), 304);
    check(&edge, "/before/a", &since(BEFORE), 200);
    check(&edge, "/off/a", &since(DATE), 200);
    check(&edge, "/text", &since(DATE), 200);
    let unless = |date: &str| [format!("If-Unmodified-Since: {date}")];
    check(&edge, "/a", &unless(DATE), 200);
    check(&edge, "/a", &unless(AFTER), 200);
    check(&edge, "/a", &unless(BEFORE), 412);
}

#[test]
fn etags() {
    let edge = edge();
    let none = |etag: &str| [format!("If-None-Match: {etag}")];
    check(&edge, "/a", &none(ETAG), 304);
    check(&edge, "/a", &none(&format!("W/{ETAG}")), 304);
    check(&edge, "/a", &none(&format!("\"x\", {ETAG}")), 304);
    check(&edge, "/a", &none("*"), 304);
    check(&edge, "/a", &none("\"x\""), 200);
    let one = |etag: &str| [format!("If-Match: {etag}")];
    check(&edge, "/a", &one(ETAG), 200);
    check(&edge, "/a", &one("*"), 200);
    check(&edge, "/a", &one(&format!("W/{ETAG}")), 412);
    check(&edge, "/a", &one("\"x\""), 412);
    check(&edge, "/text", &none("\"x\""), 200);
}

#[test]
fn all_conditions_must_hold() {
    let edge = edge();
    let both = |etag: &str, date: &str| {
        [format!("If-None-Match: {etag}"), format!("If-Modified-Since: {date}")]
    };
    check(&edge, "/a", &both(ETAG, DATE), 304);
    check(&edge, "/a", &both(ETAG, BEFORE), 200);
    check(&edge, "/a", &both("\"x\"", DATE), 200);
}

#[test]
fn a_failed_condition_has_a_page() {
    let response = edge().request("GET", "/a", &["If-Match: \"x\""], b"");
    assert_eq!(response.header("etag"), None);
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert!(response.text().contains("412 Precondition Failed"));
}
