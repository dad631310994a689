//! What the application finds in environ, beside what it finds on gunicorn for the same bytes.

use std::{collections::BTreeMap, io::Write};

use serde_json::Value;

use crate::{
    real_gunicorn::both,
    stack::{Gateway, Listens, Place, Response, Stream},
};

pub(crate) type Facts = BTreeMap<String, Value>;

/// Keys that differ, each with the reason.
const DIFFERENT: &[&str] = &[
    // Each says its own name.
    "SERVER_SOFTWARE",
];

/// Keys that only gunicorn has.
const NOT_HERE: &[&str] = &[
    // The client's socket. It is not the worker's to read or write here: the gateway holds it.
    "gunicorn.socket",
];

/// What `/` answers to these bytes. Ports are chosen by the system: they are checked, and named alike.
pub(crate) fn facts(server: &Gateway, request: &[u8]) -> Facts {
    let mut stream = server.connect();
    let own_port = match &stream {
        Stream::Tcp(stream) => stream.local_addr().unwrap().port().to_string(),
        Stream::Unix(_) => String::new(),
    };
    stream.write_all(request).unwrap();
    let mut answer = Response::read(&mut stream).expect("an answer");
    if answer.status == 100 {
        answer = Response::read(&mut stream).expect("an answer");
    }
    assert_eq!(answer.status, 200, "{}: {answer:?}", request.escape_ascii());
    let mut facts: Facts = serde_json::from_slice(&answer.body).unwrap();
    let mut name = |key: &str, known: &str, called: &str| {
        if let Some(value) = facts.get_mut(key)
            && value == known
        {
            *value = called.into();
        }
    };
    name("REMOTE_PORT", &own_port, "the client's port");
    if let Place::Tcp(address) = server.place() {
        name("SERVER_PORT", address.rsplit(':').next().unwrap(), "the server's port");
    }
    facts
}

/// What differs and should not, one line each.
fn differences([ours, theirs]: &[Gateway; 2], request: &[u8]) -> Vec<String> {
    let (ours, theirs) = (facts(ours, request), facts(theirs, request));
    let mut lines = Vec::new();
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let (our, their) = (ours.get(key), theirs.get(key));
        let known = if our.is_none() { NOT_HERE } else { DIFFERENT };
        if our != their && !known.contains(&key.as_str()) {
            let request = request.escape_ascii();
            lines.push(format!("{key}: ours {our:?}, gunicorn's {their:?} for {request}"));
        }
    }
    lines
}

#[track_caller]
pub(crate) fn assert_same(servers: &[Gateway; 2], request: &[u8]) {
    let lines = differences(servers, request);
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// Asserts that each of these requests is the same environ on both.
#[track_caller]
fn check(listens: Listens, flags: &[&str], conf: &str, requests: &[String]) {
    let servers = both(listens, flags, conf);
    let lines = requests.iter().flat_map(|request| differences(&servers, request.as_bytes()));
    let lines: Vec<String> = lines.collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: example:81\r\nConnection: close\r\n\r\n")
}

fn with(fields: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: example\r\n{fields}\r\n")
}

/// Everything that is the same however it is asked.
fn corpus() -> Vec<String> {
    let mut requests: Vec<String> = [
        "/",
        "/plain/path",
        "/a%20b/%2F/%25/%zz/%4",
        "/%ED%8C%8C%EC%9D%B4/%e9",
        "/%C3%A9?q=%C3%A9",
        "/UPPER/Case",
        "//double//slash///",
        "///",
        "/a;b=c/d;e",
        "/a?b?c=d&e",
        "/?",
        "/a?",
        "/a?#",
        "/a#fragment?no=query",
        "/a?b#c#d",
        "/a/../b/./c",
        "/a+b!$&'()*,=:@[]^`{|}~\"<>\\",
        "/%00%0A%0d",
        "/a:b//c",
        "http://example:81/path?query#fragment",
        "HTTP://example:81",
        "http://example:81?query",
        "https://example:81//x",
    ]
    .map(get)
    .into();
    requests.extend(
        [
            "",
            "X-One: 1\r\nx-two: 2\r\nX-ONE: 3\r\nX-Two:4\r\nX-One:\r\n",
            "Cookie: a=1; b=2\r\nCookie: c=3\r\n",
            "X-Empty:\r\nX-Blanks:  \t \r\nX-Inside: a  b\tc \r\n",
            "X-Latin: caf\u{e9} \u{1f600}\r\n",
            "X!#$%&'*+.^`|~1: odd\r\n",
            "Content-Type: text/html; charset=\"UTF-8\"\r\n",
            "Content-Type:\r\nContent-Length: 0\r\n",
            "Content-Length: 000\r\n",
            "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n",
            "Authorization: Basic YTpi\r\nReferer: http://a/\r\nUser-Agent: say \"x\"\r\n",
            "X_User: root\r\nX-User: me\r\n",
            "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-For: 1.2.3.4, ::1\r\n",
            "X-Forwarded-Proto: HTTPS\r\n",
            "X-Forwarded-Protocol: ssl\r\nForwarded: for=1.2.3.4;proto=https\r\n",
            "SCRIPT_NAME: /a\r\n",
            "SCRIPT_NAME:\r\n",
            "Script-Name: /b\r\nscript_name: /a\r\n",
            "PATH_INFO: /c\r\n",
            "Expect: 100-continue\r\n",
            "Proxy: http://evil/\r\n",
            "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        ]
        .map(with),
    );
    requests.extend(
        [
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-Continue\r\nX-A: b\r\n\r\n",
            "GET http://example/x HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: EXAMPLE.org:\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n",
            "PROPFIND /x HTTP/1.1\r\nHost: a\r\nDepth: 1\r\n\r\n",
            "BASELINE-CONTROL /x HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
            "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nhel\r\n\
             02\r\nlo\r\n0\r\nX-Trailer: x\r\n\r\n",
            "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
            "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST /x HTTP/1.1\r\nHost: a\r\n\r\n",
        ]
        .map(str::to_owned),
    );
    requests
}

#[test]
fn over_tcp_from_a_proxy_of_ours() {
    let mut requests = corpus();
    requests.push("GET / HTTP/1.1\r\nHost: [::1]:81\r\n\r\n".to_owned());
    check(Listens::Tcp, &[], "", &requests);
}

#[test]
fn over_tcp_from_anybody() {
    check(Listens::Tcp, &["--forwarded-allow-ips", "10.0.0.0/8"], "", &corpus());
}

/// Where gunicorn takes SERVER_NAME from the Host field, it cuts an IPv6 address at its first colon,
/// to `[`: that one is not compared.
#[test]
fn over_a_unix_socket() {
    let mut requests = corpus();
    requests.push(with("X-Forwarded-Proto: https\r\n").replace("example", "example:8443"));
    check(Listens::Unix, &[], "", &requests);
}

#[test]
fn with_threads_and_processes() {
    let requests = [get("/")];
    check(Listens::Tcp, &["--workers", "2"], "", &requests);
    check(Listens::Tcp, &["--threads", "2"], "", &requests);
    // With one thread, gunicorn's gthread says wsgi.multithread, although nothing runs beside it.
    check(Listens::Tcp, &["--worker-class", "gthread", "--threads", "3"], "", &requests);
}

#[test]
fn with_everything_permitted() {
    let flags = [
        "--permit-obsolete-folding",
        "--strip-header-spaces",
        "--permit-unconventional-http-method",
        "--permit-unconventional-http-version",
        "--forwarder-headers=SCRIPT_NAME,X_USER",
    ];
    let requests = [
        with("X-A: b\r\n c\r\n\td  \r\nX-B: e\r\n"),
        with("X-A:\r\n b\r\n"),
        with("X-A: b\r\n  \r\n c\r\n"),
        with("X-A : b\r\nX-B\t: c\r\n"),
        with("X_User: b\r\nX-USER: c\r\nX_OTHER: d\r\n"),
        with("").replacen("GET", "get", 1),
        with("").replacen("GET", "g#!~1", 1),
        with("").replacen("HTTP/1.1", "HTTP/0.9", 1),
        with("").replacen("HTTP/1.1", "HTTP/3.7", 1),
    ];
    check(Listens::Tcp, &flags, "", &requests);
    let folded = [&flags[..], &["--casefold-http-method"]].concat();
    check(Listens::Tcp, &folded, "", &[with("").replacen("GET", "pAtch", 1)]);
}

#[test]
fn mounted_by_the_configuration_file() {
    let conf = "import os\nos.environ['SCRIPT_NAME'] = '/a'\n";
    check(Listens::Tcp, &[], conf, &[get("/a/b"), with("")]);
    check(Listens::Tcp, &[], "raw_env = ['SCRIPT_NAME=/a']\n", &[get("/a/b"), with("")]);
}

#[test]
fn with_very_many_fields() {
    let some = |count: usize| -> String {
        (0..count).map(|number| format!("X-{}: {number}\r\n", number % 10_000)).collect()
    };
    let requests = [with(&some(99)), with(&some(20_000)), with(&"Cookie: a\r\n".repeat(2000))];
    check(Listens::Tcp, &["--limit-request-fields", "0"], "", &requests);
    let flags = ["--limit-request-field_size", "900000"];
    check(Listens::Tcp, &flags, "", &[with(&format!("X: {}\r\n", "x".repeat(800_000)))]);
}

#[test]
fn with_headers_mapped_dangerously() {
    let requests = [with("X_User: b\r\nX-User: c\r\nx_user: d\r\nX_One_Two: e\r\n")];
    check(Listens::Tcp, &["--header-map", "dangerous"], "", &requests);
}

#[test]
fn with_scheme_headers_of_the_operators_own() {
    let conf = "secure_scheme_headers = {'X-SCHEME': 'https', 'X-TLS': 'yes please'}\n\
                forwarder_headers = '*'\n";
    let requests = [
        with("X-Scheme: https\r\n"),
        with("X-Tls: yes please\r\nX-Scheme: https\r\n"),
        with("X-Scheme: HTTPS\r\n"),
        with("X-Forwarded-Proto: https\r\nAny_Thing: x\r\n"),
    ];
    check(Listens::Tcp, &[], conf, &requests);
}

#[test]
fn mounted_by_the_environment() {
    let requests = [get("/a/b%20c?d"), get("/a"), get("/abc"), with("SCRIPT_NAME: /\r\n")];
    check(Listens::Tcp, &["--env", "SCRIPT_NAME=/a"], "", &requests);
}
