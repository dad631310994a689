//! `index`: which file stands for its folder.

use crate::server::{Edge, Site};

#[test]
fn the_first_that_exists_is_fetched_by_a_redirect_inside() {
    let site = Site::new();
    site.write("www/b.html", "b");
    site.write("www/index.html", "index");
    site.write("www/empty/none", "x");
    site.write("www/host/localhost.html", "mine");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; index a.html b.html index.html;
            location /host/ { index $host.html; }
            location /absolute/ { alias %%DIR%%/www/empty/; index none.html /b.html; }
            location = /alias/ { alias %%DIR%%/www/; }
            location = /alias/b.html { return 200 \"$uri $args\"; }
            location /default/ { alias %%DIR%%/www/; index index.html; }
         }",
    );
    assert_eq!(edge.get("/").text(), "b");
    assert_eq!(edge.get("/host/").text(), "mine");
    assert_eq!(edge.get("/absolute/").text(), "b");
    assert_eq!(edge.get("/alias/?x=y").text(), "/alias/b.html x=y");
    assert_eq!(edge.get("/default/").text(), "index");
    assert_eq!(edge.request("HEAD", "/", &[], b"").header("content-length"), Some("1"));
}

#[test]
fn a_folder_without_one_is_forbidden_and_no_folder_is_not_found() {
    let site = Site::new();
    site.write("www/empty/file", "x");
    let edge = Edge::start_in(site, "server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; }");
    let dir = edge.site.path("www").display().to_string();
    assert_eq!(edge.get("/empty/").status, 403);
    assert_eq!(edge.get("/none/").status, 404);
    assert_eq!(edge.get("/empty/file/").status, 404);
    assert_eq!(edge.request("DELETE", "/empty/", &[], b"").status, 405);
    let log = edge.error_log();
    assert!(log.contains(&format!("directory index of \"{dir}/empty/\" is forbidden")), "{log}");
    let missing = format!("\"{dir}/none/index.html\" is not found (2: No such file or directory)");
    assert!(log.contains(&missing), "{log}");
}
