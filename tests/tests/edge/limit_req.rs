//! `limit_req`.

use std::io::Write;

use crate::{
    reload::reload,
    server::{Edge, Site},
};

fn site() -> Site {
    let site = Site::new();
    site.write("www/a", "x");
    site
}

/// The statuses of these paths, one after the other.
fn statuses(edge: &Edge, paths: &[&str]) -> Vec<u16> {
    paths.iter().map(|path| edge.get(path).status).collect()
}

#[test]
fn what_is_above_the_burst_is_refused() {
    let mut edge = Edge::start_in(
        site(),
        r#"
        limit_req_zone $arg_key zone=one:1m rate=1r/m;
        log_format status "$uri $arg_key $limit_req_status";
        server {
            listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            access_log %%DIR%%/status.log status;
            limit_req zone=one burst=2 nodelay;
            location /own/ { alias %%DIR%%/www/; limit_req_status 429; limit_req_log_level info; }
            location /dry/ { alias %%DIR%%/www/; limit_req_dry_run on; add_header X $limit_req_status; }
            location /none/ { alias %%DIR%%/www/; limit_req zone=one burst=100 nodelay; }
        }"#,
    );
    assert_eq!(statuses(&edge, &["/a?key=1"; 5]), [200, 200, 200, 503, 503]);
    // Another key is counted for itself, and no key is not counted.
    assert_eq!(statuses(&edge, &["/a?key=2", "/a", "/a", "/a", "/a"]), [200; 5]);
    assert_eq!(edge.get("/own/a?key=1").status, 429);
    let dry = edge.get("/dry/a?key=1");
    assert_eq!((dry.status, dry.header("X")), (200, Some("REJECTED_DRY_RUN")));
    // The burst is the location's, the bucket the zone's.
    assert_eq!(edge.get("/none/a?key=1").status, 200);
    edge.stop();
    let log = edge.error_log();
    let line = |text: &str| assert!(log.contains(text), "{text}: {log}");
    line("[error] ");
    line("limiting requests, excess: ");
    line(" by zone \"one\", client: 127.0.0.1, server: , request: \"GET /a?key=1 HTTP/1.1\"");
    line("[info] ");
    line("limiting requests, dry run, excess: ");
    let status = edge.site.read("status.log");
    assert!(status.contains("/a 1 PASSED\n") && status.contains("/a 1 REJECTED\n"), "{status}");
    assert!(status.contains("/a - -\n"), "{status}");
}

#[test]
fn a_request_that_waits_ends_with_its_client() {
    let mut edge = Edge::start_in(
        site(),
        "limit_req_zone $uri zone=one:1m rate=1r/m;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_req zone=one burst=5; }",
    );
    assert_eq!(edge.get("/a").status, 200);
    let mut waiting = edge.connect();
    waiting.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").expect("the request is sent");
    edge.wait_for_line("error.log", "delaying request, excess: ");
    drop(waiting);
    edge.wait_for_line("access.log", "\"GET /a HTTP/1.1\" 499 ");
}

#[test]
fn a_request_that_waited_is_answered() {
    let mut edge = Edge::start_in(
        site(),
        "limit_req_zone $uri zone=one:1m rate=20r/s;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_req zone=one burst=5 delay=1;
            add_header X $limit_req_status; }",
    );
    let said: Vec<_> =
        (0..4).map(|_| edge.get("/a").header("X").unwrap_or_default().to_owned()).collect();
    assert!(said.iter().all(|said| said == "PASSED" || said == "DELAYED"), "{said:?}");
    edge.stop();
    assert!(!edge.error_log().contains("limiting"), "{}", edge.error_log());
}

#[test]
fn of_several_zones_all_count_or_none() {
    let edge = Edge::start_in(
        site(),
        "limit_req_zone $arg_a zone=a:1m rate=1r/m;
         limit_req_zone $arg_b zone=b:1m rate=1r/m;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            limit_req zone=a burst=1 nodelay; limit_req zone=b;
         }",
    );
    // What the second zone refuses is not counted by the first.
    assert_eq!(statuses(&edge, &["/a?a=1&b=1"; 4]), [200, 503, 503, 503]);
    assert_eq!(statuses(&edge, &["/a?a=1&b=2", "/a?a=1&b=3"]), [200, 503]);
    // What the first refuses is not counted by the second.
    assert_eq!(statuses(&edge, &["/a?a=2&b=3"]), [200]);
}

#[test]
fn a_request_is_counted_once_however_often_it_starts_over() {
    let edge = Edge::start_in(
        site(),
        "limit_req_zone $arg_key zone=one:1m rate=1r/m;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www;
            limit_req zone=one;
            location / { error_page 404 /a; }
         }",
    );
    assert_eq!(statuses(&edge, &["/missing?key=1", "/missing?key=1"]), [404, 503]);
}

#[test]
fn a_zone_is_kept_through_reloads_by_name_and_size() {
    let zone = |size: &str| {
        format!(
            "limit_req_zone $arg_key zone=one:{size} rate=1r/m;
             server {{ listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_req zone=one; }}"
        )
    };
    let mut edge = Edge::start_in(site(), &zone("1m"));
    assert_eq!(statuses(&edge, &["/a?key=1", "/a?key=1"]), [200, 503]);
    reload(&mut edge, &zone("1m"));
    assert_eq!(statuses(&edge, &["/a?key=1", "/a?key=2"]), [503, 200]);
    reload(&mut edge, &zone("2m"));
    assert_eq!(statuses(&edge, &["/a?key=1"]), [200]);
    // Another key in the same zone would compare what can not be compared.
    let config = edge.site.config(&zone("2m").replace("$arg_key", "$arg_other"));
    edge.site.write("nginx.conf", config);
    edge.signal(nix::sys::signal::Signal::SIGHUP);
    edge.wait_for_line(
        "error.log",
        "limit_req \"one\" uses the \"$arg_other\" key while previously it used the \"$arg_key\" key",
    );
    assert_eq!(statuses(&edge, &["/a?key=1"]), [503]);
}

#[test]
fn more_keys_than_a_zone_holds_cost_only_the_oldest() {
    let edge = Edge::start_in(
        site(),
        "limit_req_zone $arg_key zone=one:32k rate=1r/m;
         server { listen 127.0.0.1:%%PORT%%; root %%DIR%%/www; limit_req zone=one; keepalive_requests 10000; }",
    );
    let ask = |key| format!("GET /a?key={key} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut flood: String = (0..3000).map(ask).collect();
    flood += "GET /a?key=2999 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut client = edge.connect();
    let mut writer = client.try_clone().expect("a second handle");
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(flood.as_bytes()).expect("the edge reads on"));
        let mut answers = Vec::new();
        std::io::Read::read_to_end(&mut client, &mut answers).expect("the answers");
        String::from_utf8_lossy(&answers).into_owned()
    });
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3000);
    assert_eq!(answers.matches("HTTP/1.1 503 ").count(), 1);
    assert_eq!(edge.get("/a?key=0").status, 200, "the oldest was forgotten");
}
