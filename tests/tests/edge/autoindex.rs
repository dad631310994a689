//! `autoindex`: what is in a folder.

use std::{
    fs::File,
    os::unix::fs::symlink,
    time::{Duration, SystemTime},
};

use crate::server::{Edge, Site};

/// A folder with something of everything, last changed in 2001.
fn site() -> Site {
    let site = Site::new();
    site.write("www/dir/file", "x");
    site.write("www/b-large", "x".repeat(20_000));
    site.write("www/a <&>\":?%.txt", "0123456789");
    site.write("www/.hidden", "");
    let long = format!("www/{}", "я".repeat(60));
    site.write(&long, "");
    symlink("nowhere", site.path("www/broken")).expect("a link");
    symlink("dir", site.path("www/link")).expect("a link");
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["www/b-large", "www/a <&>\":?%.txt", &long, "www/dir"] {
        let file = File::open(site.path(name)).expect("it is there");
        file.set_modified(then).expect("it is ours");
    }
    site
}

fn start() -> Edge {
    Edge::start_in(
        site(),
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; autoindex on;
            location /html/ { alias %%DIR%%/www/; charset utf-8; }
            location /bytes/ { alias %%DIR%%/www/; }
            location /rounded/ { alias %%DIR%%/www/; autoindex_exact_size off; charset utf-8; }
            location /xml/ { alias %%DIR%%/www/; autoindex_format xml; }
            location /json/ { alias %%DIR%%/www/; autoindex_format json; }
            location /jsonp/ { alias %%DIR%%/www/; autoindex_format jsonp; }
            location /off/ { alias %%DIR%%/www/; autoindex off; }
            location /local/ { alias %%DIR%%/www/; autoindex_localtime on; charset utf-8; } }",
    )
}

#[test]
fn a_page_for_people() {
    let edge = start();
    let response = edge.get("/html/");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    let page = response.text();
    let head = "<html>\r\n<head><title>Index of /html/</title></head>\r\n<body>\r\n\
                <h1>Index of /html/</h1><hr><pre><a href=\"../\">../</a>\r\n\
                <a href=\"dir/\">dir/</a>";
    assert!(page.starts_with(head), "{page}");
    assert!(page.ends_with("\r\n</pre><hr></body>\r\n</html>\r\n"), "{page}");
    let folder = format!("dir/</a>{:46} 09-Sep-2001 01:46 {:>19}\r\n", "", "-");
    assert!(page.contains(&folder), "{page}");
    let file = format!(
        "<a href=\"a%20%3C%26%3E%22%3A%3F%25.txt\">a &lt;&amp;&gt;&quot;:?%.txt</a>{:38}\
         09-Sep-2001 01:46 {:>19}\r\n",
        "", 10
    );
    assert!(page.contains(&file), "{page}");
    assert!(page.contains(&format!("\">{}..&gt;</a> 09-Sep", "я".repeat(47))), "{page}");
    assert!(page.contains("<a href=\"link/\">link/</a>"), "{page}");
    assert!(page.contains("<a href=\"broken\">broken</a>"), "{page}");
    assert!(!page.contains("hidden"), "{page}");
    assert!(edge.get("/rounded/").text().contains(" 09-Sep-2001 01:46     20K\r\n"));
    assert!(edge.get("/local/").text().contains("-2001 "));
    // Without a charset a name is so many bytes.
    let bytes = edge.get("/bytes/").body;
    let shown = ["я".repeat(23).as_bytes(), b"\xd1..&gt;</a>"].concat();
    assert!(bytes.windows(shown.len()).any(|window| window == shown));
}

#[test]
fn pages_for_programs() {
    let edge = start();
    let xml = edge.get("/xml/");
    assert_eq!(xml.header("content-type"), Some("text/xml; charset=utf-8"));
    let text = xml.text();
    assert!(text.starts_with("<?xml version=\"1.0\"?>\r\n<list>\r\n<directory mtime=\""), "{text}");
    let row =
        "<file mtime=\"2001-09-09T01:46:40Z\" size=\"10\">a &lt;&amp;&gt;&quot;:?%.txt</file>\r\n";
    assert!(text.contains(row), "{text}");
    assert!(text.contains(">broken</other>\r\n"), "{text}");
    let json = edge.get("/json/");
    assert_eq!(json.header("content-type"), Some("application/json"));
    let text = json.text();
    let row = "{ \"name\":\"a <&>\\\":?%.txt\", \"type\":\"file\", \
               \"mtime\":\"Sun, 09 Sep 2001 01:46:40 GMT\", \"size\":10 },\r\n";
    assert!(text.starts_with("[\r\n{ \"name\":\"dir\", \"type\":\"directory\""), "{text}");
    assert!(text.contains(row) && text.ends_with(" }\r\n]"), "{text}");
    let call = edge.get("/jsonp/dir/?callback=a.b_1");
    assert_eq!(call.header("content-type"), Some("application/javascript"));
    let text = call.text();
    assert!(text.starts_with("/* callback */\r\na.b_1([\r\n") && text.ends_with("]);"), "{text}");
    assert_eq!(edge.get("/jsonp/").header("content-type"), Some("application/json"));
    assert_eq!(edge.get("/jsonp/?callback=alert(1)").status, 400);
    let long = format!("/jsonp/?callback={}", "a".repeat(129));
    assert_eq!(edge.get(&long).status, 400);
}

#[test]
fn who_is_told_and_who_is_not() {
    let edge = start();
    assert_eq!(edge.get("/off/").status, 403);
    assert_eq!(edge.get("/html/none/").status, 404);
    assert_eq!(edge.get("/html/dir/file/").status, 404);
    assert_eq!(edge.request("POST", "/html/", &[], b"").status, 403);
    let head = edge.request("HEAD", "/html/", &[], b"");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(edge.get("/html/dir").header("location").expect("a place").ends_with("/html/dir/"));
    // An index comes first.
    edge.site.write("www/dir/index.html", "mine");
    assert_eq!(edge.get("/html/dir/").text(), "mine");
}
