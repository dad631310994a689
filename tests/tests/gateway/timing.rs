//! One request followed through the hops: `traceparent`, `trace=` in the logs, `Server-Timing`.

use crate::stack::start;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn request(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n\r\n"
    )
}

#[test]
fn each_hop_says_its_share() {
    let gateway = start(&["--server-timing", "--access-logfile", "-"]);
    let answer = gateway.send(&request("/env"));
    let all: Vec<&str> = answer.headers("server-timing").collect();
    let all = all.join(", ");
    for hop in ["application", "app-host", "queue", "gateway"] {
        assert!(all.contains(&format!("{hop};dur=")), "{hop}: {all}");
    }
    let text = answer.text();
    let forwarded = text.lines().find_map(|line| line.strip_prefix("HTTP_TRACEPARENT=")).unwrap();
    assert!(forwarded.starts_with(&format!("00-{TRACE}-")), "{forwarded}");
    assert!(!forwarded.contains("b7ad6b7169203331"), "this hop's own step: {forwarded}");
    assert!(!text.contains("CAUSEWAY_SERVER_TIMING"), "{text}");
    let line = gateway.output.wait_for("/env");
    assert!(line.ends_with(&format!(" trace={TRACE}")), "{line}");
}

#[test]
fn off_nothing_is_added_and_a_trace_is_still_found_in_the_log() {
    let gateway = start(&["--access-logfile", "-"]);
    let answer = gateway.send(&request("/env"));
    assert_eq!(answer.headers("server-timing").count(), 0);
    assert!(answer.text().contains(&format!("HTTP_TRACEPARENT=00-{TRACE}-b7ad6b7169203331-01")));
    let line = gateway.output.wait_for("/env");
    assert!(line.ends_with(&format!(" trace={TRACE}")), "{line}");
}

#[test]
fn a_failure_carries_the_trace() {
    let gateway = start(&["--timeout", "1"]);
    assert_eq!(gateway.send(&request("/endless")).status, 504);
    let line = gateway.log.wait_for("504 for GET /endless");
    assert!(line.ends_with(&format!(" trace={TRACE}")), "{line}");
}
