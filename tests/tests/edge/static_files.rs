//! Files: which one a URI means, how it is announced, and what is refused.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::symlink,
    time::{Duration, UNIX_EPOCH},
};

use crate::server::{Edge, Site, is_nginx, read_response};

/// A file whose time is known: `Tue, 14 Nov 2023 22:13:20 GMT`, `6553f100` in hexadecimal.
pub(crate) fn write_dated(site: &Site, name: &str, content: impl AsRef<[u8]>) {
    let path = site.write(name, content);
    let file = File::options().write(true).open(path).expect("just written");
    file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000)).expect("a time is set");
}

fn server(site: Site, inside: &str) -> Edge {
    let http = format!(
        "types {{ text/html html; text/css css; }} default_type application/octet-stream;
         server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; {inside} }}"
    );
    Edge::start_in(site, &http)
}

#[test]
fn a_file_is_announced_with_its_type_time_and_etag() {
    let site = Site::new();
    write_dated(&site, "www/a.html", "hello");
    let edge = server(site, "location /bare/ { alias %%DIR%%/www/; etag off; }");
    let response = edge.get("/a.html");
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert_eq!(response.header("content-length"), Some("5"));
    assert_eq!(response.header("last-modified"), Some("Tue, 14 Nov 2023 22:13:20 GMT"));
    assert_eq!(response.header("etag"), Some("\"6553f100-5\""));
    assert_eq!(response.header("accept-ranges"), Some("bytes"));
    assert_eq!(edge.get("/bare/a.html").header("etag"), None);
    let head = edge.request("HEAD", "/a.html", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("5")));
}

#[test]
fn a_file_that_changed_is_never_old() {
    let site = Site::new();
    write_dated(&site, "www/a", "first");
    let edge = server(site, "");
    let mut stream = edge.connect();
    let mut get = || {
        stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
        read_response(&mut stream, "GET").text().to_owned()
    };
    for round in 0..50 {
        // The same length, and at times the same moment of the file system's clock.
        let content = format!("{round:05}");
        edge.site.write("www/a", &content);
        assert_eq!(get(), content);
        assert_eq!(get(), content);
        write_dated(&edge.site, "www/b", "other");
        std::fs::rename(edge.site.path("www/b"), edge.site.path("www/a")).expect("renamed");
        assert_eq!(get(), "other");
    }
    std::fs::remove_file(edge.site.path("www/a")).expect("removed");
    assert_eq!(edge.get("/a").status, 404);
}

#[test]
fn only_get_and_head_are_for_files() {
    let site = Site::new();
    site.write("www/a", "x");
    site.write("www/folder/a", "x");
    let edge = server(site, "");
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(edge.request(method, "/a", &[], b"").status, 405, "{method}");
    }
    assert_eq!(edge.request("POST", "/none", &[], b"").status, 404);
    assert_eq!(edge.request("PUT", "/none", &[], b"").status, 405);
}

#[test]
fn a_folder_without_its_slash_is_redirected() {
    let site = Site::new();
    site.write("www/a b/a", "x");
    let edge = server(site, "location /relative/ { alias %%DIR%%/www/; absolute_redirect off; }");
    let response = edge.get("/a%20b");
    assert_eq!(response.status, 301);
    let port = edge.site.port("PORT");
    assert_eq!(response.header("location"), Some(&format!("http://localhost:{port}/a%20b/")[..]));
    let response = edge.get("/relative/a%20b?x=y");
    assert_eq!(response.header("location"), Some("/relative/a%20b/?x=y"));
}

#[test]
fn what_can_not_be_opened_is_in_the_log() {
    let site = Site::new();
    site.write("www/file", "x");
    symlink(site.path("www/loop"), site.path("www/loop")).expect("a link");
    let edge = server(site, "location /quiet/ { log_not_found off; }");
    assert_eq!(edge.get("/none").status, 404);
    assert_eq!(edge.get("/file/none").status, 404);
    assert_eq!(edge.get(&format!("/{}", "x".repeat(300))).status, 404);
    assert_eq!(edge.get("/loop").status, 403);
    assert_eq!(edge.get("/quiet/none").status, 404);
    let dir = edge.site.path("www").display().to_string();
    let log = edge.error_log();
    let expected = [
        format!("[error] open() \"{dir}/none\" failed (2: No such file or directory), client: "),
        format!("open() \"{dir}/file/none\" failed (20: Not a directory), client: "),
        format!("open() \"{dir}/loop\" failed (40: Too many levels of symbolic links), client: "),
    ];
    for line in expected {
        let words: Vec<&str> = line.splitn(2, "] ").collect();
        let text = words.last().expect("a line");
        assert!(log.contains(text), "{text} is not in {log}");
    }
    assert!(!log.contains("quiet"), "{log}");
}

#[test]
fn links_are_followed_unless_they_are_disabled() {
    let site = Site::new();
    site.write("www/real/file", "x");
    symlink(site.path("www/real"), site.path("www/folder")).expect("a link");
    symlink(site.path("www/real/file"), site.path("www/link")).expect("a link");
    let edge = server(
        site,
        "location /strict/ { alias %%DIR%%/www/; disable_symlinks on from=%%DIR%%; }
         location /own/ { alias %%DIR%%/www/; disable_symlinks if_not_owner; }",
    );
    for path in ["/link", "/folder/file", "/own/link", "/own/folder/file", "/strict/real/file"] {
        assert_eq!(edge.get(path).status, 200, "{path}");
    }
    assert_eq!(edge.get("/strict/link").status, 403);
    // A link where a folder should be is not a folder.
    assert_eq!(edge.get("/strict/folder/file").status, 404);
    assert_eq!(edge.get("/strict/none").status, 404);
}

#[test]
fn pipes_and_sockets_are_no_files() {
    let site = Site::new();
    site.write("www/a", "x");
    let pipe = site.path("www/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let edge = server(site, "");
    assert_eq!(edge.get("/pipe").status, 404);
    assert!(edge.error_log().contains("is not a regular file"));
}

#[test]
fn no_path_leads_out_of_the_root() {
    let site = Site::new();
    site.write("secret", "secret");
    site.write("www/static/a", "x");
    let edge = server(
        site,
        "location /static { alias %%DIR%%/www/static/; }
         location ~ ^/files(.*)$ { alias %%DIR%%/www$1; }",
    );
    assert_eq!(edge.get("/static/a").status, 200);
    assert_eq!(edge.get("/files/static/a").status, 200);
    for path in ["/../secret", "/static/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/a%00b"] {
        let status = edge.get(path).status;
        assert_eq!(status, 400, "{path}");
    }
    // The well-known slip of `location /static { alias .../; }`, which nginx falls for.
    if !is_nginx() {
        for path in ["/static../secret", "/static..%2f../secret", "/static../../secret"] {
            let response = edge.get(path);
            assert!(matches!(response.status, 400 | 404), "{path}: {}", response.status);
        }
    }
}

#[test]
fn large_files_come_whole_by_every_way() {
    let site = Site::new();
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    site.write("www/large", &content);
    let ways = ["", "sendfile on;", "sendfile on; tcp_nopush on;", "open_file_cache max=9;"];
    let locations: String = ways
        .iter()
        .enumerate()
        .map(|(way, words)| format!("location /{way}/ {{ alias %%DIR%%/www/; {words} }}"))
        .collect();
    let edge = server(site, &locations);
    for (way, words) in ways.iter().enumerate() {
        for _ in 0..2 {
            let response = edge.get(&format!("/{way}/large"));
            assert_eq!(response.body.len(), content.len(), "{words}");
            assert!(response.body == content, "{words}");
        }
    }
}

#[test]
fn a_file_that_shrinks_breaks_the_connection() {
    let site = Site::new();
    site.write("www/large", vec![b'x'; 64 << 20]);
    let edge = server(site, "sendfile on;");
    let mut stream = edge.connect();
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let mut some = [0; 1000];
    stream.read_exact(&mut some).expect("the beginning");
    let path = edge.site.path("www/large");
    File::options().write(true).open(path).and_then(|file| file.set_len(1 << 20)).expect("cut");
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "the connection ends before the length that was announced");
}

#[test]
fn the_file_cache_believes_for_a_while() {
    let site = Site::new();
    site.write("www/a", "x");
    let edge = server(
        site,
        "location /kept/ { alias %%DIR%%/www/; open_file_cache max=9; open_file_cache_errors on; }
         location /asked/ { alias %%DIR%%/www/; open_file_cache max=9; open_file_cache_valid 0; }",
    );
    let mut stream = edge.connect();
    let mut get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        read_response(&mut stream, "GET").status
    };
    assert_eq!(get("/kept/a"), 200);
    assert_eq!(get("/kept/none"), 404);
    std::fs::rename(edge.site.path("www/a"), edge.site.path("www/none")).expect("renamed");
    // One connection stays with one thread or process, which has seen both.
    assert_eq!(get("/kept/a"), 200);
    assert_eq!(get("/kept/none"), 404);
}
