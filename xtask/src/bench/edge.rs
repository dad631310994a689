//! `bench edge`: the edge beside nginx, with the same configuration and as many workers. A small file, a
//! small answer of another server, and a small file by TLS and HTTP/2, in alternating rounds; then the
//! memory of connections that are kept and say nothing.

use std::process::ExitCode;

use anyhow::Result;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use xtask::programs;
use xtask::progress::Progress;
use xtask::workspace::Profile;

use super::{Options, find, keep, median, name_what_is_missing, number_before, wrk};

mod idle; // connections that are kept and say nothing
mod load; // requests as fast as they are answered
mod server; // one web server, and the other one behind it

use server::{Server, Tls};

pub(super) const OURS: &str = "edge";
pub(super) const REAL: &str = "nginx";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Subject {
    #[serde(rename = "static 1 KB")]
    Static,
    #[serde(rename = "proxied 1 KB")]
    Proxied,
    #[serde(rename = "TLS, HTTP/2, static 1 KB")]
    Http2,
}

#[derive(Clone, Debug, Serialize)]
struct Sample {
    subject: Subject,
    server: &'static str,
    requests_per_second: f64,
    /// CPU of all the server's processes for each request.
    microseconds: f64,
    errors: u64,
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    name_what_is_missing(&[
        ("nginx", "nginx-light"),
        ("wrk", "wrk"),
        ("h2load", "nghttp2-client"),
        ("openssl", "openssl"),
    ])?;
    let ours = match options.edge.clone() {
        Some(edge) => edge,
        None => programs::build_some(&["causeway-edge"], Profile::Release, Progress::Shown)?
            .join("causeway-edge"),
    };
    let programs = [(OURS, ours), (REAL, find("nginx").unwrap_or_else(|| "nginx".into()))];
    let mut upstream = server::upstream(&programs[1].1).await?;
    let mut servers = Vec::new();
    for (name, program) in &programs {
        servers.push(Server::start(name, program, options.workers).await?);
    }
    let both = |tls: Tls| servers.iter().all(|server| server.tls == tls);
    let mut subjects = vec![Subject::Static, Subject::Proxied];
    if both(Tls::On) {
        subjects.push(Subject::Http2);
    } else {
        println!("one of the two has no TLS with HTTP/2: that is not measured");
    }
    let mut samples = Vec::new();
    for round in 1..=options.rounds {
        for subject in &subjects {
            for server in &servers {
                let sample = load::measure(*subject, server, options.seconds)?;
                println!(
                    "round {round}, {}: {} {:.0} requests/s, {:.1} µs CPU each, {} errors",
                    subject.name(),
                    sample.server,
                    sample.requests_per_second,
                    sample.microseconds,
                    sample.errors
                );
                samples.push(sample);
            }
        }
    }
    let with_tls = both(Tls::On);
    for server in &mut servers {
        server.running.stop().await;
    }
    upstream.stop().await;
    let mut idle = Vec::new();
    for kind in [idle::Kind::Plain, idle::Kind::Tls, idle::Kind::Http2] {
        if kind == idle::Kind::Plain || with_tls {
            for (name, program) in &programs {
                // A fresh one each time: memory that was used once may be kept.
                let mut server = Server::start(name, program, options.workers).await?;
                idle.push(idle::measure(kind, &server, options.idle).await?);
                server.running.stop().await;
            }
        }
    }
    println!("{}", ratios(&samples, &subjects));
    println!("{}", idle::table(&idle));
    keep(&serde_json::json!({ "edge": { "samples": samples, "idle": idle } }))?;
    let failed = samples.iter().any(|sample| sample.errors > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Subject::Static => "static 1 KB",
            Subject::Proxied => "proxied 1 KB",
            Subject::Http2 => "TLS, HTTP/2, static 1 KB",
        }
    }
}

fn ratios(samples: &[Sample], subjects: &[Subject]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let heads = ["", "edge, requests/s", "nginx", "ratio", "edge, µs CPU each", "nginx", "ratio"];
    table.set_header(heads);
    for subject in subjects {
        let of = |server: &str, value: fn(&Sample) -> f64| {
            let mine = samples.iter().filter(|s| s.subject == *subject && s.server == server);
            median(mine.map(value).collect())
        };
        let rates = [OURS, REAL].map(|server| of(server, |s| s.requests_per_second));
        let costs = [OURS, REAL].map(|server| of(server, |s| s.microseconds));
        table.add_row([
            subject.name().to_owned(),
            format!("{:.0}", rates[0]),
            format!("{:.0}", rates[1]),
            format!("{:.2} x", rates[0] / rates[1]),
            format!("{:.1}", costs[0]),
            format!("{:.1}", costs[1]),
            format!("{:.2} x", costs[0] / costs[1]),
        ]);
    }
    table
}
