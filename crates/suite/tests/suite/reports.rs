//! One outcome in each of its forms.

use suite::report;

use crate::server::{Server, ok};

const SUITE: &str = "# The first & <best>.\nGET {{base}}/a\nHTTP 200\n\n# Wrong #1.\nGET {{base}}/b\nHTTP 404\n\n\
    GET {{base}}/never\nHTTP 200\n";

#[tokio::test]
async fn each_says_what_failed_and_where() {
    let server = Server::start(vec![vec![ok("", ""), ok("", "")]]).await;
    let outcome = server.run(SUITE).await;
    let file = outcome.files[0].path.display().to_string();

    let human = report::human(&outcome);
    assert!(human.contains(&format!("FAILED  {file} (2 requests")), "{human}");
    assert!(
        human.contains(&format!(
            "{file}:7: HTTP 404\n      expected: status 404\n      actual:   status 200 OK\n"
        )),
        "{human}"
    );
    assert!(
        human.contains("1 passed, 1 failed, 0 explained, 0 skipped, 1 not reached in 1 files"),
        "{human}"
    );

    let junit = report::junit(&outcome);
    assert!(junit.contains("tests=\"3\" skipped=\"1\" failures=\"1\" errors=\"0\""), "{junit}");
    assert!(junit.contains("The first &amp; &lt;best&gt;."), "{junit}");
    assert!(junit.contains(":7: HTTP 404\""), "{junit}");
    assert!(junit.contains("<skipped message=\"an entry before it failed\"/>"), "{junit}");

    let tap = report::tap(&outcome);
    let lines: Vec<_> = tap.lines().collect();
    assert_eq!(lines[..2], ["TAP version 14", "1..3"]);
    assert!(
        lines[2].starts_with("ok 1 - ")
            && lines[2].ends_with("GET {{base}}/a: The first & <best>."),
        "{tap}"
    );
    assert!(lines[3].starts_with("not ok 2 - ") && lines[3].contains("Wrong \\#1."), "{tap}");
    assert!(tap.contains("      actual: \"status 200 OK\"\n"), "{tap}");
    assert!(lines.last().unwrap().ends_with(" # SKIP an entry before it failed"), "{tap}");

    let json = report::json(&outcome);
    assert_eq!(json["passed"], false);
    assert_eq!(json["counts"]["not_reached"], 1);
    let entry = &json["files"][0]["entries"][1];
    assert_eq!(entry["verdict"], "failed");
    assert_eq!(entry["failures"][0]["line"], 7);
    assert_eq!(
        entry["exchanges"][0]["head"]["fields"][0],
        serde_json::json!(["Content-Length", "0"])
    );
    assert_eq!(entry["exchanges"][0]["connected"], "reused");
}

/// A file that is expected to fail, and does; and one that no longer does.
#[tokio::test]
async fn an_explanation_has_to_explain_something() {
    let server = Server::start(vec![vec![ok("", ""), ok("", "")]]).await;
    let mut outcome = server.run(SUITE).await;
    outcome.files[0].explain("of the weather");
    assert!(outcome.passed());
    assert!(report::human(&outcome).contains("because of the weather"));
    let server = Server::start(vec![vec![ok("", "")]]).await;
    let mut outcome = server.run("GET {{base}}/\nHTTP 200\n").await;
    outcome.files[0].explain("of the weather");
    assert!(!outcome.passed());
}
