//! A visitor logs in and posts a question, on a port that is not 80: the Origin a browser sends has
//! the port in it, and so must the Host the application is told.

use anyhow::Result;
use e2e::chain::Chain;
use e2e::visitor::Visitor;

#[tokio::test]
async fn a_visitor_logs_in_and_posts_a_question() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut visitor = Visitor::of(chain.address());

    let answer = visitor
        .fill_in("/common/login/", &[("username", "alice"), ("password", "pybo-alice-pw")])
        .await?;
    assert_eq!(answer.status(), 302, "{}", answer.text());
    assert_eq!(answer.field("location"), Some("/pybo/"));
    assert!(visitor.get("/pybo/").await?.text().contains("alice"));

    let question = [("subject", "Does the port survive?"), ("content", "물음표 & <b>more</b>")];
    let answer = visitor.fill_in("/pybo/question/create/", &question).await?;
    assert_eq!(answer.status(), 302, "{}", answer.text());

    let list = chain.get("/pybo/").await?.text();
    assert!(list.contains("Does the port survive?"), "{list}");
    let found = chain.get("/pybo/?kw=%EB%AC%BC%EC%9D%8C%ED%91%9C").await?.text();
    assert!(found.contains("Does the port survive?"), "{found}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_is_told_and_logs_nobody_in() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut visitor = Visitor::of(chain.address());
    let answer =
        visitor.fill_in("/common/login/", &[("username", "alice"), ("password", "nope")]).await?;
    assert_eq!(answer.status(), 200);
    assert_eq!(visitor.get("/pybo/question/create/").await?.status(), 302);
    Ok(())
}

#[tokio::test]
async fn a_post_from_another_origin_is_refused() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    let mut visitor = Visitor::of(chain.address());
    let page = visitor.get("/common/login/").await?.text();
    let (_, token) = page.split_once("name=\"csrfmiddlewaretoken\" value=\"").expect("a form");
    let form =
        format!("csrfmiddlewaretoken={}&username=alice&password=pybo-alice-pw", &token[..64]);
    for origin in ["http://evil.example", "http://127.0.0.1", "http://127.0.0.1:1"] {
        assert_eq!(visitor.post("/common/login/", &form, origin).await?.status(), 403, "{origin}");
    }
    Ok(())
}
