//! What a diff has to find: the default deployment beside itself with one thing broken in it.

use anyhow::{Context as _, Result};

use crate::command::{Desk, root};

/// What a mutation is compared by: a page, an answer with a cookie, one to a body, one that is not there.
const SUITE: &str = r"
GET {{base}}/
Accept-Language: ko
HTTP 200

GET {{base}}/environ?a=1&b=2
HTTP 200

POST {{base}}/upload
`some bytes of a body`
HTTP 200

GET {{base}}/none
HTTP 404
";

/// Of flaskr, whose body of `/environ` tells what the witness does.
const MASKS: &str = r#"
[[mask]]
body = '"HTTP_TRACEPARENT":"[^"]*"'
because = "a trace goes on under another name at each hop"

[[mask]]
body = '"(?:SERVER_SOFTWARE|SERVER_PORT)":"[^"]*"'
because = "each server names itself"
"#;

/// The findings of the comparison with a deployment whose edge has `with` in its `location /`, by request:
/// `(request, place, left, right)`.
async fn found(with: &str) -> Result<Vec<[String; 4]>> {
    found_where("location / {", &format!("location / {{ {with}")).await
}

/// With something else exchanged in its configuration.
async fn found_where(what: &str, becomes: &str) -> Result<Vec<[String; 4]>> {
    let desk = Desk::new();
    desk.write("s/a.hurl", SUITE)?;
    desk.write("s/masks.toml", MASKS)?;
    let topology = |replace: &str| {
        let root = root();
        let root = root.display();
        format!(
            "about = \"x\"\napplication = \"{root}/apps/flaskr\"\n\
             [[hop]]\nkind = \"edge\"\nconfig = \"{root}/deploy/nginx.conf\"\n{replace}\n\
             [[hop]]\nkind = \"gateway\"\nworkers = 1\n"
        )
    };
    desk.write("whole.toml", topology(""))?;
    let mutated = format!("replace = {{ '{what}' = '''{becomes}''' }}");
    desk.write("broken.toml", topology(&mutated))?;
    let diff = ["diff", "whole.toml", "broken.toml", "--suite", "s", "--json", "o.json"];
    let ended = desk.run(&diff).await?;
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    let compared = desk.json("o.json")?;
    let mut findings = Vec::new();
    for difference in compared["differences"].as_array().context("differences")? {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        // Both sides, and both hops of each.
        for side in ["left", "right"] {
            let log = difference["log"][side].to_string();
            assert!(log.contains("edge-access.log"), "{side}: {difference:#}");
        }
        assert!(
            difference["log"]["left"].to_string().contains("gateway-access.log"),
            "{difference:#}"
        );
        for finding in difference["findings"].as_array().context("findings")? {
            findings.push([
                text(&difference["request"]),
                text(&finding["place"]),
                text(&finding["left"]),
                text(&finding["right"]),
            ]);
        }
    }
    // What is in the report for machines is in the one for people.
    for [request, place, ..] in &findings {
        assert!(ended.out.contains(request) && ended.out.contains(place), "{}", ended.told());
    }
    Ok(findings)
}

fn has(findings: &[[String; 4]], request: &str, place: &str, left: &str, right: &str) -> bool {
    findings.iter().any(|[asked, found, one, other]| {
        asked == request && found == place && one.contains(left) && other.contains(right)
    })
}

#[tokio::test]
async fn a_field_of_the_answer_is_lost() -> Result<()> {
    let findings = found("proxy_hide_header Content-Type;").await?;
    assert!(has(&findings, "GET /", "header content-type", "text/html", "-"), "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn a_field_of_the_answer_is_added_twice() -> Result<()> {
    let findings = found("add_header X-Twice a; add_header X-Twice a;").await?;
    let twice =
        findings.iter().filter(|[asked, place, ..]| asked == "GET /" && place == "header x-twice");
    assert_eq!(twice.count(), 2, "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn a_field_of_the_request_does_not_arrive() -> Result<()> {
    let findings = found("proxy_set_header Accept-Language \"\";").await?;
    assert!(has(&findings, "GET /", "environ HTTP_ACCEPT_LANGUAGE", "ko", "-"), "{findings:#?}");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn the_host_is_the_one_of_a_hop_behind() -> Result<()> {
    let findings =
        found_where("include @{deploy}/proxy_params;", "proxy_set_header Host 127.0.0.1:1;")
            .await?;
    let place = "environ HTTP_HOST";
    assert!(has(&findings, "GET /", place, "{address}", "127.0.0.1:1"), "{findings:#?}");
    let lost = findings.iter().filter(|[_, place, ..]| place == "environ HTTP_X_FORWARDED_FOR");
    assert_eq!(lost.count(), 4, "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn a_query_is_lost() -> Result<()> {
    let findings = found("rewrite ^ $uri? break;").await?;
    let request = "GET /environ?a=1&b=2";
    assert!(has(&findings, request, "environ QUERY_STRING", "a=1&b=2", ""), "{findings:#?}");
    assert!(has(&findings, request, "body", "a=1", ""), "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn a_byte_of_a_body_is_another() -> Result<()> {
    let findings = found("if ($uri = /none) { return 404 \"<!doctype html>\"; }").await?;
    assert!(has(&findings, "GET /none", "body", "bytes, at ", "15 bytes, at "), "{findings:#?}");
    // And nobody asked the application.
    assert!(
        has(&findings, "GET /none", "calls of the application", "1 call", "0 calls"),
        "{findings:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_body_does_not_arrive() -> Result<()> {
    let findings =
        found("proxy_pass_request_body off; proxy_set_header Content-Length \"\";").await?;
    let place = "request body as the application read it";
    assert!(
        has(&findings, "POST /upload", place, "all, as it was sent", "nothing"),
        "{findings:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_status_is_another() -> Result<()> {
    let findings = found("if ($uri = /none) { return 410; }").await?;
    assert!(has(&findings, "GET /none", "status", "404", "410"), "{findings:#?}");
    assert!(has(&findings, "GET /none", "reason", "NOT FOUND", "Gone"), "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn connections_are_closed() -> Result<()> {
    let findings = found("keepalive_requests 1;").await?;
    assert!(
        has(&findings, "GET /", "connection", "New, Kept", "New, ClosedByServer"),
        "{findings:#?}"
    );
    assert!(has(&findings, "GET /none", "connection", "Reused, Kept", "New"), "{findings:#?}");
    Ok(())
}

#[tokio::test]
async fn no_answer_comes() -> Result<()> {
    let findings = found("if ($uri = /none) { return 444; }").await?;
    assert!(
        has(&findings, "GET /none", "answer", "404", "closed without an answer"),
        "{findings:#?}"
    );
    Ok(())
}
