//! `charset`, `source_charset`, `charset_map`: what a text is said to be in, and what it is.

use crate::server::{Edge, Site, is_nginx};

const MAPS: &str = "charset_map koi8-r utf-8 { C1 D0B0; D1 D18F; A0 E29590; }
                    charset_map one two { 58 59; }
                    types { text/html html; text/css css; text/plain txt; }";

fn start(locations: &str) -> Edge {
    let site = Site::new();
    site.write("www/a.html", "plain");
    site.write("www/b.css", "");
    site.write("www/c.txt", "");
    site.write("www/utf8.html", "ая-═ ю \u{1f600}");
    site.write("www/koi8.html", b"\xc1\xd1-\xa0 \xff");
    site.write("www/x.html", "XaXbX");
    site.write("www/large.html", "aX".repeat(100_000));
    let server = format!("server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; {locations} }}");
    Edge::start_in(site, &format!("{MAPS} {server}"))
}

#[test]
fn which_types_are_given_one() {
    let edge = start(
        "charset utf-8;
         location /off/ { alias %%DIR%%/www/; charset off; }
         location /types/ { alias %%DIR%%/www/; charset_types text/css; }
         location /all/ { alias %%DIR%%/www/; charset_types *; }
         location /asked/ { alias %%DIR%%/www/; charset $arg_c; }
         location /moved { return 301 /; }
         location /said { default_type 'text/html; charset=koi8-r'; return 200 x; }",
    );
    let kind = |path: &str| edge.get(path).header("content-type").map(str::to_owned);
    let check = |path: &str, expected: &str| assert_eq!(kind(path).as_deref(), Some(expected));
    check("/a.html", "text/html; charset=utf-8");
    check("/c.txt", "text/plain; charset=utf-8");
    check("/b.css", "text/css");
    check("/off/a.html", "text/html");
    check("/types/b.css", "text/css; charset=utf-8");
    check("/types/a.html", "text/html; charset=utf-8");
    check("/types/c.txt", "text/plain");
    check("/all/b.css", "text/css; charset=utf-8");
    check("/asked/a.html?c=latin1", "text/html; charset=latin1");
    check("/moved", "text/html");
    check("/none", "text/html; charset=utf-8");
    if !is_nginx() {
        // nginx breaks the connection.
        check("/asked/a.html", "text/html");
    }
}

#[test]
fn texts_are_written_anew() {
    let edge = start(
        "location /to/ { alias %%DIR%%/www/; source_charset koi8-r; charset utf-8; }
         location /from/ { alias %%DIR%%/www/; source_charset utf-8; charset koi8-r; }
         location /there/ { alias %%DIR%%/www/; source_charset one; charset two; }
         location /back/ { alias %%DIR%%/www/; source_charset TWO; charset ONE; }
         location /same/ { alias %%DIR%%/www/; source_charset KOI8-R; charset koi8-r; }",
    );
    let utf8 = edge.get("/to/koi8.html");
    assert_eq!(utf8.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(utf8.text(), "ая-═ ?");
    let koi8 = edge.get("/from/utf8.html");
    assert_eq!(koi8.header("content-type"), Some("text/html; charset=koi8-r"));
    assert_eq!(koi8.body, b"\xc1\xd1-\xa0 &#1102; &#128512;");
    assert_eq!(edge.get("/there/x.html").text(), "YaYbY");
    assert_eq!(edge.get("/back/x.html").text(), "XaXbX");
    assert_eq!(edge.get("/same/koi8.html").body, b"\xc1\xd1-\xa0 \xff");
    let part = edge.request("GET", "/there/x.html", &["Range: bytes=2-3"], b"");
    assert_eq!((part.status, part.text()), (206, "Yb"));
    assert_eq!(part.header("content-range"), Some("bytes 2-3/5"));
    let large = edge.get("/there/large.html");
    assert_eq!(large.header("content-length"), Some("200000"));
    assert_eq!(large.text(), "aY".repeat(100_000));
    let part = edge.request("GET", "/there/large.html", &["Range: bytes=150001-150004"], b"");
    assert_eq!((part.status, part.text()), (206, "YaYa"));
    let head = edge.request("HEAD", "/there/large.html", &[], b"");
    assert_eq!(head.header("content-length"), Some("200000"));
}

#[test]
fn what_an_upstream_has_said() {
    let edge = start(
        "location = /said { default_type 'text/html; charset=one'; return 200 XX; }
         location = /unknown { default_type 'text/html; charset=three'; return 200 XX; }
         location = /unsaid { default_type text/html; return 200 XX; }
         location /kept/ { charset two; proxy_pass http://127.0.0.1:%%PORT%%/; }
         location /over/ { charset two; override_charset on; proxy_pass http://127.0.0.1:%%PORT%%/; }",
    );
    let check = |path: &str, kind: &str, body: &str| {
        let response = edge.get(path);
        assert_eq!(
            (response.header("content-type"), response.text()),
            (Some(kind), body),
            "{path}"
        );
    };
    check("/kept/said", "text/html; charset=one", "XX");
    check("/kept/unsaid", "text/html; charset=two", "XX");
    check("/over/said", "text/html; charset=two", "YY");
    check("/over/unknown", "text/html; charset=three", "XX");
    let log = edge.error_log();
    assert!(log.contains("no \"charset_map\" between the charsets \"three\" and \"two\""), "{log}");
}

#[test]
fn the_parts_of_a_page_are_in_the_charset_of_the_page() {
    let edge = start(
        "location = /page { charset utf-8; ssi on; default_type text/html;
            return 200 '<!--#include virtual=\"/koi8.html\" -->|<!--#include virtual=\"/utf8.html\" -->'; }
         location = /koi8.html { source_charset koi8-r; }
         location = /utf8.html { }",
    );
    let page = edge.get("/page");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.text(), "ая-═ ?|ая-═ ю \u{1f600}");
}

#[test]
fn maps_that_are_none() {
    let check = |text: &str, expected: &str| {
        let site = Site::new();
        site.write("nginx.conf", site.config(text));
        let output = site.run(&["-t"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{text}: {told}");
    };
    check("charset_map a A { }", "\"charset_map\" between the same charsets \"a\" and \"A\"");
    if !is_nginx() {
        // New since 1.22.
        check("charset_map utf-8 a { }", "should be given in the second column");
    }
    check("charset_map a b { } charset_map b a { }", "duplicate \"charset_map\" between");
    check("charset_map a b { 100 1; }", "invalid value \"100\"");
    check("charset_map a b { 1 2 3; }", "invalid parameters number");
    check("charset_map a utf-8 { 80 F09F9880; }", "invalid value \"F09F9880\"");
    check(
        "server { source_charset a; charset b; }",
        "no \"charset_map\" between the charsets \"a\" and \"b\"",
    );
}
