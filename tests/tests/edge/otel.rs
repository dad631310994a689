//! Traces and each hop's share of the time. Of nginx these are a module that Debian has not.

use crate::{
    peer::Peer,
    server::{Edge, Site, is_nginx},
};

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
    assert!(said.contains("unknown directive \"otel_exporter\""), "{said}");
    assert!(said.contains("the edge does not yet"), "{said}");
}

#[test]
fn the_next_hop_is_told_of_this_step() {
    if is_nginx() {
        return;
    }
    let site = Site::new();
    let peer = Peer::says(site.listener("PORT1"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let edge = Edge::start_in(
        site,
        "server { listen 127.0.0.1:%%PORT%%; proxy_set_header Connection close;
         location / { proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /on/ { otel_trace on; proxy_pass http://127.0.0.1:%%PORT1%%; }
         location /extract/ { otel_trace on; otel_trace_context extract;
           proxy_pass http://127.0.0.1:%%PORT1%%; } }",
    );
    let told = |path, fields: &[&str]| {
        assert_eq!(edge.request("GET", path, fields, b"").status, 200);
        let seen = peer.next();
        let lines = seen.head.lines().filter(|line| line.to_ascii_lowercase().starts_with("trace"));
        assert!(lines.count() <= 1, "{}", seen.head);
        seen.header("traceparent").map(str::to_owned)
    };
    let said = PARENT.strip_prefix("traceparent: ").unwrap();
    assert_eq!(told("/", &[PARENT]).as_deref(), Some(said));
    assert_eq!(told("/", &[]), None);
    assert_eq!(told("/extract/", &[PARENT]).as_deref(), Some(said));
    let own = told("/on/", &[PARENT]).unwrap();
    assert!(own.starts_with(&format!("00-{TRACE}-")) && own.ends_with("-01"), "{own}");
    assert_ne!(own, said);
    assert_eq!(told("/on/", &[]).unwrap().len(), said.len());
}
