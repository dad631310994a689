//! `if`: its operators, and the unnamed location it enters.

use crate::server::{Edge, Site};

const CONF: &str = r#"
server {
    listen 127.0.0.1:%%PORT%%;
    location /compare {
        set $r "";
        if ($arg_x = a) { set $r "${r}eq,"; }
        if ($arg_x != a) { set $r "${r}ne,"; }
        if ($arg_x ~ ^(b)) { set $r "${r}m$1,"; }
        if ($arg_x ~* ^B) { set $r "${r}i,"; }
        if ($arg_x !~ b) { set $r "${r}nm,"; }
        if ($arg_x !~* B) { set $r "${r}ni,"; }
        if ( $arg_x ) { set $r "${r}v,"; }
        return 200 $r;
    }
    location /file {
        set $r "";
        set $f %%DIR%%$arg_f;
        if (-f $f) { set $r "${r}f"; }
        if (!-f $f) { set $r "${r}!f"; }
        if (-d $f) { set $r "${r}d"; }
        if (!-d $f) { set $r "${r}!d"; }
        if (-e $f) { set $r "${r}e"; }
        if (!-e $f) { set $r "${r}!e"; }
        if (-x $f) { set $r "${r}x"; }
        if (!-x $f) { set $r "${r}!x"; }
        return 200 $r;
    }
    location /alias/ { if ($arg_a) { add_header X-If yes; } alias %%DIR%%/; }
    location /break { if ($arg_b) { break; } return 200 on; }
    location /rewrite { if ($arg_b) { rewrite ^ /target?in=if last; } return 200 none; }
    location /target { return 200 "target $args"; }
    location /enters { error_page 404 =200 @out; if ($arg_a) { error_page 404 =200 @in; } return 404; }
    location @out { return 200 out; }
    location @in { return 200 in; }
    location ~ ^/lost/(.*)$ { if ($arg_x ~ "b") { return 200 "yes $1"; } return 200 "[$1]"; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    server_name other;
    if ($arg_r) { return 403; }
    if ($arg_s) { set $v 1; }
    location / { return 200 "v=$v"; }
}
"#;

#[test]
fn every_operator() {
    let site = Site::new();
    site.write("file", "x");
    site.write("folder/inside", "x");
    let edge = Edge::start_in(site, CONF);
    for (path, expected) in [
        ("/compare?x=a", "eq,nm,ni,v,"),
        ("/compare?x=b", "ne,mb,i,v,"),
        ("/compare?x=B", "ne,i,nm,v,"),
        ("/compare?x=", "ne,nm,ni,"),
        ("/compare?x=0", "ne,nm,ni,"),
        ("/compare", "ne,nm,ni,"),
        ("/file?f=/file", "f!de!x"),
        ("/file?f=/folder", "!fdex"),
        ("/file?f=/none", "!f!d!e!x"),
        ("/break", "on"),
        ("/rewrite", "none"),
        ("/rewrite?b=1", "target in=if&b=1"),
        ("/enters", "out"),
        ("/enters?a=1", "in"),
        // A pattern that does not match forgets what an earlier one has captured.
        ("/lost/one", "[]"),
        ("/lost/one?x=abc", "yes "),
    ] {
        let response = edge.get(path);
        assert_eq!((response.status, response.text()), (200, expected), "{path}");
    }
    assert_eq!(edge.get("/break?b=1").status, 404);
    // An `if` stands for the location it is in: its files, its name.
    let response = edge.get("/alias/file?a=1");
    assert_eq!((response.text(), response.header("x-if")), ("x", Some("yes")));
}

#[test]
fn a_server_has_conditions_too() {
    let edge = Edge::start(CONF);
    let get = |path| edge.request("GET", path, &["Host: other"], b"");
    assert_eq!(get("/?r=1").status, 403);
    assert_eq!(get("/?s=1").text(), "v=1");
    assert_eq!(get("/").text(), "v=");
}

#[test]
fn links_are_not_followed_where_that_is_said() {
    let site = Site::new();
    site.write("www/file", "x");
    std::os::unix::fs::symlink(site.path("www/file"), site.path("www/link")).unwrap();
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
         location / { if (-f $document_root$uri) { return 200 yes; } return 200 no; }
         location /strict/ { disable_symlinks on from=%%DIR%%/www;
           if (-f $document_root/$arg_f) { return 200 yes; } return 200 no; } }",
    );
    assert_eq!(edge.get("/file").text(), "yes");
    assert_eq!(edge.get("/link").text(), "yes");
    assert_eq!(edge.get("/strict/?f=file").text(), "yes");
    assert_eq!(edge.get("/strict/?f=link").text(), "no");
}
