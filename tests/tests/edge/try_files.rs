//! `try_files`: the first name that exists, and what happens when none does.

use crate::server::{Edge, Site};

fn edge(inside: &str) -> Edge {
    let site = Site::new();
    site.write("www/a.html", "a");
    site.write("www/b.html", "b");
    site.write("www/folder/index.html", "folder");
    let http = format!("server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; {inside} }}");
    Edge::start_in(site, &http)
}

#[test]
fn names_folders_and_the_last_word() {
    let edge = edge(
        "location / { try_files $uri $uri/ /b.html?from=$uri; }
         location = /b.html { return 200 \"b $args\"; }
         location /code/ { try_files /none =410; }
         location /named/ { try_files /none /folder @named; }
         location @named { return 200 \"named $uri\"; }
         location /first/ { try_files /none /a.html =404; }
         location /slash/ { try_files /a.html/ /folder/ =404; }",
    );
    assert_eq!(edge.get("/a.html").text(), "a");
    assert_eq!(edge.get("/folder/").text(), "folder");
    assert_eq!(edge.get("/folder").status, 301);
    assert_eq!(edge.get("/none").text(), "b from=/none");
    assert_eq!(edge.get("/code/x").status, 410);
    assert_eq!(edge.get("/named/x").text(), "named /named/x");
    assert_eq!(edge.get("/first/x").text(), "a");
    // What was found is a folder, and is asked for without its slash.
    assert_eq!(edge.get("/slash/x").status, 301);
}

#[test]
fn below_an_alias_names_are_relative_to_it() {
    let edge = edge(
        "location /x/ { alias %%DIR%%/www/; try_files $uri $uri/ =404; }
         location /y/ { alias %%DIR%%/www/; try_files none a.html =404; }",
    );
    assert_eq!(edge.get("/x/a.html").text(), "a");
    assert_eq!(edge.get("/x/folder/").text(), "folder");
    assert_eq!(edge.get("/x/none").status, 404);
    assert_eq!(edge.get("/y/whatever").text(), "a");
}

#[test]
fn it_belongs_to_its_own_block() {
    let edge = edge(
        "try_files /none =418;
         location /inner/ { }
         location /outer/ { try_files /none =410; location /outer/inner/ { } }",
    );
    assert_eq!(edge.get("/a.html").status, 418, "no location was found: the server's own");
    assert_eq!(edge.get("/inner/x").status, 404);
    assert_eq!(edge.get("/outer/x").status, 410);
    assert_eq!(edge.get("/outer/inner/x").status, 404);
}

#[test]
fn an_endless_fallback_is_noticed() {
    let edge = edge("location / { try_files /none /again; }");
    assert_eq!(edge.get("/x").status, 500);
    let log = edge.error_log();
    assert!(log.contains("rewrite or internal redirection cycle"), "{log}");
}

#[test]
fn below_an_alias_of_a_pattern_the_name_is_added() {
    let edge = edge(
        "location ~ /(?<name>\\w+)\\.html { alias %%DIR%%/www/folder; try_files /index.html =404; }
         location /nested/ { alias %%DIR%%/www/; location ~ html { try_files $uri =404; } }",
    );
    assert_eq!(edge.get("/any.html").text(), "folder");
    assert_eq!(edge.get("/nested/a.html").text(), "a");
    assert_eq!(edge.get("/nested/../a.htm").status, 404);
}
