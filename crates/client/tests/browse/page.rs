//! A page and what it names: found, fetched once, six at a time, and listed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::Write as _;
use tokio::sync::watch;
use trace::TraceContext;

use crate::site::{FILE, PAGE, Reply, Seen, Site, each, requests, run, run_json};

const HTML: &str = "<!doctype html><link rel=stylesheet href=/static/a.css>\
    <link rel=icon href=/static/i.png><script src=/static/a.js></script>\
    <img src=/static/p.png><img src=/static/p.png>";

fn board(seen: &Seen) -> Reply {
    match seen.path.as_str() {
        "/" => {
            Reply::new(302, "Location: /question/\r\nSet-Cookie: sessionid=hush; Path=/\r\n", "")
        }
        "/question/" => Reply::new(200, PAGE, HTML),
        "/static/a.css" => Reply::new(200, FILE, "@import 'b.css'; a{b:url(p.png)}"),
        "/static/b.css" => Reply::new(200, FILE, "a{b:url(q.png)}"),
        path if path.starts_with("/static/") => Reply::new(200, FILE, "bytes"),
        _ => Reply::new(404, "Server-Timing: edge;dur=0.01\r\n", "gone"),
    }
}

#[tokio::test]
async fn a_page_is_listed_with_all_it_names() {
    let site = Site::start(board).await;
    let run = run(&[&site.url("/")]).await;
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let words: Vec<Vec<&str>> =
        run.stdout.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        "/ page unknown unknown 302 0 B",
        "↳ /question/ page dynamic application 200 169 B",
        "/static/a.css css static edge 200 32 B",
        "/static/b.css css static edge 200 15 B",
        "/static/q.png image static edge 200 5 B",
        "/static/i.png icon static edge 200 5 B",
        "/static/a.js js static edge 200 5 B",
        "/static/p.png image static edge 200 5 B",
    ];
    for (row, expected) in words.iter().zip(expected) {
        assert!(row.join(" ").starts_with(expected), "{expected}\n{}", run.stdout);
    }
    let totals = "8 requests, 6 static, 1 dynamic, 1 unknown; 236 B over the wire in ";
    assert!(run.stdout.contains(totals), "{}", run.stdout);
    for path in ["/question/", "/static/p.png", "/static/a.css"] {
        assert_eq!(site.seen_at(path).len(), 1, "{path} was fetched once");
    }
}

#[tokio::test]
async fn every_request_begins_a_journey_that_the_report_names() {
    let site = Site::start(board).await;
    let (_, json) = run_json(&[&site.url("/")]).await;
    let mut sent: Vec<String> = Vec::new();
    for seen in site.seen() {
        let value = seen.header("traceparent").unwrap();
        sent.push(TraceContext::parse(value.as_bytes()).unwrap().trace_id().to_string());
    }
    let traces = each(requests(&json, 0), "trace_id");
    let mut said: Vec<String> =
        traces.iter().map(|trace| trace.as_str().unwrap().to_owned()).collect();
    sent.sort();
    said.sort();
    assert_eq!(said, sent);
    sent.dedup();
    assert_eq!(sent.len(), 8, "no two requests share a journey");
}

#[tokio::test]
async fn a_journey_given_by_hand_is_continued() {
    let site = Site::start(board).await;
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let header = format!("traceparent: {given}");
    let (_, json) = run_json(&["-H", &header, &site.url("/static/a.js")]).await;
    assert_eq!(site.seen()[0].header("traceparent"), Some(given));
    assert_eq!(requests(&json, 0)[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

#[tokio::test]
async fn cookies_come_along_and_are_not_printed() {
    let site = Site::start(board).await;
    let url = site.url("/");
    let (_, json) = run_json(&["-H", "Cookie: mine=1", "-H", "X-Own: yes", &url]).await;
    assert_eq!(site.seen()[0].header("cookie"), Some("mine=1"));
    let page = &site.seen_at("/question/")[0];
    assert_eq!(page.header("cookie"), Some("mine=1; sessionid=hush"));
    assert_eq!(page.header("x-own"), Some("yes"));
    assert_eq!(page.header("sec-fetch-site"), Some("none"));
    assert_eq!(
        site.seen_at("/static/a.js")[0].header("referer"),
        Some(site.url("/question/")).as_deref()
    );
    let text = json.to_string();
    assert!(!text.contains("hush") && !text.contains("mine=1"), "{text}");
    assert!(text.contains("sessionid=(hidden)"), "{text}");
}

#[tokio::test]
async fn a_stranger_gets_neither_headers_given_by_hand_nor_cookies() {
    let stranger = Site::start(|_| Reply::new(200, FILE, "bytes")).await;
    // Another port is another origin, though not another site: cookies go by host.
    let html = format!("<link rel=icon href=data:,><img src={}>", stranger.url("/p.png"));
    let site = Site::start(move |_| Reply::new(200, PAGE, &html)).await;
    let run = run(&["-H", "Authorization: Basic c2VjcmV0", &site.url("/")]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(site.seen()[0].header("authorization").is_some());
    assert_eq!(stranger.seen()[0].header("authorization"), None);
    assert_eq!(stranger.seen()[0].header("referer"), Some(site.url("/")).as_deref());
    assert!(run.stdout.contains(&stranger.url("/p.png")), "{}", run.stdout);
}

#[tokio::test]
async fn a_strangers_stylesheet_gets_its_pictures_no_cookies_either() {
    let stranger = Site::start(|seen| match seen.path.as_str() {
        "/a.css" => Reply::new(200, &format!("{FILE}Set-Cookie: track=1\r\n"), "a{b:url(p.png)}"),
        _ => Reply::new(200, FILE, "bytes"),
    })
    .await;
    // The same server by another name is another site.
    let stylesheet = stranger.url("/a.css").replace("127.0.0.1", "localhost");
    let html = format!("<link rel=icon href=data:,><link rel=stylesheet href={stylesheet}>");
    let site = Site::start(move |_| Reply::new(200, PAGE, &html)).await;
    let run = run(&[&site.url("/")]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let picture = &stranger.seen_at("/p.png")[0];
    assert_eq!(picture.header("cookie"), None);
    assert_eq!(picture.header("referer"), Some(stylesheet.as_str()));
    assert_eq!(picture.header("sec-fetch-site"), Some("cross-site"));
}

#[tokio::test]
async fn six_requests_are_made_to_a_host_at_a_time_and_no_more() {
    let images: Vec<String> = (0..9).map(|at| format!("<img src=/{at}.png>")).collect();
    let html = format!("<link rel=icon href=data:,>{}", images.concat());
    let asked = Arc::new(AtomicUsize::new(0));
    let (six, reached) = watch::channel(false);
    let site = Site::start(move |seen| {
        if seen.path == "/" {
            return Reply::new(200, PAGE, &html);
        }
        // Nobody is answered until six have asked.
        if asked.fetch_add(1, Ordering::SeqCst) + 1 == 6 {
            six.send_replace(true);
        }
        let mut reached = reached.clone();
        Reply::new(200, FILE, "bytes").after(async move {
            let _ = reached.wait_for(|reached| *reached).await;
        })
    })
    .await;
    let (code, json) = run_json(&["--timeout", "20", &site.url("/")]).await;
    assert_eq!(code, 0, "{json}");
    let busy: Vec<(f64, f64)> = requests(&json, 0).iter().map(busy).collect();
    let at_once = |moment| busy.iter().filter(|(from, to)| (*from..*to).contains(&moment)).count();
    assert_eq!(busy.iter().map(|(from, _)| at_once(*from)).max(), Some(6), "{busy:?}");
}

/// From sending to the last byte, less what three figures may have lost by rounding.
fn busy(story: &Value) -> (f64, f64) {
    let figure = |name: &str| story["timing"][name].as_f64().unwrap();
    let sent = figure("started_ms") + figure("blocked_ms");
    (sent, sent + figure("total_ms") - 0.005)
}

#[tokio::test]
async fn a_compressed_page_is_read_and_both_sizes_are_known() {
    let page = format!("<link rel=icon href=data:,><img src=/p.png>{}", " ".repeat(5000));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(page.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let on_the_wire = body.len();
    let site = Site::start(move |seen| match seen.path.as_str() {
        "/" => {
            assert_eq!(seen.header("accept-encoding"), Some("gzip"));
            Reply::new(200, &format!("{PAGE}Content-Encoding: gzip\r\n"), &body)
        }
        _ => Reply::new(200, FILE, "bytes"),
    })
    .await;
    let (code, json) = run_json(&[&site.url("/")]).await;
    assert_eq!(code, 0, "{json}");
    let requests = requests(&json, 0);
    assert_eq!(requests[0]["body_bytes"], on_the_wire);
    assert_eq!(requests[0]["content_bytes"], page.len());
    assert_eq!(requests[1]["role"], "image");
}

#[tokio::test]
async fn an_icon_nobody_named_is_asked_for_and_not_missed() {
    let site = Site::start(|seen| match seen.path.as_str() {
        "/" => Reply::new(200, PAGE, "<p>"),
        _ => Reply::new(404, "Server-Timing: edge;dur=0.01\r\n", "gone"),
    })
    .await;
    let run = run(&[&site.url("/")]).await;
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert_eq!(site.seen_at("/favicon.ico").len(), 1);
    assert!(run.stdout.contains("its absence is no failure"), "{}", run.stdout);
}
