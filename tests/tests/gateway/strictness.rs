//! Heads and bodies that leave room for two readings, sent to ours and to gunicorn: ours refuses them
//! before the application is called, and nothing passes here that does not pass there.

use std::{collections::BTreeMap, io::Write};

use serde_json::Value;

use crate::{
    real_gunicorn::both,
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
    assert_eq!(ours.log.count("Invalid request from ip=127.0.0.1: "), cases.len());
}
