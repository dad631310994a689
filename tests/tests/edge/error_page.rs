//! `error_page`: pages, statuses, named locations, other sites, refused requests.

use crate::server::Edge;

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    client_header_buffer_size 1k;
    large_client_header_buffers 2 1k;
    error_page 404 /404x;
    error_page 403 =200 /403x?a=b;
    error_page 500 502 = /other;
    error_page 503 @named;
    error_page 405 =301 http://else$request_uri;
    error_page 410 http://gone/;
    error_page 400 /400x;
    error_page 414 /414x;
    error_page 494 /494x;
    error_page 505 =200 /505x;
    error_page 413 @413;
    error_page 409 /loop;
    error_page 416 $uri-x;
    error_page 501 @nowhere;
    error_page 421 =200 /missing;
    location = /404x { internal; return 200 "page $request_method $uri $args"; }
    location = /403x { return 200 "403 $args"; }
    location = /other { return 200 other; }
    location @named { return 200 "named $request_method $uri"; }
    location @413 { return 200 "large $request_method"; }
    location /400x { return 200 bad; }
    location /414x { return 200 long; }
    location /494x { return 200 large; }
    location /505x { return 200 version; }
    location /loop { return 409; }
    location /416-x { return 200 sixteen; }
    location = /missing { return 404; }
    location /404 { return 404; }
    location /403 { return 403; }
    location /500 { return 500; }
    location /503 { return 503; }
    location /405 { return 405; }
    location /410 { return 410; }
    location /409 { return 409; }
    location /416 { return 416; }
    location /501 { return 501; }
    location /421 { return 421; }
    location /small { client_max_body_size 5; return 200 x; }
    location /recursive { recursive_error_pages on; error_page 404 @one; return 404; }
    location @one { recursive_error_pages on; error_page 403 @two; return 403; }
    location @two { return 402; }
    location /once { error_page 404 @first; return 404; }
    location @first { error_page 403 @two; return 403; }
    location /round { recursive_error_pages on; error_page 404 /round; return 404; }
    location /own { error_page 402 /other; return 404; }
    location /asked { error_page 404 /404x?from=$arg_q; return 404; }
}
"#;

#[test]
fn pages_take_the_place_of_statuses() {
    let edge = Edge::start(CONF);
    for (path, status, body) in [
        ("/404", 404, "page GET /404x "),
        ("/404?q=1", 404, "page GET /404x "),
        ("/asked?q=1", 404, "page GET /404x from=1"),
        ("/403", 200, "403 a=b"),
        ("/500", 200, "other"),
        ("/503", 503, "named GET /503"),
        ("/416", 416, "sixteen"),
    ] {
        let response = edge.get(path);
        assert_eq!((response.status, response.text()), (status, body), "{path}");
    }
    // A location's own list replaces its server's.
    assert!(edge.get("/own").text().contains("<h1>404 Not Found</h1>"));
    // A page that can not be had, or fails in turn, is a failure of its own.
    assert_eq!(edge.get("/409").status, 409);
    assert_eq!(edge.get("/421").status, 404);
    assert_eq!(edge.get("/404x").status, 404, "an internal page is not for clients");
    assert_eq!(edge.get("/501").status, 500, "a named location that is not there");
}

#[test]
fn pages_of_pages() {
    let edge = Edge::start(CONF);
    assert_eq!(edge.get("/recursive").status, 402);
    assert_eq!(edge.get("/once").status, 403);
    assert_eq!(edge.get("/round").status, 500);
}

#[test]
fn a_page_is_fetched_but_a_named_location_keeps_the_method() {
    let edge = Edge::start(CONF);
    let post = |path| edge.request("POST", path, &["Content-Length: 0"], b"");
    assert_eq!(post("/404").text(), "page GET /404x ");
    assert_eq!(post("/503").text(), "named POST /503");
    assert_eq!(edge.request("POST", "/small", &[], b"0123456789").text(), "large POST");
}

#[test]
fn other_sites_are_redirects() {
    let edge = Edge::start(CONF);
    let response = edge.get("/405?a");
    assert_eq!((response.status, response.header("location")), (301, Some("http://else/405?a")));
    let response = edge.get("/410");
    assert_eq!((response.status, response.header("location")), (302, Some("http://gone/")));
}

#[test]
fn refused_requests_have_pages_too() {
    let edge = Edge::start(CONF);
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(2000));
    let large = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(2000));
    for (request, status, body) in [
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad"),
        ("G@T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad"),
        ("GET / HTTP/2.0\r\n\r\n", 200, "version"),
        (&long, 414, "long"),
        (&large, 400, "large"),
    ] {
        let response = String::from_utf8(edge.raw(request.as_bytes())).expect("text");
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {response}");
        assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{request}: {response}");
    }
}

#[test]
fn a_redirect_is_a_status_too() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%;
            location /page { error_page 302 /text; return 302 http://first/; }
            location /text { return 200 text; }
            location /other { error_page 302 /elsewhere; return 302 http://first/; }
            location /elsewhere { return 301 http://second/; }
            location /failed { error_page 405 /elsewhere; return 405; } }",
    );
    let seen = |path: &str| {
        let response = edge.get(path);
        let location = response.header("location").unwrap_or_default().to_owned();
        (response.status, location, response.text().to_owned())
    };
    assert_eq!(seen("/page"), (302, "http://first/".into(), "text".into()));
    let (status, location, _) = seen("/other");
    assert_eq!((status, location.as_str()), (301, "http://second/"));
    let (status, location, _) = seen("/failed");
    assert_eq!((status, location.as_str()), (301, "http://second/"));
}

#[test]
fn some_browsers_need_longer_pages() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; location /off { msie_padding off; return 404; } }",
    );
    let size = |path: &str, agent: &str| {
        let response = edge.request("GET", path, &[&format!("User-Agent: {agent}")], b"");
        response.text().len()
    };
    let chrome = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36";
    let plain = size("/", "curl");
    assert!(plain < 512 && size("/", chrome) > 512);
    assert_eq!(size("/off", chrome), plain);
}
