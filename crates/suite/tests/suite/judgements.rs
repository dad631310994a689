//! What holds of an answer, and what does not: each check here must be able to fail.

use crate::server::{Server, answer};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nX-Count: 12\r\nX-Two: a\r\nX-Two: b\r\nDate: Mon, 23 Nov 2026 02:43:50 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n";

/// Whether one assert holds of an answer with this body.
async fn holds(body: &str, assert: &str) -> Result<bool, String> {
    let bytes = format!("{ANSWER}Content-Length: {}\r\n\r\n{body}", body.len());
    let server = Server::start(vec![vec![answer(&bytes)]]).await;
    let outcome = server.run(&format!("GET {{{{base}}}}/x\nHTTP 200\n[Asserts]\n{assert}\n")).await;
    match outcome.failures().next() {
        None => Ok(outcome.passed()),
        Some(failure) => {
            assert_eq!(failure.line, 4);
            assert_eq!(failure.assert, assert);
            assert_ne!(failure.expected, "");
            Err(failure.actual.clone())
        }
    }
}

const JSON: &str = r#"{"n": 3, "f": 2.5, "s": "é <b>", "t": true, "z": null, "l": [1, 2, 3], "e": [],
    "o": {"a b": 1}, "u": "9f1c2d3e-0000-4000-8000-0123456789ab", "d": "2026-11-23T02:43:50Z", "ip": "10.0.0.1",
    "b": "aGk=", "q": "a%20b", "url": "http://h/?x=1&y=2", "h": "&lt;b&gt;", "words": "a,b,c"}"#;

/// Each pair: one that holds, and a neighbour of it that does not.
#[tokio::test]
async fn every_assert_can_hold_and_can_fail() {
    for (right, wrong) in [
        ("status == 200", "status == 201"),
        ("version == \"1.1\"", "version == \"1.0\""),
        ("url endsWith \"/x\"", "url endsWith \"/y\""),
        ("ip == \"127.0.0.1\"", "ip == \"127.0.0.2\""),
        ("duration < 60000", "duration > 60000"),
        ("redirects isEmpty", "redirects not isEmpty"),
        ("header \"x-count\" == \"12\"", "header \"x-count\" == \"13\""),
        ("header \"X-Count\" toInt == 12", "header \"X-Count\" toInt == 13"),
        ("header \"X-Two\" count == 2", "header \"X-Two\" count == 1"),
        ("header \"X-Two\" includes \"b\"", "header \"X-Two\" includes \"c\""),
        ("header \"X-None\" not exists", "header \"X-None\" exists"),
        ("header \"X-Count\" exists", "header \"X-Count\" not exists"),
        ("header \"X-Count\" isString", "header \"X-Two\" isString"),
        ("body contains \"é\"", "body contains \"è\""),
        ("body startsWith \"{\"", "body startsWith \"[\""),
        ("bytes startsWith hex,7b22;", "bytes startsWith hex,7b23;"),
        ("bytes count > 100", "bytes count > 100000"),
        ("jsonpath \"$.n\" == 3", "jsonpath \"$.n\" == 4"),
        ("jsonpath \"$.n\" == 3.0", "jsonpath \"$.n\" == 3.5"),
        ("jsonpath \"$.n\" != 4", "jsonpath \"$.n\" != 3"),
        ("jsonpath \"$.n\" >= 3", "jsonpath \"$.n\" > 3"),
        ("jsonpath \"$.n\" <= 3", "jsonpath \"$.n\" < 3"),
        ("jsonpath \"$.n\" isInteger", "jsonpath \"$.f\" isInteger"),
        ("jsonpath \"$.f\" isFloat", "jsonpath \"$.n\" isFloat"),
        ("jsonpath \"$.f\" isNumber", "jsonpath \"$.s\" isNumber"),
        ("jsonpath \"$.s\" isString", "jsonpath \"$.n\" isString"),
        ("jsonpath \"$.t\" isBoolean", "jsonpath \"$.n\" isBoolean"),
        ("jsonpath \"$.t\" == true", "jsonpath \"$.t\" == false"),
        ("jsonpath \"$.z\" == null", "jsonpath \"$.n\" == null"),
        ("jsonpath \"$.l\" isList", "jsonpath \"$.o\" isList"),
        ("jsonpath \"$.o\" isObject", "jsonpath \"$.l\" isObject"),
        ("jsonpath \"$.l\" isCollection", "jsonpath \"$.s\" isCollection"),
        ("jsonpath \"$.e\" isEmpty", "jsonpath \"$.l\" isEmpty"),
        ("jsonpath \"$.l\" contains 2", "jsonpath \"$.l\" contains 4"),
        ("jsonpath \"$.l\" first == 1", "jsonpath \"$.l\" first == 2"),
        ("jsonpath \"$.l\" last == 3", "jsonpath \"$.l\" last == 2"),
        ("jsonpath \"$.l\" nth -1 == 3", "jsonpath \"$.l\" nth 1 == 3"),
        ("jsonpath \"$.l[?@ > 1]\" count == 2", "jsonpath \"$.l[?@ > 1]\" count == 3"),
        ("jsonpath \"$.o['a b']\" exists", "jsonpath \"$.o['a c']\" exists"),
        ("jsonpath \"$.u\" isUuid", "jsonpath \"$.d\" isUuid"),
        ("jsonpath \"$.d\" isIsoDate", "jsonpath \"$.u\" isIsoDate"),
        ("jsonpath \"$.ip\" isIpv4", "jsonpath \"$.ip\" isIpv6"),
        ("jsonpath \"$.s\" matches /^é/", "jsonpath \"$.s\" matches /^e/"),
        ("jsonpath \"$.s\" matches \"<.>$\"", "jsonpath \"$.s\" not matches \"<.>$\""),
        (
            "jsonpath \"$.s\" htmlEscape endsWith \"&lt;b&gt;\"",
            "jsonpath \"$.s\" htmlEscape endsWith \"<b>\"",
        ),
        (
            "jsonpath \"$.h\" htmlUnescape == \"<b>\"",
            "jsonpath \"$.h\" htmlUnescape == \"&lt;b&gt;\"",
        ),
        (
            "jsonpath \"$.b\" base64Decode utf8Decode == \"hi\"",
            "jsonpath \"$.b\" base64Decode utf8Decode == \"ho\"",
        ),
        ("jsonpath \"$.q\" urlDecode == \"a b\"", "jsonpath \"$.q\" urlDecode == \"a%20b\""),
        ("jsonpath \"$.q\" urlEncode == \"a%2520b\"", "jsonpath \"$.q\" urlEncode == \"a%20b\""),
        (
            "jsonpath \"$.url\" urlQueryParam \"y\" == \"2\"",
            "jsonpath \"$.url\" urlQueryParam \"y\" == \"1\"",
        ),
        (
            "jsonpath \"$.words\" split \",\" count == 3",
            "jsonpath \"$.words\" split \",\" count == 2",
        ),
        (
            "jsonpath \"$.words\" replace \",\" \";\" == \"a;b;c\"",
            "jsonpath \"$.words\" replace \",\" \";\" == \"a;b,c\"",
        ),
        (
            "jsonpath \"$.words\" replaceRegex /[a-b]/ \"x\" == \"x,x,c\"",
            "jsonpath \"$.words\" replaceRegex /[a-b]/ \"x\" == \"x,b,c\"",
        ),
        ("jsonpath \"$.n\" toString == \"3\"", "jsonpath \"$.n\" toString == \"4\""),
        ("jsonpath \"$.n\" toFloat isFloat", "jsonpath \"$.n\" toFloat isInteger"),
        ("regex \"\\\"n\\\": ([0-9])\" == \"3\"", "regex \"\\\"n\\\": ([0-9])\" == \"4\""),
        ("sha256 != hex,00;", "sha256 == hex,00;"),
        ("md5 != hex,00;", "md5 == hex,00;"),
        ("variable \"base\" startsWith \"http\"", "variable \"base\" startsWith \"ftp\""),
    ] {
        assert_eq!(holds(JSON, right).await, Ok(true), "{right}");
        assert!(holds(JSON, wrong).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn digests_are_those_of_the_body() {
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let assert = format!("sha256 == hex,{sha256};");
    assert_eq!(holds("hello", &assert).await, Ok(true));
    assert!(holds("hellp", &assert).await.is_err());
    assert_eq!(holds("hello", "md5 == hex,5d41402abc4b2a76b9719d911017c592;").await, Ok(true));
    assert_eq!(holds("hello", "sha256 toHex startsWith \"2cf2\"").await, Ok(true));
}

/// A value that a predicate can not judge fails, with `not` as without.
#[tokio::test]
async fn what_can_not_be_judged_fails_either_way() {
    for assert in [
        "jsonpath \"$.n\" contains \"3\"",
        "jsonpath \"$.n\" not contains \"3\"",
        "jsonpath \"$.s\" not isEmpty",
        "jsonpath \"$.n\" not startsWith \"x\"",
        "jsonpath \"$.n\" not matches /x/",
        "jsonpath \"$.n[\" not exists",
        "xpath \"//a\" not exists",
        "jsonpath \"$.n\" split \",\" not exists",
        "regex \"(\" not exists",
    ] {
        let result = holds(JSON, assert).await;
        // A string is judged by `isEmpty`, and is not empty.
        assert_eq!(result.is_ok(), assert.contains("isEmpty"), "{assert}: {result:?}");
    }
    assert!(holds("no json", "jsonpath \"$.n\" not exists").await.is_err());
}

#[tokio::test]
async fn the_response_part_is_checked() {
    let check = async |response: &str, expected: Option<&str>| {
        let bytes = format!("{ANSWER}Content-Length: 5\r\n\r\nhello");
        let server = Server::start(vec![vec![answer(&bytes)]]).await;
        let outcome = server.run(&format!("GET {{{{base}}}}/\n{response}\n")).await;
        let failure = outcome.failures().next().map(|failure| failure.actual.clone());
        assert_eq!(failure.as_deref(), expected, "{response}");
    };
    check("HTTP 200\nX-Count: 12\nX-Two: b", None).await;
    check("HTTP 201", Some("status 200 OK")).await;
    check("HTTP *", None).await;
    check("HTTP/1.1 200", None).await;
    check("HTTP/1.0 200", Some("HTTP/1.1")).await;
    check("HTTP 200\nX-Count: 13", Some("\"12\"")).await;
    check("HTTP 200\nX-Two: c", Some("\"a\", \"b\"")).await;
    check("HTTP 200\nX-None: c", Some("no \"X-None\"")).await;
    check("HTTP 200\n`hello`", None).await;
    check("HTTP 200\n`hellp`", Some("string <hello>")).await;
    check("HTTP 200\nhex,68656c6c6f;", None).await;
    check("HTTP 200\nhex,68656c6c70;", Some("bytes <68656c6c6f>")).await;
    check("HTTP 200\n[Captures]\na: header \"X-None\"", Some("there is nothing to capture")).await;
}
