//! One request can be followed: its trace id stands in every hop's log, and each hop says in
//! `Server-Timing` what it took (`otel_trace on; server_timing on;` in the edge, `--server-timing` in the
//! gateway). nginx and gunicorn know neither; this journey is ours alone.

use anyhow::{Context as _, Result};
use e2e::chain::{Chain, Edge, Gateway};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn ours(application: &'static str) -> Result<Chain> {
    Chain::of(application).edge(Edge::Causeway).gateway(Gateway::Causeway).timing().start().await
}

#[tokio::test]
async fn one_trace_id_is_found_in_all_three_logs() -> Result<()> {
    let chain = ours("flaskr").await?;
    // One that fails after its head was sent: only then does an app-host have something to say.
    let path = "/stream?n=3&delay=0&fail=2";
    let mut wire = chain.wire().await?;
    let header = format!("traceparent: 00-{ID}-00f067aa0ba902b7-01\r\n");
    let answer = wire.request("GET", path, &header).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 502), "it has failed");

    let mark = format!("trace={ID}");
    let edge = chain.edge_access_log().line_with(&mark).await?;
    assert!(edge.contains(path), "{edge}");
    let gateway = chain.gateway_access_log().line_with(&mark).await?;
    assert!(gateway.contains(path), "{gateway}");
    let workers: Vec<String> =
        chain.gateway.workers().iter().map(|worker| format!("[{}]", worker.pid)).collect();
    chain.application_log().line_with(&mark).await?;
    let lines = chain.application_log().lines_with(&mark);
    assert!(
        lines.iter().any(|line| workers.iter().any(|worker| line.contains(worker))),
        "{lines:?}"
    );
    Ok(())
}

#[tokio::test]
async fn each_hop_says_what_it_took_and_takes_no_less_than_the_next() -> Result<()> {
    let chain = ours("pybo").await?;
    let answer = chain.get("/pybo/").await?;
    let entries: Vec<&str> =
        answer.head.all("server-timing").flat_map(|value| value.split(',')).collect();
    let took = |name: &str| -> Result<f64> {
        let entry = entries
            .iter()
            .map(|entry| entry.trim())
            .find(|entry| entry.split(';').next() == Some(name));
        let duration = entry.and_then(|entry| entry.split_once("dur=")?.1.parse().ok());
        duration.with_context(|| format!("no \"{name}\" in {entries:?}"))
    };
    let hops = ["edge", "gateway", "app-host", "application"];
    for pair in hops.windows(2) {
        assert!(took(pair[0])? >= took(pair[1])?, "{entries:?}");
    }
    assert!(took("gateway")? >= took("queue")?, "{entries:?}");
    Ok(())
}

#[tokio::test]
async fn a_static_request_is_the_edges_alone() -> Result<()> {
    let chain = ours("pybo").await?;
    let header = format!("traceparent: 00-{ID}-00f067aa0ba902b7-01\r\n");
    let answer = chain.wire().await?.request("GET", "/static/style.css", &header).await?;
    let timing: Vec<&str> = answer.head.all("server-timing").collect();
    assert!(timing.len() == 1 && timing[0].starts_with("edge;dur="), "{timing:?}");
    chain.edge_access_log().line_with(&format!("trace={ID}")).await?;
    assert_eq!(chain.gateway_access_log().lines_with(ID), [""; 0]);
    Ok(())
}
