//! `ssi`: commands inside of a page.

use std::io::{Read, Write};

use crate::server::{Edge, Site, is_nginx};

/// A server whose pages these are, under `/`, with more locations.
fn start(pages: &[(&str, &str)], locations: &str) -> Edge {
    let site = Site::new();
    for (name, text) in pages {
        site.write(&format!("www/{name}"), text);
    }
    Edge::start_in(
        site,
        &format!(
            "server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; ssi on;
                location / {{ }} {locations} }}"
        ),
    )
}

#[track_caller]
fn check(edge: &Edge, path: &str, expected: &str) {
    let response = edge.get(path);
    assert_eq!((response.status, response.text()), (200, expected), "{path}");
}

const ERROR: &str = "[an error occurred while processing the directive]";

#[test]
fn pages_of_pages() {
    let edge = start(
        &[
            (
                "index.html",
                "1<!--#include virtual=\"/dir/two.html?a=b\" -->3<!--# include file='four.html'-->",
            ),
            (
                "dir/two.html",
                "[<!--#echo var=\"arg_a\" -->|<!--#include virtual=\"near.html\" -->]",
            ),
            ("dir/near.html", "2"),
            ("four.html", "4"),
            ("plain.txt", "<!--#echo var=\"uri\" -->"),
            ("missing.html", "<<!--#include virtual=\"/none\" -->>"),
            (
                "guarded.html",
                "<!--#include virtual=\"/inside\" -->-<!--#include virtual=\"/denied\" -->",
            ),
            ("redirected.html", "<!--#include virtual=\"/rewritten\" -->"),
            ("empty.html", "x<!--#include virtual=\"/nothing\" -->y"),
        ],
        "location = /inside { internal; return 200 in; }
         location = /denied { deny all; alias %%DIR%%/www/four.html; }
         location = /rewritten { rewrite ^ /four.html last; }
         location = /nothing { return 204; }",
    );
    check(&edge, "/", "1[b|2]34");
    check(&edge, "/plain.txt", "<!--#echo var=\"uri\" -->");
    check(&edge, "/guarded.html", "in-4");
    check(&edge, "/redirected.html", "4");
    check(&edge, "/empty.html", "xy");
    let missing = edge.get("/missing.html");
    assert!(missing.text().starts_with("<<html>") && missing.text().contains("404 Not Found"));
    let head = edge.request("HEAD", "/", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, None));
}

#[test]
fn a_page_is_another_than_its_file() {
    let edge = start(
        &[("a.html", "x"), ("b.txt", "y")],
        "location /dated/ { alias %%DIR%%/www/; ssi_last_modified on; }
         location /types/ { alias %%DIR%%/www/; ssi_types *; default_type text/plain; }",
    );
    let page = edge.get("/a.html");
    for field in ["last-modified", "etag", "accept-ranges", "content-length"] {
        assert_eq!(page.header(field), None, "{field}");
    }
    let dated = edge.get("/dated/a.html");
    assert!(dated.header("last-modified").is_some());
    assert!(dated.header("etag").expect("a weak one").starts_with("W/"));
    assert!(edge.get("/b.txt").header("etag").is_some());
    assert!(edge.get("/types/b.txt").header("etag").is_none());
}

#[test]
fn values_and_how_they_are_written() {
    let edge = start(
        &[
            ("set.html", "<!--#set var=\"A\" value=\"<$arg_x>\" --><!--#echo var=\"a\" -->"),
            (
                "none.html",
                "<!--#echo var=\"arg_x\" -->|<!--#echo var=\"no_such\" default=\"d\" -->",
            ),
            (
                "raw.html",
                "<!--#set var=\"a\" value=\"<&>\" --><!--#echo var=\"a\" encoding=\"none\" --><!--#echo var=\"a\" -->",
            ),
            ("url.html", "<!--#echo var=\"arg_x\" encoding=\"url\" -->"),
            (
                "escape.html",
                r#"<!--#set var="a" value="\$b \"c\" \x" --><!--#echo var="a" encoding="none" -->"#,
            ),
            (
                "shared.html",
                "<!--#set var=\"a\" value=\"1\" --><!--#include virtual=\"/other.html\" wait=\"yes\" --><!--#echo var=\"b\" -->",
            ),
            ("other.html", "<!--#echo var=\"a\" --><!--#set var=\"b\" value=\"2\" -->"),
            (
                "config.html",
                "<!--#config errmsg=\"oh\" timefmt=\"%Y\" --><!--#nonsense --><!--#echo var=\"date_gmt\" -->",
            ),
            (
                "into.html",
                "<!--#include virtual=\"/four.html\" set=\"x\" -->[<!--#echo var=\"x\" -->]",
            ),
            (
                "into-none.html",
                "<!--#include virtual=\"/none\" set=\"x\" -->[<!--#echo var=\"x\" -->]",
            ),
            ("four.html", "4"),
        ],
        "",
    );
    check(&edge, "/set.html?x=1", "&lt;1&gt;");
    check(&edge, "/none.html", "(none)|d");
    check(&edge, "/raw.html", "<&><&>");
    check(&edge, "/url.html?x=a'b", "a%27b");
    check(&edge, "/escape.html", r#"$b "c" \x"#);
    check(&edge, "/shared.html", "12");
    check(&edge, "/into.html", "[4]");
    check(&edge, "/into-none.html", "[]");
    let config = edge.get("/config.html");
    let year = config.text().strip_prefix("oh").expect("the page's own message");
    assert!(year.len() == 4 && year.bytes().all(|digit| digit.is_ascii_digit()), "{year}");
}

#[test]
fn conditions_and_blocks() {
    let edge = start(
        &[
            (
                "if.html",
                "x<!--#if expr=\"$arg_a = 1\" -->one<!--#elif expr='$arg_a = /^(t)wo/' --><!--#echo var=\"1\" -->two<!--#else -->else<!--#endif -->x",
            ),
            (
                "stub.html",
                "<!--#block name=\"b\" -->stub <!--#echo var=\"arg_a\" --><!--#endblock -->[<!--#include virtual=\"$arg_p?$args\" stub=\"b\" -->]",
            ),
            ("there.html", "there"),
        ],
        "location = /nothing { return 204; }",
    );
    check(&edge, "/if.html?a=1", "xonex");
    check(&edge, "/if.html?a=two", "xttwox");
    check(&edge, "/if.html", "xelsex");
    check(&edge, "/stub.html?p=/there.html", "[there]");
    check(&edge, "/stub.html?p=/none&a=1", "[stub 1]");
    if !is_nginx() {
        // nginx has sent a head without a type by then, and reads no commands in what follows.
        check(&edge, "/stub.html?p=/nothing&a=2", "[stub 2]");
    }
}

#[test]
fn mistakes_are_told_and_passed_over() {
    let mistakes = [
        ("<!--#nonsense -->", "invalid SSI command: \"nonsense\""),
        ("<!--#echo -->", "mandatory \"var\" parameter is absent in \"echo\" SSI command"),
        (
            "<!--#echo var=\"a\" x=\"b\" -->",
            "invalid parameter name: \"x\" in \"echo\" SSI command",
        ),
        (
            "<!--#echo var=\"a\" var=\"b\" -->",
            "duplicate \"var\" parameter in \"echo\" SSI command",
        ),
        ("<!--#echo var=a -->", "unexpected \"a\" symbol before value of \"var\" parameter"),
        ("<!--#endif -->", "invalid context of SSI command: \"endif\""),
        ("<!--#include -->", "no parameter in \"include\" SSI command"),
        ("<!--#include virtual=\"/../etc\" -->", "unsafe URI \"/../etc\" was detected"),
        ("<!--#include virtual=\"/a\" stub=\"b\" -->", "\"stub\"=\"b\" for \"include\" not found"),
        (
            "<!--#set var=\"a\" value=\"${b\" -->",
            "the closing bracket in \"b\" variable is missing",
        ),
        ("<!--#if expr=\"a < b\" -->", "invalid expression in \"a < b\""),
    ];
    let page: String = mistakes.iter().map(|(text, _)| format!("{text};")).collect();
    let edge = start(
        &[("a.html", &page)],
        "location /silent/ { alias %%DIR%%/www/; ssi_silent_errors on; }",
    );
    check(&edge, "/a.html", &format!("{ERROR};").repeat(mistakes.len()));
    check(&edge, "/silent/a.html", &";".repeat(mistakes.len()));
    let log = edge.error_log();
    for (text, told) in mistakes {
        assert!(log.contains(told), "{text}: {log}");
    }
}

#[test]
fn a_page_that_includes_itself_comes_to_an_end() {
    let edge = start(&[("a.html", "x<!--#include virtual=\"/a.html\" -->")], "");
    let page = edge.get("/a.html");
    assert_eq!(page.text().matches('x').count(), 52);
    assert!(edge.error_log().contains("subrequests cycle while processing \"/a.html\""));
    if !is_nginx() {
        // nginx would go on for about as long as the universe.
        let twice = "x<!--#include virtual=\"/b.html\" --><!--#include virtual=\"/b.html\" -->";
        edge.site.write("www/b.html", twice);
        let page = edge.get("/b.html");
        assert_eq!(page.text().matches('x').count(), 10_001);
    }
}

#[test]
fn what_comes_before_an_include_does_not_wait_for_it() {
    let site = Site::new();
    let listener = site.listener("PORT1");
    site.write("www/a.html", "before<!--#include virtual=\"/slow\" -->after");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            location / { ssi on; postpone_output 0; }
            location /slow { proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let mut stream = edge.connect();
    stream.write_all(b"GET /a.html HTTP/1.0\r\n\r\n").expect("it is sent");
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    while !read.ends_with(b"before") {
        let length = stream.read(&mut buffer).expect("the page's beginning");
        assert!(length > 0);
        read.extend_from_slice(&buffer[..length]);
    }
    let (mut peer, _) = listener.accept().expect("it is asked for the rest");
    let _request = peer.read(&mut buffer).expect("a request");
    peer.write_all(b"HTTP/1.0 200 OK\r\n\r\n[slow]").expect("it is answered");
    drop(peer);
    stream.read_to_end(&mut read).expect("the page's end");
    assert!(read.ends_with(b"before[slow]after"), "{}", String::from_utf8_lossy(&read));
}

#[test]
fn an_upstream_is_asked_with_the_bodies_of_the_client() {
    let edge = start(
        &[],
        "location = /page { proxy_pass http://127.0.0.1:%%PORT%%/made; }
         location = /made { ssi off; default_type text/html; return 200 '<!--#include virtual=\"/part\" -->'; }
         location = /part { proxy_pass http://127.0.0.1:%%PORT%%/told; }
         location = /told { proxy_pass http://127.0.0.1:%%PORT%%/end; default_type text/html;
            add_header X-Body x; }
         location = /end { return 200 '$request_method $http_content_length'; }",
    );
    let response = edge.request("POST", "/page", &[], b"hello");
    assert_eq!(response.text(), "GET 5");
}

#[test]
fn the_parts_of_a_page_are_not_counted_again() {
    let site = Site::new();
    site.write(
        "www/a.html",
        "<!--#include virtual=\"/b.html\" --><!--#include virtual=\"/b.html\" -->",
    );
    site.write("www/b.html", "b");
    let edge = Edge::start_in(
        site,
        "limit_conn_zone $host zone=conn:1m; limit_req_zone $host zone=req:1m rate=1r/m;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; ssi on;
            limit_conn conn 1; limit_req zone=req; }",
    );
    check(&edge, "/a.html", "bb");
    assert_eq!(edge.get("/a.html").status, 503);
}
