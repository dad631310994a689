//! `types` and `default_type`.

use crate::server::{Edge, Site};

#[test]
fn the_ending_tells_the_type() {
    let site = Site::new();
    let names = ["a.html", "a.css", "A.CSS", "a.min.css", "a.jpg", "a", ".css", "a.tar.gz"];
    for name in names {
        site.write(&format!("www/{name}"), "x");
    }
    site.write("mime.types", "types { text/css css; text/html html htm; }");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            location /css/ { alias %%DIR%%/www/; include %%DIR%%/mime.types;
                default_type application/octet-stream; }
            location /none/ { alias %%DIR%%/www/; types { } default_type text/x-any; }
            location /both/ { alias %%DIR%%/www/; types { text/css css; } types { text/x-jpg jpg; } }
            location /silent/ { alias %%DIR%%/www/; default_type \"\"; }
         }",
    );
    let check = |path: &str, kind: Option<&str>| {
        let response = edge.get(path);
        assert_eq!((response.status, response.header("content-type")), (200, kind), "{path}");
    };
    check("/a.html", Some("text/html"));
    check("/a.jpg", Some("image/jpeg"));
    check("/a.css", Some("text/plain"));
    check("/css/a.css", Some("text/css"));
    check("/css/A.CSS", Some("text/css"));
    check("/css/a.min.css", Some("text/css"));
    check("/css/.css", Some("application/octet-stream"));
    check("/css/a", Some("application/octet-stream"));
    check("/css/a.jpg", Some("application/octet-stream"));
    check("/css/a.tar.gz", Some("application/octet-stream"));
    check("/none/a.html", Some("text/x-any"));
    check("/both/a.css", Some("text/css"));
    check("/both/a.jpg", Some("text/x-jpg"));
    check("/silent/a", None);
}
