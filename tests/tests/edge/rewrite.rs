//! `rewrite`, `set`, `break`: what becomes of path and arguments.

use crate::server::Edge;

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    location /again { rewrite ^/again/(.*)$ /x/$1?q=$1; return 200 "$uri|$args"; }
    location /moved { rewrite ^/moved/(.*)$ /x/$1 redirect; }
    location /gone { rewrite ^/gone/(.*)$ /x%41%20%3f/$1?z=1 permanent; }
    location /drop { rewrite ^ /y?; return 200 "$uri|$args"; }
    location /swap { rewrite ^ /y?b=1?; return 200 "$uri|$args"; }
    location /keep { rewrite ^ /y?b=1; return 200 "$uri|$args"; }
    location /site { rewrite ^/site(.*) http://h$1?x=1; return 200 no; }
    location /plain { rewrite ^/plain(.*) https://h$1? permanent; }
    location /last { rewrite ^/last/(.*) /target/$1 last; return 200 "not last"; }
    location /break { rewrite ^/break/(.*) /target/$1 break; return 200 "not broken"; }
    location /target { return 200 "target $uri $args"; }
    location /cycle { rewrite ^/cycle(.*) /cycle/$1 last; }
    location /inside { internal; return 200 inside; }
    location /enter { rewrite ^ /inside last; }
    location /set { set $a 1; set $b "${a}2"; set $args "z=$arg_q"; return 200 "$a $b $args"; }
    location /unset { return 200 "[$later]"; }
    location /later { set $later 5; return 200 $later; }
    location /quiet { uninitialized_variable_warn off; return 200 "[$later]"; }
    location /empty { set $nothing ""; rewrite ^ $nothing last; }
    location ~ ^/named/(?<who>[^/]*)/(.*)$ { return 200 "$who $2"; }
    location /log { rewrite_log on; rewrite ^/log/(a) /target/$1 last; rewrite ^/log/(b) /; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    server_name other;
    rewrite ^/a /b last;
    rewrite ^/c /d;
    rewrite ^/d /e break;
    set $v 9;
    location / { return 200 "$uri $v"; }
    location /b { return 200 "b $v"; }
}
"#;

#[test]
fn paths_and_arguments_are_rewritten() {
    let edge = Edge::start(CONF);
    for (path, expected) in [
        ("/again/a%20b+c%25?k=v", "/x/a b+c%|q=a%20b%2Bc%25&k=v"),
        ("/again/abc?k=v", "/x/abc|q=abc&k=v"),
        ("/again/a%26b", "/x/a&b|q=a%26b"),
        ("/drop?a=1", "/y|"),
        ("/swap?a=1", "/y|b=1"),
        ("/keep?a=1", "/y|b=1&a=1"),
        ("/keep", "/y|b=1"),
        ("/last/q?z=1", "target /target/q z=1"),
        ("/enter", "inside"),
        ("/set?q=1", "1 12 z=1"),
        ("/unset", "[]"),
        ("/named/bob/x/y", "bob x/y"),
        ("/log/a", "target /target/a "),
    ] {
        let response = edge.get(path);
        assert_eq!((response.status, response.text()), (200, expected), "{path}");
    }
    assert_eq!(edge.get("/inside").status, 404);
    assert_eq!(edge.get("/break/q").status, 404);
}

#[test]
fn redirects_are_absolute_and_escaped_once() {
    let edge = Edge::start(CONF);
    let here = format!("http://localhost:{}", edge.site.port("PORT"));
    for (path, status, expected) in [
        ("/moved/a%20b+c%25?k=v", 302, format!("{here}/x/a%20b+c%25?k=v")),
        ("/moved/%7b%22%3c%3e%5c%5e%60%7c%7d", 302, format!("{here}/x/{{%22<>\\^`|}}")),
        ("/gone/abc?k", 301, format!("{here}/xA%20?/abc?z=1&k")),
        ("/site/a?b=c", 302, "http://h/a?x=1&b=c".to_owned()),
        ("/plain/a?b=c", 301, "https://h/a".to_owned()),
    ] {
        let response = edge.get(path);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("location"), Some(expected.as_str()), "{path}");
    }
}

#[test]
fn a_server_rewrites_before_a_location_is_found() {
    let edge = Edge::start(CONF);
    for (path, expected) in [("/a", "b "), ("/c", "/e "), ("/x", "/x 9"), ("/d", "/e ")] {
        let response = edge.request("GET", path, &["Host: other"], b"");
        assert_eq!(response.text(), expected, "{path}");
    }
}

#[test]
fn what_goes_in_circles_or_nowhere_is_an_error() {
    let mut edge = Edge::start(CONF);
    assert_eq!(edge.get("/cycle").status, 500);
    assert_eq!(edge.get("/empty").status, 500);
    assert_eq!(edge.get("/unset").status, 200);
    assert_eq!(edge.get("/quiet").status, 200);
    edge.wait_for_line("error.log", "rewrite or internal redirection cycle while processing");
    edge.wait_for_line("error.log", "the rewritten URI has a zero length");
    edge.wait_for_line("error.log", "using uninitialized \"later\" variable");
    let warnings = edge.error_log().matches("using uninitialized").count();
    assert_eq!(warnings, 1, "uninitialized_variable_warn off is quiet");
}

#[test]
fn each_step_can_be_told_to_the_log() {
    let site = crate::server::Site::new();
    let config = site.config(CONF).replace("error.log info", "error.log notice");
    let mut edge = Edge::start_whole(site, &config);
    edge.get("/log/a");
    edge.wait_for_line("error.log", "\"^/log/(a)\" matches \"/log/a\"");
    edge.wait_for_line("error.log", "rewritten data: \"/target/a\", args: \"\"");
    edge.get("/log/b");
    edge.wait_for_line("error.log", "\"^/log/(a)\" does not match \"/log/b\"");
}
