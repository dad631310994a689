//! What entries of a file share, and what their options do.

use suite::Verdict;
use suite::wire::Connected;

use crate::server::{Server, Step, answer, assert_passed, ok, reasons};

#[tokio::test]
async fn cookies_and_captures_go_from_entry_to_entry() {
    let server = Server::start(vec![vec![
        ok(
            "Set-Cookie: id=7; Path=/; HttpOnly; Max-Age=60\r\nSet-Cookie: x=1; Path=/other\r\n",
            "<p>token-12</p>",
        ),
        ok("", ""),
        ok("Set-Cookie: id=; Path=/; Max-Age=0\r\n", ""),
        ok("", ""),
    ]])
    .await;
    let outcome = server
        .run(
            "GET {{base}}/\nHTTP 200\n[Captures]\ntoken: regex \"token-([0-9]+)\"\n[Asserts]\n\
             cookie \"id\" == \"7\"\ncookie \"id[HttpOnly]\" exists\ncookie \"id[Secure]\" not exists\n\
             cookie \"id[Max-Age]\" == 60\ncookie \"x[Path]\" == \"/other\"\n\n\
             GET {{base}}/{{token}}\n[Cookies]\nmine: 1\nHTTP 200\n[Asserts]\nvariable \"token\" == \"12\"\n\n\
             GET {{base}}/other\nHTTP 200\n\nGET {{base}}/\nHTTP 200\n",
        )
        .await;
    assert_passed(&outcome);
    let seen = server.seen();
    assert!(!seen[0].contains("Cookie"));
    assert!(seen[1].starts_with("GET /12 "));
    assert!(seen[1].contains("\r\nCookie: id=7; mine=1\r\n"));
    let cookie = seen[2].lines().find(|line| line.starts_with("Cookie: ")).unwrap();
    let mut cookies: Vec<_> = cookie["Cookie: ".len()..].split("; ").collect();
    cookies.sort_unstable();
    assert_eq!(cookies, ["id=7", "x=1"]);
    assert!(!seen[3].contains("Cookie"));
}

#[tokio::test]
async fn redirects_are_followed_as_a_browser_does() {
    let to = |status: &str, place: &str| {
        answer(&format!("HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n"))
    };
    let server =
        Server::start(vec![vec![to("307 x", "/b"), to("302 x", "c?d=e"), ok("", "end")]]).await;
    let outcome = server
        .run(
            "POST {{base}}/a\n[Options]\nlocation: true\n[Form]\nx: 1\nHTTP 200\n[Asserts]\n\
             url == \"{{base}}/c?d=e\"\nredirects count == 2\nredirects nth 0 location == \"{{base}}/b\"\nbody == \"end\"\n",
        )
        .await;
    assert_passed(&outcome);
    let seen = server.seen();
    assert!(seen[1].starts_with("POST /b ") && seen[1].ends_with("x=1"));
    assert!(seen[2].starts_with("GET /c?d=e ") && !seen[2].contains("Content-"));

    let server =
        Server::start(vec![vec![to("302 x", "/"), to("302 x", "/"), to("302 x", "/")]]).await;
    let outcome =
        server.run("GET {{base}}/\n[Options]\nlocation: true\nmax-redirs: 2\nHTTP 200\n").await;
    assert_eq!(reasons(&outcome), ["more than 2 redirects"]);
    assert_eq!(server.seen().len(), 3);

    // Where it leads is nobody's secret, but not followed without being asked for.
    let server = Server::start(vec![vec![to("302 x", "/b")]]).await;
    assert_passed(&server.run("GET {{base}}/\nHTTP 302\n").await);
    // Nor to where nothing can be sent.
    let server = Server::start(vec![vec![to("302 x", "https://127.0.0.1:1/")]]).await;
    let outcome = server.run("GET {{base}}/\n[Options]\nlocation: true\nHTTP 200\n").await;
    assert_eq!(reasons(&outcome), ["there is no CA file to trust https://127.0.0.1:1/ by"]);
}

#[tokio::test]
async fn an_entry_is_tried_again_and_repeated() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
    let retried = "GET {{base}}/\n[Options]\nretry: 2\nretry-interval: 1ms\nHTTP 200\n";
    let server = Server::start(vec![vec![answer(busy), answer(busy), ok("", "")]]).await;
    let outcome = server.run(retried).await;
    assert_passed(&outcome);
    assert_eq!(outcome.files[0].entries[0].attempts, 3);
    let server = Server::start(vec![vec![answer(busy); 3]]).await;
    let outcome = server.run(retried).await;
    assert_eq!(reasons(&outcome), ["status 503 Busy"]);
    assert_eq!(server.seen().len(), 3);
    let server = Server::start(vec![vec![ok("", "1"), ok("", "1"), ok("", "2")]]).await;
    let outcome = server
        .run("GET {{base}}/\n[Options]\nrepeat: 3\nHTTP 200\n[Asserts]\nbody == \"1\"\n")
        .await;
    assert_eq!(outcome.count(Verdict::Passed), 2);
    assert_eq!(outcome.count(Verdict::Failed), 1);
}

#[tokio::test]
async fn a_failure_ends_its_file_unless_told_otherwise() {
    let text = "GET {{base}}/\nHTTP 404\n\nGET {{base}}/\n[Options]\nskip: true\nHTTP 200\n\n\
        GET {{base}}/\nHTTP 200\n";
    let server = Server::start(vec![vec![ok("", "")]]).await;
    let outcome = server.run(text).await;
    let verdicts: Vec<_> = outcome.entries().map(|entry| entry.verdict).collect();
    assert_eq!(verdicts, [Verdict::Failed, Verdict::NotReached, Verdict::NotReached]);
    assert!(!outcome.passed());
    let server = Server::start(vec![vec![ok("", ""), ok("", "")]]).await;
    let outcome = server.run_with(text, |target| target.continue_on_error = true).await;
    let verdicts: Vec<_> = outcome.entries().map(|entry| entry.verdict).collect();
    assert_eq!(verdicts, [Verdict::Failed, Verdict::Skipped, Verdict::Passed]);
    assert!(!outcome.passed());
}

/// A suite of which nothing was run proves nothing.
#[tokio::test]
async fn nothing_run_is_not_passed() {
    let server = Server::start(Vec::new()).await;
    let outcome = server.run("GET {{base}}/\n[Options]\nskip: true\nHTTP 200\n").await;
    assert!(!outcome.passed());
}

#[tokio::test]
async fn variables_are_set_by_options_and_stay() {
    let server = Server::start(vec![vec![ok("", ""), ok("", "")]]).await;
    let outcome = server
        .run(
            "GET {{base}}/{{n}}\n[Options]\nvariable: n=3\nvariable: skipped=true\nHTTP 200\n\n\
             GET {{base}}/{{n}}\n[Options]\nretry: {{n}}\nHTTP 200\n[Asserts]\nvariable \"n\" == 3\n\n\
             GET {{base}}/never\n[Options]\nskip: {{skipped}}\nHTTP 200\n",
        )
        .await;
    assert_passed(&outcome);
    assert_eq!(outcome.count(Verdict::Skipped), 1);
    assert!(server.seen()[1].starts_with("GET /3 "));
}

/// Bytes that nobody asked for are not taken for the answer to the next request.
#[tokio::test]
async fn bytes_nobody_asked_for_are_found() {
    let server = Server::start(vec![vec![
        answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        Step::Close,
    ]])
    .await;
    let outcome = server.run("GET {{base}}/\nHTTP 200\n\nGET {{base}}/\nHTTP 200\n").await;
    assert_eq!(reasons(&outcome), ["19 bytes came after the end of the answer"]);
}

/// A connection that ends under a request: what was never read is sent again, and what can be
/// repeated; a post that may have been acted on is lost, and that is a failure.
#[tokio::test]
async fn what_may_have_been_acted_on_is_not_sent_again() {
    let first = || ok("", "");
    let run = async |method: &str, last: Step| {
        let server = Server::start(vec![vec![first(), last], vec![first()]]).await;
        let text = format!("GET {{{{base}}}}/\nHTTP 200\n\n{method} {{{{base}}}}/\nHTTP 200\n");
        let outcome = server.run(&text).await;
        let again = outcome.files[0].entries[1].exchanges.first();
        again.map(|exchange| exchange.connected).ok_or_else(|| reasons(&outcome))
    };
    let lost = || Err(vec!["the connection was closed without an answer".to_owned()]);
    assert_eq!(run("GET", Step::TakeAndClose).await, Ok(Connected::Again));
    assert_eq!(run("POST", Step::TakeAndClose).await, lost());
    assert_eq!(run("GET", Step::CloseUnread).await, Ok(Connected::Again));
    assert_eq!(run("POST", Step::CloseUnread).await, Ok(Connected::Again));
}
