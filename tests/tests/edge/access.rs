//! `allow` and `deny`.

use crate::server::{Edge, Site};

#[test]
fn the_first_rule_that_fits_decides() {
    let site = Site::new();
    site.write("www/a", "x");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; listen [::1]:%%PORT1%%; root %%DIR%%/www;
            location /net/ { alias %%DIR%%/www/; deny 127.0.0.0/8; allow all; }
            location /allowed/ { alias %%DIR%%/www/; allow 127.0.0.0/8; deny all; }
            location /other/ { alias %%DIR%%/www/; allow 10.0.0.1; deny all; }
            location /v6/ { alias %%DIR%%/www/; allow ::1; deny all; }
            location /outer/ { deny all; location /outer/inner/ { alias %%DIR%%/www/; }
                location /outer/open/ { alias %%DIR%%/www/; allow all; } }
            location /any/ { alias %%DIR%%/www/; satisfy any; allow 127.0.0.1; deny all; }
         }",
    );
    let check = |path: &str, status: u16| assert_eq!(edge.get(path).status, status, "{path}");
    check("/a", 200);
    check("/net/a", 403);
    check("/allowed/a", 200);
    check("/other/a", 403);
    check("/v6/a", 403);
    check("/outer/a", 403);
    check("/outer/inner/a", 403);
    check("/outer/open/a", 200);
    check("/any/a", 200);
    let log = edge.error_log();
    assert!(log.contains("access forbidden by rule, client: 127.0.0.1"), "{log}");
}

#[test]
fn what_is_no_address_is_refused() {
    let site = Site::new();
    let config = site.config("server { listen 127.0.0.1:%%PORT%%; allow localhost; }");
    site.write("nginx.conf", config);
    let output = site.run(&["-t"]);
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("invalid parameter \"localhost\" in "), "{stderr}");
}
