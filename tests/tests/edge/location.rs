//! Which location a path means.

use crate::server::Edge;

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    location = / { return 200 "exact root"; }
    location / { return 200 "root"; }
    location = /a { return 200 "exact a"; }
    location /a { return 200 "prefix a"; }
    location /a/b { return 200 "prefix ab"; }
    location ^~ /final { return 200 "final"; }
    location ^~ /final/inner/ { location ~ \.php$ { return 200 "inner php"; } return 200 "inner"; }
    location ~ \.php$ { return 200 "php"; }
    location ~* \.(gif|jpg)$ { return 200 "image $1"; }
    location ~ \.gif$ { return 200 "never"; }
    location /outer {
        location /outer/in { return 200 "nested"; }
        location = /outer/exact { return 200 "nested exact"; }
        location ~ ^/outer/(?<part>r.*)$ { return 200 "nested $part"; }
        return 200 "outer";
    }
    location ~ ^/pattern { location ~ /deep { return 200 "deep"; } return 200 "pattern"; }
    location /inside { internal; return 200 "inside"; }
    location /toinside { rewrite ^ /inside; }
    location "/with space" { return 200 "space"; }
    location /%25 { return 200 "literal"; }
    location /Case { return 200 "case"; }
}
server {
    listen 127.0.0.1:%%PORT1%%;
    merge_slashes off;
    location / { return 200 "$uri"; }
    location //x { return 200 "two"; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    location /only { return 200 only; }
}
"#;

#[test]
fn exact_then_longest_then_patterns() {
    let edge = Edge::start(CONF);
    for (path, expected) in [
        ("/", "exact root"),
        ("/?x", "exact root"),
        ("/other", "root"),
        ("/a", "exact a"),
        ("/a/", "prefix a"),
        ("/ab", "prefix a"),
        ("/a/b/c", "prefix ab"),
        ("/a/b.php", "php"),
        ("/final/x.php", "final"),
        ("/final/inner/x.php", "inner php"),
        ("/final/inner/x", "inner"),
        ("/x.GIF", "image GIF"),
        ("/x.gif", "image gif"),
        ("/x.PHP", "root"),
        ("/outer", "outer"),
        ("/outer/in", "nested"),
        ("/outer/in/x.php", "php"),
        ("/outer/exact", "nested exact"),
        ("/outer/rest", "nested rest"),
        ("/outer/x.php", "php"),
        ("/pattern/deep", "deep"),
        ("/pattern/x", "pattern"),
        ("/toinside", "inside"),
        ("/with%20space", "space"),
        ("/%2525", "literal"),
        ("/case", "root"),
        ("/Case", "case"),
        ("/a//b", "prefix ab"),
        ("/x/../a", "exact a"),
        ("/x/%2e%2e/a", "exact a"),
        ("/%61", "exact a"),
        ("/a%2Fb", "prefix ab"),
    ] {
        assert_eq!(edge.get(path).text(), expected, "{path}");
    }
    assert_eq!(edge.get("/inside").status, 404);
}

#[test]
fn slashes_can_be_kept() {
    let edge = Edge::start(CONF);
    let get = |path| edge.request_to("PORT1", "GET", path, &[], b"");
    assert_eq!(get("/a//b").text(), "/a//b");
    assert_eq!(get("//x").text(), "two");
    assert_eq!(get("/x").text(), "/x");
}

#[test]
fn limit_except_is_for_the_other_methods() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%;
            error_page 402 =201 @out;
            location / { limit_except GET POST { } return 402; }
            location @out { return 200 out; } }",
    );
    for method in ["GET", "HEAD", "POST"] {
        let response = edge.request(method, "/", &["Content-Length: 0"], b"");
        assert_eq!(response.status, 201, "{method}");
    }
    // The location's own program does not run for them.
    for method in ["PUT", "DELETE", "PATCH"] {
        let response = edge.request(method, "/x", &["Content-Length: 0"], b"");
        assert!(matches!(response.status, 404 | 405), "{method}: {}", response.status);
    }
}

/// Enough names that a list of them is not simply gone through, some inside of others.
#[test]
fn the_longest_of_many_names_is_found() {
    let mut http = String::from("server { listen 127.0.0.1:%%PORT%%;\n");
    let names = ["/", "/a", "/a/", "/a/b", "/a/b/c/d", "/ab", "/b-", "/b/x", "/z"];
    let numbered = (0..40).map(|number| format!("/n{number}"));
    for name in names.into_iter().map(str::to_owned).chain(numbered) {
        http.extend(["location ", &name, " { return 200 ", &name, "; }\n"]);
    }
    let edge = Edge::start(&(http + "}"));
    for (path, expected) in [
        ("/", "/"),
        ("/a", "/a"),
        ("/a-", "/a"),
        ("/a/", "/a/"),
        ("/a/a", "/a/"),
        ("/a/b/c", "/a/b"),
        ("/a/b/c/d/e", "/a/b/c/d"),
        ("/a/c", "/a/"),
        ("/abc", "/ab"),
        ("/b", "/"),
        ("/b/w", "/"),
        ("/b/x/", "/b/x"),
        ("/n", "/"),
        ("/n4", "/n4"),
        ("/n40", "/n4"),
        ("/n39/x", "/n39"),
        ("/zzz", "/z"),
        ("/~", "/"),
    ] {
        assert_eq!(edge.get(path).text(), expected, "{path}");
    }
}

#[test]
fn of_two_with_one_name_the_first_is_found() {
    let edge = Edge::start(
        "server { listen 127.0.0.1:%%PORT%%; error_page 404 @a; location / { return 404; }
         location @a { return 200 first; } location @a { return 200 second; } }",
    );
    assert_eq!(edge.get("/").text(), "first");
}
