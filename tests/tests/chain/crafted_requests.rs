//! Requests made to reach what is not theirs: another hop's file, another request's place on the wire,
//! an entry of the application's environ that only a trusted hop may set.

use anyhow::Result;
use e2e::chain::Chain;
use e2e::wire::{Answer, Wire};
use serde_json::Value;

const SECRET: &str = "nobody may read this";

#[tokio::test]
async fn no_path_leaves_the_static_folder() -> Result<()> {
    let chain = Chain::of("pybo").start().await?;
    // Beside the folder that is served, as the database and the key are.
    std::fs::write(chain.recipe.data.join("secret.txt"), SECRET)?;
    for path in [
        "/static/../secret.txt",
        "/static/x/../../secret.txt",
        "/static/./../secret.txt",
        "/static//../secret.txt",
        "/static/%2e%2e/secret.txt",
        "/static/%2E%2E%2Fsecret.txt",
        "/static/..%2fsecret.txt",
        "/static%2f..%2fsecret.txt",
        "/static/%252e%252e/secret.txt",
        "/static/..%5csecret.txt",
        "/static/..\\secret.txt",
        "/static/..;/secret.txt",
        "/static/%c0%ae%c0%ae/secret.txt",
        "/static../secret.txt",
        "/static..%2fsecret.txt",
        "/static/../../../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/../pybo.sqlite3",
        "/static/../.secret",
        "/../secret.txt",
        "/static/..?secret.txt",
        "http://localhost/static/../secret.txt",
    ] {
        let answer = chain.get(path).await?;
        let text = answer.text();
        assert!(
            !text.contains(SECRET) && !text.contains("root:") && !text.contains("SQLite format"),
            "{path}"
        );
        assert!([400, 403, 404].contains(&answer.status()), "{path}: {}", answer.status());
    }
    // A zero byte would end the name for the system, after the check saw more of it.
    assert_eq!(chain.get("/static/style.css%00.png").await?.status(), 400);
    assert_eq!(chain.get("/static/style.css").await?.status(), 200);
    Ok(())
}

#[tokio::test]
async fn dots_and_slashes_are_the_applications_own_business_in_a_query() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let request = "GET /environ?a=/../b%2f..%00 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let environ = environ(&chain, request.to_owned()).await?;
    assert_eq!(environ["QUERY_STRING"], "a=/../b%2f..%00");
    // In a path, the edge takes an encoded slash for a slash: this is the file and nothing else.
    let answer = chain.get("/environ%2f..%2fstatic%2fflaskr.css").await?;
    assert_eq!(answer.body, chain.get("/static/flaskr.css").await?.body);
    Ok(())
}

async fn environ(chain: &Chain, request: String) -> Result<Value> {
    let mut wire = chain.wire().await?;
    wire.send(request).await?;
    let answer = wire.answer("GET").await?;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    Ok(serde_json::from_slice::<Value>(&answer.body)?["environ"].take())
}

#[tokio::test]
async fn no_header_becomes_what_only_a_hop_may_say() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let forged = "X_Forwarded_Proto: https\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n\
                  X_Real_IP: 6.6.6.6\r\nScript-Name: /evil\r\nScript_Name: /evil\r\nSCRIPT_NAME: /evil\r\nPath_Info: /evil\r\n\
                  Remote-User: root\r\nRemote_User: root\r\nRemote_Addr: 6.6.6.6\r\nServer_Name: evil\r\n\
                  wsgi.url_scheme: https\r\nCauseway-Server-Timing: on\r\nCauseway_Server_Timing: on\r\n";
    let environ =
        environ(&chain, format!("GET /environ HTTP/1.1\r\nHost: localhost\r\n{forged}\r\n"))
            .await?;
    assert_eq!(environ["HTTP_X_FORWARDED_PROTO"], "http");
    assert_eq!(environ["HTTP_X_REAL_IP"], "127.0.0.1");
    assert_eq!(environ["HTTP_X_FORWARDED_FOR"], "127.0.0.1");
    assert_eq!(environ["SCRIPT_NAME"], "");
    assert_eq!(environ["PATH_INFO"], "/environ");
    assert_eq!(environ["wsgi.url_scheme"], "http");
    assert_ne!(environ["SERVER_NAME"], "evil");
    assert_eq!(environ.get("REMOTE_USER"), None);
    assert_eq!(environ.get("CAUSEWAY_SERVER_TIMING"), None);
    assert_ne!(environ["REMOTE_ADDR"], "6.6.6.6");
    Ok(())
}

#[tokio::test]
async fn a_forged_forwarded_for_is_only_the_first_link() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let request = "GET /environ HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    let environ = environ(&chain, request.to_owned()).await?;
    assert_eq!(environ["HTTP_X_FORWARDED_FOR"], "6.6.6.6, 127.0.0.1");
    Ok(())
}

#[tokio::test]
async fn an_absolute_target_is_the_path_in_it() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let environ = environ(
        &chain,
        "GET http://localhost/environ?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
    )
    .await?;
    assert_eq!(environ["PATH_INFO"], "/environ");
    assert_eq!(environ["QUERY_STRING"], "a=1");
    Ok(())
}

/// All answers until the connection ends, which it must.
async fn answers_until_the_end(mut wire: Wire) -> Result<Vec<Answer>> {
    let mut answers = Vec::new();
    while let Ok(answer) = wire.answer("GET").await {
        answers.push(answer);
    }
    wire.rest().await?;
    Ok(answers)
}

#[tokio::test]
async fn a_request_whose_end_is_in_doubt_is_refused_and_nothing_after_it_is_read() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (fields, body) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
        ("Content-Length: 0\r\nContent-Length: 5\r\n", ""),
        ("Content-Length: 5\r\nContent-Length: 0\r\n", ""),
        ("Content-Length: 0, 5\r\n", ""),
        ("Content-Length: -1\r\n", ""),
        ("Content-Length: +0\r\n", ""),
        ("Content-Length: 0x0\r\n", ""),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "zz\r\n\r\n"),
        ("Host: other\r\n", ""),
    ] {
        let mut wire = chain.wire().await?;
        wire.send(format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}{hidden}"
        ))
        .await?;
        let answers = answers_until_the_end(wire).await?;
        assert_eq!(answers.len(), 1, "{fields:?}: {answers:?}");
        assert!([400, 501].contains(&answers[0].status()), "{fields:?}: {}", answers[0].status());
    }
    // What is plainly two requests is two; the log has only this one, and none of the hidden ones.
    let mut wire = chain.wire().await?;
    assert_eq!(wire.get("/environ?last").await?.status(), 200);
    chain.gateway_access_log().line_with("/environ?last").await?;
    assert_eq!(chain.gateway_access_log().lines_with("smuggled"), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_body_that_looks_like_a_request_stays_a_body() -> Result<()> {
    let chain = Chain::of("flaskr").start().await?;
    let body = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut wire = chain.wire().await?;
    let length = body.len();
    // Two requests at once, the first one's body between them; a HEAD's answer has none.
    wire.send(format!(
        "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}\
         HEAD /download?bytes=10 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /environ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ))
    .await?;
    let told: Value = serde_json::from_slice(&wire.answer("POST").await?.body)?;
    assert_eq!(told["bytes"], length);
    assert_eq!(wire.answer("HEAD").await?.status(), 200);
    assert_eq!(wire.answer("GET").await?.status(), 200);
    chain.gateway_access_log().line_with("GET /environ ").await?;
    assert_eq!(chain.gateway_access_log().lines_with("smuggled"), [""; 0]);
    Ok(())
}
