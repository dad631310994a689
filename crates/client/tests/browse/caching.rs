//! Visits after the first: connections, fresh copies, and copies confirmed.

use crate::site::{FILE, PAGE, Reply, Seen, Site, each, requests, run, run_json};

fn site(seen: &Seen) -> Reply {
    let revalidates = seen.header("if-none-match") == Some("\"6b02e8c0-4d2\"")
        && seen.header("if-modified-since") == Some("Sun, 22 Nov 2026 12:00:00 GMT");
    match seen.path.as_str() {
        "/" => Reply::new(
            200,
            PAGE,
            "<link rel=icon href=data:,><link rel=stylesheet href=a.css><script src=fresh.js></script>",
        ),
        "/fresh.js" => Reply::new(200, &format!("{FILE}Cache-Control: max-age=600\r\n"), "js"),
        _ if revalidates => Reply::new(304, FILE, ""),
        "/a.css" => Reply::new(200, FILE, "a{b:url(p.png)}"),
        _ => Reply::new(200, FILE, "bytes"),
    }
}

#[tokio::test]
async fn a_second_visit_asks_only_for_what_may_have_changed() {
    let site = Site::start(site).await;
    let (code, json) = run_json(&["--repeat", "2", &site.url("/")]).await;
    assert_eq!(code, 0, "{json}");
    assert_eq!(each(requests(&json, 0), "source"), ["network"; 4]);
    // A stylesheet that was confirmed still names what it named.
    let again = requests(&json, 1);
    assert_eq!(each(again, "source"), ["network", "revalidated", "revalidated", "cache"]);
    assert_eq!(each(again, "status"), [200, 304, 304, 200]);
    assert_eq!(site.seen_at("/fresh.js").len(), 1);
    assert_eq!(site.seen_at("/p.png").len(), 2);
    assert_eq!(again[1]["answered"]["kind"], "static");
    assert_eq!(again[3]["answered"]["by"], "browser");
    assert_eq!(json["visits"][1]["totals"]["from_cache"], 3);
}

#[tokio::test]
async fn the_table_says_which_visit_it_is_of() {
    let site = Site::start(site).await;
    let run = run(&["--repeat", "2", &site.url("/")]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let second = run.stdout.split("visit 2\n").nth(1).unwrap();
    assert!(second.contains("in cache"), "{second}");
    assert!(second.contains("3 from the cache"), "{second}");
}

#[tokio::test]
async fn visits_share_a_connection() {
    let page = |_: &Seen| Reply::new(200, PAGE, "<link rel=icon href=data:,>");
    let site = Site::start(page).await;
    assert_eq!(run(&["--repeat", "3", &site.url("/")]).await.code, 0);
    let connections: Vec<_> = site.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}
