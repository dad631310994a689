//! Each hop of ours beside the real one: taken out, or put in, nobody notices.

use anyhow::Result;
use e2e::chain::{Chain, Edge, Gateway};
use e2e::visitor::Visitor;

/// A page, a file, a login, a question.
async fn works(edge: Edge, gateway: Gateway) -> Result<()> {
    let chain = Chain::of("pybo").edge(edge).gateway(gateway).start().await?;
    let mut visitor = Visitor::of(chain.address());
    assert!(visitor.get("/pybo/").await?.text().contains("Question number 300"));
    assert_eq!(visitor.get("/static/style.css").await?.status(), 200);
    let login = [("username", "alice"), ("password", "pybo-alice-pw")];
    assert_eq!(visitor.fill_in("/common/login/", &login).await?.status(), 302);
    let question =
        [("subject", "Who serves this?"), ("content", "edge or nginx, gateway or gunicorn")];
    assert_eq!(visitor.fill_in("/pybo/question/create/", &question).await?.status(), 302);
    assert!(visitor.get("/pybo/").await?.text().contains("Who serves this?"));
    Ok(())
}

#[tokio::test]
async fn the_real_nginx_before_our_gateway() -> Result<()> {
    works(Edge::Nginx, Gateway::Causeway).await
}

#[tokio::test]
async fn our_edge_before_the_real_gunicorn() -> Result<()> {
    works(Edge::Causeway, Gateway::Gunicorn).await
}

#[tokio::test]
async fn the_real_pair() -> Result<()> {
    works(Edge::Nginx, Gateway::Gunicorn).await
}
