//! Heads and bodies that leave room for two readings, sent to ours and to gunicorn: ours refuses them
//! before the application is called, and nothing passes here that does not pass there.

use std::{collections::BTreeMap, io::Write};

use serde_json::Value;

use crate::{
    real_gunicorn::{alone, both},
    stack::{Gateway, Listens, Response},
};

struct Case {
    status: u16,
    /// What gunicorn does.
    theirs: String,
    text: &'static str,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("../../fixtures/gateway/refused.txt").lines();
    let cases = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let mut words = line.splitn(3, ' ');
        let mut next = || words.next().unwrap();
        Case { status: next().parse().unwrap(), theirs: next().to_owned(), text: next() }
    };
    cases.map(case).collect()
}

/// The bytes of a case, whose path tells whether the application heard of it.
fn request(number: usize, text: &str) -> Vec<u8> {
    let text = text.replace("PATH", &format!("/seen/{number}"));
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, length) = match (first, after) {
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'x', digits @ ..]) => {
                let digits = std::str::from_utf8(&digits[..2]).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 4)
            }
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

/// The answer, if there is one.
fn send(server: &Gateway, request: &[u8]) -> Option<Response> {
    let mut stream = server.connect();
    // It may refuse before it has read everything.
    let _ = stream.write_all(request);
    stream.no_more();
    Response::read(&mut stream)
}

/// Which cases the application heard of.
fn seen(server: &Gateway) -> Vec<usize> {
    assert_eq!(server.get("/seen/last").status, 200);
    server.log.wait_for("/seen/last is seen");
    let lines = server.log.lines();
    let paths =
        lines.iter().filter_map(|line| line.strip_suffix(" is seen")?.strip_prefix("/seen/"));
    paths.filter_map(|case| case.parse().ok()).collect()
}

#[test]
fn what_could_be_read_in_two_ways_reaches_nobody() {
    let cases = cases();
    let [ours, theirs] = both(Listens::Tcp, &[], "");
    let statuses = |server| -> Vec<Option<u16>> {
        let requests = cases.iter().enumerate().map(|(number, case)| request(number, case.text));
        requests.map(|bytes| send(server, &bytes).map(|answer| answer.status)).collect()
    };
    let (our, their) = (statuses(&ours), statuses(&theirs));
    assert_eq!(seen(&ours), Vec::<usize>::new(), "the application hears of none");
    let calls = seen(&theirs);
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let found = match their[number] {
            Some(200) => "calls".to_owned(),
            _ if calls.contains(&number) => "calls".to_owned(),
            Some(status) => status.to_string(),
            None => "hangs".to_owned(),
        };
        if our[number] != Some(case.status) || found != case.theirs {
            wrong.push(format!("ours {:?}, gunicorn {found}: {}", our[number], case.text));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    ours.log.wait_for_nth("Invalid request from ip=127.0.0.1: ", cases.len());
}

/// One answer, then the end: whatever follows must not be taken for the next request.
#[test]
fn nothing_is_smuggled_behind_what_is_refused() {
    let gateway = alone(&[]);
    for (number, case) in cases().iter().enumerate() {
        let more = b"GET /seen/0 HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut stream = gateway.connect();
        let _ = stream.write_all(&[&request(number, case.text)[..], more].concat());
        let answer = Response::read(&mut stream).unwrap_or_else(|| panic!("{}", case.text));
        assert_eq!(answer.status, case.status, "{}", case.text);
        assert_eq!(answer.header("connection"), Some("close"), "{}", case.text);
        assert!(stream.rest().is_empty(), "{}", case.text);
    }
    assert_eq!(seen(&gateway), Vec::<usize>::new());
}

/// gunicorn has called the application by then, which sees an error where it reads.
#[test]
fn a_body_that_breaks_off_reaches_nobody() {
    let [ours, theirs] = both(Listens::Tcp, &[], "");
    let bodies = [
        "Content-Length: 9\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "Transfer-Encoding: chunked\r\n\r\n5",
    ];
    for (number, body) in bodies.iter().enumerate() {
        let request = format!("POST /seen/{number} HTTP/1.1\r\nHost: a\r\n{body}");
        assert!(send(&ours, request.as_bytes()).is_none(), "nobody is there to be answered");
        let _ = send(&theirs, request.as_bytes());
    }
    assert_eq!(seen(&ours), Vec::<usize>::new());
    assert_eq!(seen(&theirs), (0..bodies.len()).collect::<Vec<_>>());
}

/// Each of these is good, and no longer so once a byte is added, taken away or changed somewhere.
const GOOD: [&str; 4] = [
    "GET /a%20b?c=d HTTP/1.1\r\nHost: example:81\r\nX-Y: z\r\n\r\n",
    "POST /a HTTP/1.0\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    "POST http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n\
     0\r\nX: y\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: a=b\r\n\r\n",
];

/// What comes behind it on the connection: enough for whatever the change made of the request to come
/// to its end. Then the first answer shows how it was read.
fn with_more(request: &[u8]) -> Vec<u8> {
    let padding = "x".repeat(4096);
    let more = format!("GET /more HTTP/1.1\r\nHost: a\r\nX: {padding}\r\n\r\n");
    [request, more.as_bytes()].concat()
}

fn changed(good: &[u8]) -> Vec<Vec<u8>> {
    const BYTES: &[u8] = b"\0\t\n\x0b\r !\"#%,-./0:;=?A[]_a{\x7f\x80\xff";
    let mut all = Vec::new();
    for at in 0..good.len() {
        let (before, after) = good.split_at(at);
        all.push([before, &after[1..]].concat());
        all.push([before, &after[..1], after].concat());
        // Every third byte, another one at each place: all of them together at every kind of place.
        for byte in BYTES.iter().skip(at % 3).step_by(3) {
            all.push([before, &[*byte], after].concat());
            all.push([before, &[*byte], &after[1..]].concat());
        }
    }
    all
}

/// How it was understood; `None`: refused.
fn understood(server: &Gateway, request: &[u8]) -> Option<BTreeMap<String, Value>> {
    let mut stream = server.connect();
    let _ = stream.write_all(request);
    let answer = Response::read(&mut stream).filter(|answer| answer.status == 200)?;
    let mut facts: BTreeMap<_, _> = serde_json::from_slice(&answer.body).unwrap();
    for key in ["SERVER_SOFTWARE", "gunicorn.socket", "wsgi.early_hints"] {
        facts.remove(key);
    }
    Some(facts)
}

#[test]
fn what_passes_here_passes_there_and_means_the_same() {
    let [ours, theirs] = both(Listens::Unix, &[], "");
    let (mut passed, mut wrong) = (0, Vec::new());
    for request in GOOD.iter().flat_map(|good| changed(good.as_bytes())) {
        let Some(our) = understood(&ours, &with_more(&request)) else { continue };
        passed += 1;
        let their = understood(&theirs, &with_more(&request));
        if their.as_ref() != Some(&our) {
            wrong.push(format!("{}\n  {our:?}\n  {their:?}", request.escape_ascii()));
        }
    }
    assert!(wrong.is_empty(), "of {passed}:\n{}", wrong.join("\n"));
    assert!(passed > 100, "only {passed} passed: nothing was compared");
}
