//! The picture of the way, drawn by the program itself.

use serde_json::Value;

use crate::site::{FILE, PAGE, Reply, Seen, Site, client, finished, requests, run, run_json};

fn board(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/" => Reply::new(200, PAGE, "<link rel=icon href=data:,><link rel=stylesheet href=a.css>"),
        _ => Reply::new(200, FILE, "css"),
    }
}

#[tokio::test]
async fn a_page_is_drawn_to_the_application_and_a_file_to_the_edge() {
    let site = Site::start(board).await;
    let run = run(&["--flow", &site.url("/")]).await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let arrows = "
     browser          edge           gateway        app-host       application
        │               │               │               │               │
        ├───── GET ────▶│               │               │               │
        │               ├──────────────▶│               │               │
        │               │               ├──────────────▶│               │
        │               │               │               ├──────────────▶│
        │               │               │               │           answered
        │               │               │               │◀──────────────┤
        │               │               │◀──────────────┤               │
        │               │◀──────────────┤               │               │
        │◀──── 200 ─────┤               │               │               │
";
    assert!(run.stdout.contains(arrows), "{}", run.stdout);
    assert!(run.stdout.contains("queue 0.250 ms"), "{}", run.stdout);
    let stopped = "
     browser          edge           gateway        app-host       application
        │               │               ┊               ┊               ┊
        ├───── GET ────▶│               ┊               ┊               ┊
        │           answered            ┊               ┊               ┊
        │◀──── 200 ─────┤               ┊               ┊               ┊
";
    assert!(run.stdout.contains(stopped), "{}", run.stdout);
    let page = &site.seen_at("/")[0];
    let trace = &page.header("traceparent").unwrap()[3..35];
    assert!(run.stdout.contains(&format!("\ntrace {trace}\n")), "{}", run.stdout);
    assert!(!run.stdout.contains('\x1b'), "no colour into a pipe");
}

#[tokio::test]
async fn a_plain_locale_gets_plain_characters() {
    let site = Site::start(board).await;
    let output = client(&["--flow", &site.url("/")]).env("LC_ALL", "C").output().await.unwrap();
    let run = finished(output);
    assert!(run.stdout.is_ascii(), "{}", run.stdout);
    assert!(run.stdout.contains("|----- GET ---->|"), "{}", run.stdout);
}

#[tokio::test]
async fn the_shares_are_in_the_json() {
    let site = Site::start(board).await;
    let (_, json) = run_json(&["--flow", &site.url("/")]).await;
    let flow = &requests(&json, 0)[0]["flow"];
    let parts = flow["parts"].as_array().unwrap();
    let names: Vec<&Value> = parts.iter().map(|part| &part["hop"]).collect();
    assert_eq!(names, ["browser", "edge", "gateway", "app-host", "application"]);
    let own: Vec<&Value> = parts.iter().skip(1).map(|part| &part["own_ms"]).collect();
    assert_eq!(own, [0.5, 1.5, 1.0, 6.0]);
    assert_eq!(flow["queue_ms"], 0.25);
    let file = &requests(&json, 0)[1]["flow"]["parts"];
    assert_eq!(file[1]["reach"], "reported");
    assert_eq!(file[4]["reach"], "not_reached");
    let (_, without) = run_json(&[&site.url("/")]).await;
    assert!(requests(&without, 0)[0].get("flow").is_none());
}

#[tokio::test]
async fn an_error_of_the_gateway_is_drawn_to_the_gateway() {
    let head = "Server-Timing: gateway;dur=1, edge;dur=2\r\nContent-Type: text/plain\r\n";
    let site = Site::start(move |_| Reply::new(503, head, "busy")).await;
    let run = run(&["--flow", &site.url("/")]).await;
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("503, dynamic, answered by gateway"), "{}", run.stdout);
    assert!(run.stdout.contains("did not         did not"), "{}", run.stdout);
}
