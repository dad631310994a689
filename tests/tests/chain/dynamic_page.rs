//! A page that is made from the database when it is asked for.

use anyhow::Result;
use e2e::chain::Chain;

#[tokio::test]
async fn the_question_list_comes_from_the_database() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut wire = chain.wire().await?;

    let first = wire.get("/pybo/").await?;
    assert_eq!(first.status(), 200);
    assert_eq!(first.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(first.text().contains("Question number 300"), "{}", first.text());

    // The same connection serves the next page: both hops keep theirs alive.
    let second = wire.get("/pybo/?page=30").await?;
    assert!(second.text().contains("Question number 1<"), "{}", second.text());
    assert!(!second.text().contains("Question number 300"));

    let found = wire.get("/pybo/?kw=number%20271").await?;
    assert!(found.text().contains("Question number 271"), "{}", found.text());
    assert!(!found.text().contains("Question number 272"));
    Ok(())
}

#[tokio::test]
async fn the_application_sees_the_browsers_request_and_not_the_edges() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let mut wire = chain.wire().await?;
    let fields = "X-Custom: yes\r\nCookie: a=1\r\n";
    let host = format!("Host: localhost:{}\r\n", chain.recipe.port);
    wire.send(format!("GET /environ?a=1&b=%20 HTTP/1.1\r\n{host}{fields}\r\n")).await?;
    let answer: serde_json::Value = serde_json::from_slice(&wire.answer("GET").await?.body)?;
    let environ = &answer["environ"];
    assert_eq!(environ["REQUEST_METHOD"], "GET");
    assert_eq!(environ["PATH_INFO"], "/environ");
    assert_eq!(environ["SCRIPT_NAME"], "");
    assert_eq!(environ["QUERY_STRING"], "a=1&b=%20");
    assert_eq!(environ["RAW_URI"], "/environ?a=1&b=%20");
    assert_eq!(environ["HTTP_HOST"], format!("localhost:{}", chain.recipe.port));
    assert_eq!(environ["HTTP_X_CUSTOM"], "yes");
    assert_eq!(environ["HTTP_COOKIE"], "a=1");
    assert_eq!(environ["HTTP_X_REAL_IP"], "127.0.0.1");
    assert_eq!(environ["HTTP_X_FORWARDED_FOR"], "127.0.0.1");
    assert_eq!(environ["HTTP_X_FORWARDED_PROTO"], "http");
    assert_eq!(environ["wsgi.url_scheme"], "http");
    Ok(())
}
