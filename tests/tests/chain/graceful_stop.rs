//! A graceful stop loses nothing: what was begun is answered in full, what comes later is refused.

use anyhow::Result;
use e2e::chain::{Chain, Gateway};
use e2e::load::{Load, Plan, Tally};
use e2e::wire::{Answer, PATIENCE};
use nix::sys::signal::Signal;

fn right(answer: &Answer) -> bool {
    answer.status() == 200 && answer.body.starts_with(b"answered")
}

/// Two streams whose first line has arrived, so that both workers are known to be at work.
async fn begun(chain: &Chain) -> Result<Vec<e2e::wire::Wire>> {
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut wire = chain.wire().await?;
        wire.send("GET /stream?n=2&delay=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        assert_eq!(wire.head().await?.status, 200);
        assert_eq!(wire.chunk().await?.as_deref(), Some(&b"line 1 of 2\n"[..]));
        wires.push(wire);
    }
    Ok(wires)
}

#[tokio::test]
async fn the_gateway_finishes_what_its_workers_have_begun() -> Result<()> {
    let mut chain = Chain::of("flaskr").start().await?;
    let mut wires = begun(&chain).await?;
    chain.gateway.signal(Signal::SIGTERM);
    for wire in &mut wires {
        assert_eq!(wire.chunk().await?.as_deref(), Some(&b"line 2 of 2\n"[..]));
        assert_eq!(wire.chunk().await?, None);
    }
    assert!(chain.gateway.ended().await?.success());
    assert!(!chain.recipe.socket().exists());
    assert!(!chain.scratch.join("gateway.pid").exists());
    Ok(())
}

#[tokio::test]
async fn the_edge_finishes_what_it_has_begun() -> Result<()> {
    let mut chain = Chain::of("flaskr").start().await?;
    let mut wires = begun(&chain).await?;
    chain.edge.signal(Signal::SIGQUIT);
    for wire in &mut wires {
        assert_eq!(wire.chunk().await?.as_deref(), Some(&b"line 2 of 2\n"[..]));
        assert_eq!(wire.chunk().await?, None);
    }
    assert!(chain.edge.ended().await?.success());
    assert!(chain.wire().await.is_err(), "somebody still listens");
    assert!(!chain.scratch.join("edge.pid").exists());
    Ok(())
}

/// Under load, the only answers after the signal are right ones, 502 from an edge without a gateway, or
/// no connection.
async fn stopped_under_load(
    chain: &mut Chain,
    stop: impl AsyncFnOnce(&mut Chain) -> Result<()>,
) -> Result<Tally> {
    let plan = Plan::browsers(chain.address(), "/slow?seconds=0.005", 4, right);
    let mut load = Load::start(plan);
    load.goes_on_for(40).await;
    stop(chain).await?;
    load.goes_on_for(40).await;
    Ok(load.stop().await)
}

#[tokio::test]
async fn under_load_a_stopping_gateway_cuts_no_answer_short() -> Result<()> {
    let mut chain = Chain::of("flaskr").start().await?;
    let tally = stopped_under_load(&mut chain, async |chain| {
        assert!(chain.gateway.stop(Signal::SIGTERM).await?.success());
        Ok(())
    })
    .await?;
    assert!(tally.answered >= 40, "{tally:?}");
    assert!(tally.lost.iter().all(|reason| reason.starts_with("502:")), "{tally:?}");
    // What the gateway had accepted it answered: the edge misses nothing but the socket. gunicorn resets
    // what its workers accepted and had not read.
    if chain.gateway_kind == Gateway::Causeway {
        assert_eq!(chain.edge_log().lines_with("prematurely closed"), [""; 0]);
        assert_eq!(chain.edge_log().lines_with("reset by peer"), [""; 0]);
    }
    Ok(())
}

#[tokio::test]
async fn under_load_a_stopping_edge_loses_nothing() -> Result<()> {
    let mut chain = Chain::of("flaskr").start().await?;
    let tally = stopped_under_load(&mut chain, async |chain| {
        assert!(chain.edge.stop(Signal::SIGQUIT).await?.success());
        Ok(())
    })
    .await?;
    assert!(tally.answered >= 40 && tally.refused > 0, "{tally:?}");
    assert_eq!(tally.lost, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn each_hop_stops_without_leaving_a_process() -> Result<()> {
    let mut chain = Chain::of("flaskr").start().await?;
    let mut left = chain.edge.process.tree();
    left.extend(chain.gateway.process.tree());
    assert!(left.len() >= 5, "{left:?}");
    assert!(chain.edge.stop(Signal::SIGTERM).await?.success());
    assert!(chain.gateway.stop(Signal::SIGTERM).await?.success());
    for process in left {
        assert!(
            process.gone_within(PATIENCE).await,
            "{process:?} is left: {}",
            process.command_line()
        );
    }
    Ok(())
}
