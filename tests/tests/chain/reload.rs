//! HUP under load: every hop takes up its new configuration, and no request is lost meanwhile.

use anyhow::Result;
use e2e::chain::Chain;
use e2e::load::{Load, Plan};
use nix::sys::signal::Signal;

fn plan(chain: &Chain) -> Plan {
    Plan::browsers(chain.address(), "/slow?seconds=0.005", 4, |answer| {
        answer.status() == 200 && answer.body.starts_with(b"answered")
    })
}

#[tokio::test]
async fn the_gateway_reloads_and_loses_nothing() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let mut load = Load::start(plan(&chain));
    load.goes_on_for(20).await;
    for _ in 0..3 {
        let before = chain.gateway.workers_are(|workers| workers.len() == 2).await?;
        chain.gateway.signal(Signal::SIGHUP);
        chain
            .gateway
            .workers_are(|now| now.len() == 2 && now.iter().all(|worker| !before.contains(worker)))
            .await?;
        load.goes_on_for(20).await;
    }
    let tally = load.stop().await;
    assert_eq!((tally.lost, tally.refused), (vec![], 0));
    assert!(tally.answered >= 80);
    Ok(())
}

#[tokio::test]
async fn the_edge_reloads_and_loses_nothing() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let conf = std::fs::read_to_string(chain.scratch.join("nginx.conf"))?;
    let mut load = Load::start(plan(&chain));
    load.goes_on_for(20).await;
    for round in 1..=3 {
        let line =
            format!("location = /round {{ return 200 round-{round}; }}\n        location / {{");
        std::fs::write(chain.scratch.join("nginx.conf"), conf.replace("location / {", &line))?;
        chain.edge.signal(Signal::SIGHUP);
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(10));
        while chain.get("/round").await?.text() != format!("round-{round}") {
            tick.tick().await;
        }
        load.goes_on_for(20).await;
    }
    let tally = load.stop().await;
    assert_eq!((tally.lost, tally.refused), (vec![], 0));
    assert!(tally.answered >= 80);
    Ok(())
}

#[tokio::test]
async fn a_broken_configuration_changes_nothing_and_says_why() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let workers = chain.edge.workers();
    std::fs::write(chain.scratch.join("nginx.conf"), "events {}\nhttp { server { lisen 80; } }\n")?;
    chain.edge.signal(Signal::SIGHUP);
    chain.edge_log().line_with("unknown directive \"lisen\" in ").await?;
    assert_eq!(chain.get("/environ").await?.status(), 200);
    assert_eq!(chain.edge.workers(), workers);
    Ok(())
}
