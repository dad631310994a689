//! An answer that is made piece by piece arrives piece by piece.

use anyhow::Result;
use e2e::chain::Chain;

#[tokio::test]
async fn the_first_line_arrives_before_the_last_is_made() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let mut wire = chain.wire().await?;
    wire.send("GET /stream?n=3&delay=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    assert_eq!(wire.head().await?.status, 200);
    assert_eq!(wire.chunk().await?.as_deref(), Some(&b"line 1 of 3\n"[..]));
    // The gateway writes its line when the application is done: it is not.
    assert_eq!(chain.gateway_access_log().lines_with("/stream"), [""; 0]);
    let mut rest = Vec::new();
    while let Some(chunk) = wire.chunk().await? {
        rest.extend_from_slice(&chunk);
    }
    assert_eq!(String::from_utf8(rest)?, "line 2 of 3\nline 3 of 3\n");
    chain.gateway_access_log().line_with("/stream").await?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_fails_half_way_does_not_look_complete() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    for delay in ["0", "1"] {
        let mut wire = chain.wire().await?;
        match wire.get(&format!("/stream?n=3&delay={delay}&fail=2")).await {
            Err(error) => assert!(error.to_string().contains("ended too early"), "{error}"),
            // The gateway may hear of the failure before it has passed anything on.
            Ok(answer) => assert_eq!(answer.status(), 502, "{}", answer.text()),
        }
    }
    chain.application_log().line_with("asked to fail at line 2").await?;
    Ok(())
}
