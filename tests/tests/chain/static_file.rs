//! A file under /static/ is answered by the edge, and the gateway never hears of it.

use anyhow::Result;
use e2e::chain::Chain;

#[tokio::test]
async fn a_static_file_stops_at_the_edge() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let file = std::fs::read(
        chain.recipe.application.static_folder(&chain.recipe.data).join("style.css"),
    )?;

    let answer = chain.get("/static/style.css").await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.field("content-type"), Some("text/css"));
    assert_eq!(answer.body, file);

    // A later request to the application is the proof that the gateway's log is written up to here.
    assert_eq!(chain.get("/pybo/?page=2").await?.status(), 200);
    chain.gateway_access_log().line_with("\"GET /pybo/?page=2 ").await?;
    assert_eq!(chain.gateway_access_log().lines_with("/static"), [""; 0]);
    assert_eq!(chain.gateway_log().lines_with("/static"), [""; 0]);
    chain.edge_access_log().line_with("\"GET /static/style.css HTTP/1.1\" 200 ").await?;
    Ok(())
}

#[tokio::test]
async fn a_static_file_is_answered_while_the_gateway_is_gone() -> Result<()> {
    let mut chain = Chain::of("pybo").start().await?;
    chain.gateway.stop(nix::sys::signal::Signal::SIGTERM).await?;
    assert_eq!(chain.get("/static/style.css").await?.status(), 200);
    assert_eq!(chain.get("/pybo/").await?.status(), 502);
    Ok(())
}

#[tokio::test]
async fn a_missing_static_file_is_the_edges_404() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let answer = chain.get("/static/no-such-file.css").await?;
    assert_eq!(answer.status(), 404);
    chain.edge_log().line_with("no-such-file.css").await?;
    assert_eq!(chain.gateway_access_log().lines_with("no-such-file"), [""; 0]);
    Ok(())
}
