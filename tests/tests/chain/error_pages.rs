//! The application's own errors reach the visitor as they are; their reasons reach the logs.

use anyhow::Result;
use e2e::chain::Chain;

#[tokio::test]
async fn a_missing_page_is_djangos_404() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut wire = chain.wire().await?;
    for path in ["/pybo/99999999/", "/no/such/page/"] {
        let answer = wire.get(path).await?;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.field("x-frame-options"), Some("DENY"), "the page is Django's");
        chain.gateway_access_log().line_with(&format!("\"GET {path} HTTP/1.1\" 404 ")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_view_that_raises_is_djangos_500_with_its_traceback_in_the_log() -> Result<()> {
    let chain = Chain::of("pybo").variable("PYBO_CRASH", "1").start().await?;
    let mut wire = chain.wire().await?;
    let answer = wire.get("/pybo/crash/").await?;
    assert_eq!(answer.status(), 500);
    assert!(!answer.text().contains("Traceback"), "{}", answer.text());
    chain.application_log().line_with("Traceback (most recent call last):").await?;
    chain.application_log().line_with("/pybo/crash/").await?;
    // One page that fails is one page: the worker goes on.
    assert_eq!(wire.get("/pybo/").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn a_host_nobody_allowed_is_djangos_400() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut wire = chain.wire().await?;
    wire.send("GET /pybo/ HTTP/1.1\r\nHost: evil.example\r\n\r\n").await?;
    assert_eq!(wire.answer("GET").await?.status(), 400);
    chain.application_log().line_with("Invalid HTTP_HOST header: 'evil.example'").await?;
    Ok(())
}
