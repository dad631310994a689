//! What goes wrong, in one sentence each, and the exit code that says it.

use std::net::TcpListener;

use crate::site::{FILE, PAGE, Reply, Site, requests, run, run_json};

/// The page fails: exit code 2, and one sentence on standard error.
async fn check(arguments: &[&str], sentence: &str) {
    let run = run(arguments).await;
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert_eq!(run.stderr, format!("causeway-client: {sentence}\n"));
}

#[tokio::test]
async fn nobody_listens() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let address = format!("127.0.0.1:{port}");
    let sentence = format!(
        "could not fetch \"http://{address}/\": nothing listens at 127.0.0.1 port {port} (connection refused)"
    );
    check(&[&address], &sentence).await;
}

#[tokio::test]
async fn a_name_is_not_known() {
    // Longer than a label may be, so that the resolver need not ask anybody.
    let name = "a".repeat(64);
    let sentence = format!("could not fetch \"http://{name}/\": the name \"{name}\" is not known");
    check(&[&name], &sentence).await;
}

#[tokio::test]
async fn no_answer_comes() {
    let site = Site::start(|_| Reply::silence()).await;
    let url = site.url("/");
    let sentence = format!("could not fetch \"{url}\": no whole answer within 0.2 s");
    check(&["--timeout", "0.2", &url], &sentence).await;
}

#[tokio::test]
async fn the_connection_ends_before_the_answer() {
    let site = Site::start(|_| Reply::broken("")).await;
    let url = site.url("/");
    let sentence = format!(
        "could not fetch \"{url}\": the server closed the connection before the answer was complete"
    );
    check(&[&url], &sentence).await;
}

#[tokio::test]
async fn the_body_breaks_off() {
    let half = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 10\r\n\r\nhalf!";
    let site = Site::start(move |_| Reply::broken(half)).await;
    let url = site.url("/");
    let sentence = format!(
        "could not fetch \"{url}\": broke off after 5 bytes: the server closed the connection before the answer was complete"
    );
    check(&[&url], &sentence).await;
}

#[tokio::test]
async fn what_answers_is_not_http() {
    let site = Site::start(|_| Reply::broken("220 mail.example ESMTP\r\n")).await;
    let run = run(&[&site.url("/")]).await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("does not speak HTTP"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
}

#[tokio::test]
async fn redirects_have_an_end() {
    let site = Site::start(|_| Reply::new(301, "Location: /again\r\n", "")).await;
    let (url, again) = (site.url("/"), site.url("/again"));
    let sentence = format!("could not fetch \"{again}\": it is redirected more than 3 times");
    check(&["--max-redirects", "3", &url], &sentence).await;
    assert_eq!(site.seen().len(), 4);
}

#[tokio::test]
async fn a_redirect_leads_out_of_the_web() {
    let site = Site::start(|_| Reply::new(302, "Location: ftp://h/\r\n", "")).await;
    let url = site.url("/");
    let sentence = format!(
        "could not fetch \"{url}\": it is redirected to \"ftp://h/\", and only http and https are spoken here"
    );
    check(&[&url], &sentence).await;
}

#[tokio::test]
async fn one_part_refused_is_exit_code_one() {
    let site = Site::start(|seen| match seen.path.as_str() {
        "/" => Reply::new(200, PAGE, "<link rel=icon href=data:,><img src=/a.png><img src=/b.png>"),
        "/a.png" => Reply::new(403, "Server-Timing: edge;dur=0.1\r\n", ""),
        _ => Reply::new(200, FILE, "bytes"),
    })
    .await;
    let (code, json) = run_json(&[&site.url("/")]).await;
    assert_eq!(code, 1);
    assert_eq!(json["exit_code"], 1);
    assert_eq!(json["visits"][0]["totals"]["failed"], 1);
    assert_eq!(requests(&json, 0)[2]["status"], 200, "the others were fetched all the same");
}

#[tokio::test]
async fn one_part_broken_is_exit_code_one_and_said() {
    let site = Site::start(|seen| match seen.path.as_str() {
        "/" => Reply::new(200, PAGE, "<link rel=icon href=data:,><img src=/a.png>"),
        _ => Reply::broken("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx"),
    })
    .await;
    let run = run(&[&site.url("/")]).await;
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    let remark = format!("could not fetch \"{}\": broke off after 2 bytes: ", site.url("/a.png"));
    assert!(run.stdout.contains(&remark), "{}", run.stdout);
    assert!(run.stdout.contains("200, failed"), "{}", run.stdout);
}

#[tokio::test]
async fn a_page_that_is_an_error_is_shown_with_its_parts() {
    let site = Site::start(|seen| match seen.path.as_str() {
        "/" => Reply::new(500, PAGE, "<link rel=icon href=data:,><link rel=stylesheet href=a.css>"),
        _ => Reply::new(200, FILE, ""),
    })
    .await;
    let run = run(&[&site.url("/")]).await;
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert_eq!(site.seen_at("/a.css").len(), 1);
}

#[tokio::test]
async fn the_command_line_is_refused_by_name() {
    for (arguments, part) in [
        (&["ftp://h/"][..], "\"ftp\" is not spoken here"),
        (&["-H", "nonsense", "h"], "\"NAME: VALUE\" is needed"),
        (&["--timeout", "0", "h"], "\"0\" is no time that can be waited"),
        (&["--repeat", "0", "h"], "0 is not in 1..=1000"),
        (&["--cookie-jar", "f", "h"], "--cookie-jar"),
    ] {
        let run = run(arguments).await;
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}
