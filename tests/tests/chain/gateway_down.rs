//! The gateway goes and comes back; nobody touches the edge.

use anyhow::Result;
use e2e::chain::Chain;
use nix::sys::signal::Signal;

#[tokio::test]
async fn without_a_gateway_502_and_with_it_again_200() -> Result<()> {
    let mut chain = Chain::of("pybo").start().await?;
    let edge = chain.edge.process;
    let workers = chain.edge.workers();
    for _ in 0..2 {
        assert_eq!(chain.get("/pybo/").await?.status(), 200);
        assert!(chain.gateway.stop(Signal::SIGTERM).await?.success());
        assert!(!chain.recipe.socket().exists(), "the gateway leaves its socket behind");
        assert_eq!(chain.get("/pybo/").await?.status(), 502);
        chain
            .edge_log()
            .line_with("No such file or directory) while connecting to upstream")
            .await?;
        chain.restart_gateway().await?;
        assert_eq!(chain.get("/pybo/").await?.status(), 200);
    }
    assert!(edge.alive());
    assert_eq!(chain.edge.workers(), workers);
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_is_killed_leaves_no_worker_and_can_start_again() -> Result<()> {
    let mut chain = Chain::of("flaskr").start().await?;
    let workers = chain.gateway.workers();
    assert_eq!(workers.len(), 2);
    chain.gateway.stop(Signal::SIGKILL).await?;
    for worker in workers {
        assert!(worker.gone_within(e2e::wire::PATIENCE).await, "{worker:?} outlives the gateway");
    }
    assert_eq!(chain.get("/environ").await?.status(), 502);
    // The socket's file is still there, and in nobody's use.
    chain.restart_gateway().await?;
    assert_eq!(chain.get("/environ").await?.status(), 200);
    Ok(())
}
