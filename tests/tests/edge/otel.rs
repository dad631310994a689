//! Traces and each hop's share of the time. Of nginx these are a module that Debian has not.

use crate::server::{Edge, Site, is_nginx};

const PARENT: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

const SERVER: &str = "server { listen 127.0.0.1:%%PORT%%; location / { return 200 \
    '$otel_trace_id $otel_span_id $otel_parent_id $otel_parent_sampled'; }\n\
    location /files { root %%DIR%%; } }";

#[test]
fn a_trace_is_continued_and_logged() {
    if is_nginx() {
        return;
    }
    let edge = Edge::start(&format!("otel_trace on; {SERVER}"));
    let response = edge.request("GET", "/", &[PARENT], b"");
    let words: Vec<&str> = response.text().split(' ').collect();
    assert_eq!((words[0], words[2], words[3]), (TRACE, "b7ad6b7169203331", "1"));
    assert_eq!(words[1].len(), 16);
    assert_ne!(words[1], words[2]);
    let log = edge.access_log();
    assert!(log.ends_with(&format!("\"-\" \"-\" trace={TRACE}\n")), "{log}");
    edge.request("GET", "/files/gone", &[PARENT], b"");
    let log = edge.error_log();
    assert!(log.contains(&format!(", trace: \"{TRACE}\"")), "{log}");
}

#[test]
fn a_trace_is_begun_where_there_is_none() {
    if is_nginx() {
        return;
    }
    let edge = Edge::start(&format!("otel_trace on; {SERVER}"));
    let first = edge.get("/").text().to_owned();
    let id = first.split(' ').next().unwrap();
    assert_eq!(id.len(), 32);
    assert!(edge.access_log().ends_with(&format!(" trace={id}\n")), "{}", edge.access_log());
    assert_ne!(edge.get("/").text().split(' ').next(), Some(id));
}

#[test]
fn nothing_is_traced_unless_it_is_said() {
    if is_nginx() {
        return;
    }
    let edge = Edge::start(&format!("otel_trace $arg_on; {SERVER}"));
    assert_eq!(edge.request("GET", "/", &[PARENT], b"").text(), "   0");
    assert!(!edge.access_log().contains("trace="), "{}", edge.access_log());
    let response = edge.request("GET", "/?on=on", &[PARENT], b"");
    assert!(response.text().starts_with(TRACE), "{}", response.text());
}

#[test]
fn the_edge_adds_its_share_to_every_response() {
    if is_nginx() {
        return;
    }
    let edge = Edge::start(&format!("server_timing on; {SERVER}"));
    for path in ["/", "/files/gone"] {
        let response = edge.get(path);
        let value = response.header("server-timing").unwrap_or_default();
        let share = value.strip_prefix("edge;dur=").unwrap_or_else(|| panic!("{path}: {value}"));
        assert!(share.parse::<f64>().is_ok(), "{path}: {value}");
    }
}

#[test]
fn the_chain_switches_both_on_outside_of_the_file() {
    if is_nginx() {
        return;
    }
    let site = Site::new();
    let config = site.config(SERVER);
    let globals = ["-g", "otel_trace on; server_timing on;"];
    let edge = Edge::start_with(site, &config, &globals);
    let response = edge.request("GET", "/", &[PARENT], b"");
    assert!(response.text().starts_with(TRACE), "{}", response.text());
    assert!(response.header("server-timing").is_some());
}

#[test]
fn exporters_are_refused_by_name() {
    if is_nginx() {
        return;
    }
    let site = Site::new();
    let config = site.config("otel_exporter { endpoint localhost:4317; }");
    site.write("nginx.conf", config);
    let said = String::from_utf8_lossy(&site.run(&["-t"]).stderr).into_owned();
    assert!(said.contains("\"otel_exporter\" directive: nginx has this"), "{said}");
}
