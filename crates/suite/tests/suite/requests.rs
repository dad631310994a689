//! What a file's sections become on the wire, to the byte.

use suite::{Suite, Target};

use crate::server::{Server, Step, assert_passed, folder, ok};

/// The request that `text` is sent as, `HOST` standing for where.
async fn check(text: &str, expected: &str) {
    let server = Server::start(vec![vec![ok("", ""), Step::Close]]).await;
    let folder =
        folder(&[("a.hurl", text.as_bytes()), ("file.txt", b"of a file"), ("x.bin", b"\0")]);
    let suite = Suite::load(&[folder.path().join("a.hurl")]).unwrap();
    let mut target = Target::new(server.base.parse().unwrap());
    target.variables.insert("word".to_owned(), "é \"q\"".to_owned());
    let outcome = suite.run(&target).await.unwrap();
    assert_passed(&outcome);
    let host = server.base.strip_prefix("http://").unwrap();
    assert_eq!(server.seen()[0].replace(host, "HOST"), expected.replace('\n', "\r\n"));
}

const USUAL: &str = concat!(
    "Host: HOST\nUser-Agent: causeway-suite/",
    env!("CARGO_PKG_VERSION"),
    "\nAccept: */*\n"
);

#[tokio::test]
async fn lines_and_fields() {
    check("GET {{base}}\n", &format!("GET / HTTP/1.1\n{USUAL}\n")).await;
    check(
        "GET {{base}}/a?b=c#d\nX-A: {{word}}\nx-a: 2\n",
        &format!("GET /a?b=c HTTP/1.1\n{USUAL}X-A: é \"q\"\nx-a: 2\n\n"),
    )
    .await;
    check(
        "GET {{base}}/\nHost: other\nUser-Agent: me\naccept: text/html\n",
        "GET / HTTP/1.1\nHost: other\nUser-Agent: me\naccept: text/html\n\n",
    )
    .await;
    check(
        "GET {{base}}/\n[Options]\nhttp1.0: true\nheader: X-More: yes\n",
        &format!("GET / HTTP/1.0\n{USUAL}X-More: yes\n\n"),
    )
    .await;
    check("GET {{base}}/a/../b/%2e%2e/ü\n", &format!("GET /%C3%BC HTTP/1.1\n{USUAL}\n")).await;
    check(
        "GET {{base}}/a/../b/%2e%2e/ü\n[Options]\npath-as-is: true\n",
        &format!("GET /a/../b/%2e%2e/%C3%BC HTTP/1.1\n{USUAL}\n"),
    )
    .await;
    check("POST {{base}}/\n", &format!("POST / HTTP/1.1\n{USUAL}Content-Length: 0\n\n")).await;
}

#[tokio::test]
async fn sections() {
    check(
        "GET {{base}}/?a=1\n[Query]\n{{word}}: {{word}}&=+\n",
        &format!("GET /?a=1&%C3%A9%20%22q%22=%C3%A9%20%22q%22%26%3D%2B HTTP/1.1\n{USUAL}\n"),
    )
    .await;
    check(
        "POST {{base}}/\n[Form]\na: {{word}}\nb:\n",
        &format!(
            "POST / HTTP/1.1\n{USUAL}Content-Type: application/x-www-form-urlencoded\n\
             Content-Length: 21\n\na=%C3%A9%20%22q%22&b="
        ),
    )
    .await;
    check(
        "GET {{base}}/\n[BasicAuth]\nalice: secret\n[Cookies]\na: 1\nb: 2\n",
        &format!(
            "GET / HTTP/1.1\n{USUAL}Authorization: Basic YWxpY2U6c2VjcmV0\nCookie: a=1; b=2\n\n"
        ),
    )
    .await;
    let parts = "------causeway-suite\nContent-Disposition: form-data; name=\"a\"\n\n1\n\
         ------causeway-suite\nContent-Disposition: form-data; name=\"f\"; filename=\"file.txt\"\n\
         Content-Type: text/plain\n\nof a file\n\
         ------causeway-suite\nContent-Disposition: form-data; name=\"g\"; filename=\"x.bin\"\n\
         Content-Type: image/x\n\n\0\n------causeway-suite--\n";
    let length = parts.replace('\n', "\r\n").len();
    check(
        "POST {{base}}/\n[Multipart]\na: 1\nf: file,file.txt;\ng: file,x.bin; image/x\n",
        &format!(
            "POST / HTTP/1.1\n{USUAL}Content-Type: multipart/form-data; \
             boundary=----causeway-suite\nContent-Length: {length}\n\n{parts}"
        ),
    )
    .await;
}

#[tokio::test]
async fn bodies() {
    let sent = |kind: &str, body: &str| {
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\n") };
        format!("PUT / HTTP/1.1\n{USUAL}{kind}Content-Length: {}\n\n{body}", body.len())
    };
    check("PUT {{base}}/\n`a {{word}}`\n", &sent("", "a é \"q\"")).await;
    check(
        "PUT {{base}}/\n{ \"a\": \"{{word}}\", \"b\": [1, null] }\n",
        &sent("application/json", "{ \"a\": \"é \\\"q\\\"\", \"b\": [1, null] }"),
    )
    .await;
    check("PUT {{base}}/\n```xml\n<a/>```\n", &sent("application/xml", "<a/>")).await;
    check("PUT {{base}}/\nContent-Type: text/x\n```json\n{}```\n", &sent("text/x", "{}")).await;
    check("PUT {{base}}/\nbase64,aGk=;\n", &sent("", "hi")).await;
    check("PUT {{base}}/\nhex,6869;\n", &sent("", "hi")).await;
    check("PUT {{base}}/\nfile,file.txt;\n", &sent("", "of a file")).await;
    check(
        "PUT {{base}}/\nTransfer-Encoding: chunked\n`hi`\n",
        &format!("PUT / HTTP/1.1\n{USUAL}Transfer-Encoding: chunked\n\n2\nhi\n0\n\n"),
    )
    .await;
}

/// What can not be sent is not sent, and the line is named.
#[tokio::test]
async fn requests_that_can_not_be_made() {
    let check = async |text: &str, line: usize, expected: &str| {
        let server = Server::start(Vec::new()).await;
        let outcome = server
            .run_with(text, |target| {
                target.variables.insert("broken".to_owned(), "a\r\nX-Evil: 1".to_owned());
            })
            .await;
        let failure = outcome.failures().next().unwrap();
        assert_eq!((failure.line, failure.actual.as_str()), (line, expected));
        assert!(server.seen().is_empty());
    };
    check("GET {{base}}/{{nowhere}}\n", 1, "there is no variable \"nowhere\"").await;
    check(
        "GET {{base}}/\nX-A: 1\nX-B: {{broken}}\n",
        3,
        "the value of \"X-B\" has a line break or a control character",
    )
    .await;
    check(
        "PUT {{base}}/\nfile,../secret;\n",
        2,
        "the file \"../secret\" is not below the suite's own folder",
    )
    .await;
    check("GET ftp://127.0.0.1/\n", 1, "\"ftp://127.0.0.1/\" is neither http nor https").await;
}
