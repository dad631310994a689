//! A worker that is killed costs at most the requests it was executing, and each of those is answered.

use std::time::Duration;

use anyhow::Result;
use e2e::chain::Chain;
use e2e::load::{Load, Plan};
use nix::sys::signal::Signal;

#[tokio::test]
async fn under_load_each_killed_worker_costs_at_most_its_own_request() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let plan = Plan::browsers(chain.address(), "/slow?seconds=0.005", 4, |answer| {
        answer.status() == 200 && answer.body.starts_with(b"answered")
    });
    let mut load = Load::start(plan);
    load.goes_on_for(20).await;
    for _ in 0..3 {
        let before = chain.gateway.workers_are(|workers| workers.len() == 2).await?;
        before[0].signal(Signal::SIGKILL);
        chain
            .gateway
            .workers_are(|workers| workers.len() == 2 && !workers.contains(&before[0]))
            .await?;
        load.goes_on_for(40).await;
    }
    let tally = load.stop().await;
    assert!(tally.answered >= 100, "{tally:?}");
    assert!(tally.lost.len() <= 3, "{tally:?}");
    assert!(tally.lost.iter().all(|reason| reason.starts_with("502:")), "{tally:?}");
    assert_eq!(tally.refused, 0, "{tally:?}");
    Ok(())
}

#[tokio::test]
async fn the_request_a_killed_worker_held_is_answered_502_with_a_reason_in_the_log() -> Result<()> {
    let chain = Chain::of("flaskr").workers(1).start().await?;
    let held = chain.gateway.workers();
    let mut wire = chain.wire().await?;
    wire.send("GET /stream?n=2&delay=60 HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    // Its first line says that the worker has the request; the second one will never come.
    assert_eq!(wire.head().await?.status, 200);
    assert_eq!(wire.chunk().await?.as_deref(), Some(&b"line 1 of 2\n"[..]));
    held[0].signal(Signal::SIGKILL);
    assert!(wire.chunk().await.is_err(), "an answer cut short must not look complete");

    assert_eq!(chain.get("/environ").await?.status(), 200);
    let mut wire = chain.wire().await?;
    wire.send("GET /slow?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    // Nobody outside can see the moment at which the worker has the request; a kill before it only means
    // that the next worker gets it. So workers are killed until there is an answer, but not so fast that
    // one would die while it starts.
    let answer = tokio::select! {
        answer = wire.answer("GET") => answer?,
        () = kill_again_and_again(&chain) => unreachable!("it goes on for ever"),
    };
    assert_eq!(answer.status(), 502);
    chain.edge_access_log().line_with("\"GET /slow?seconds=60 HTTP/1.1\" 502 ").await?;
    chain.gateway_log().line_with(&held[0].pid.to_string()).await?;
    Ok(())
}

async fn kill_again_and_again(chain: &Chain) {
    let begin = tokio::time::Instant::now() + Duration::from_millis(500);
    let mut tick = tokio::time::interval_at(begin, Duration::from_secs(8));
    loop {
        tick.tick().await;
        for worker in chain.gateway.workers() {
            worker.signal(Signal::SIGKILL);
        }
    }
}
