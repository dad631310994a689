//! Why a request is answered with nothing but a page, and how the log is told, in nginx's words.

use std::{borrow::Cow, fmt};

use super::Client;
use crate::{load::Reached, log::Level};

#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// For the error log, at level info: the client's mistake and not the server's.
    pub(super) message: Cow<'static, str>,
    /// What was being read.
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting,
    Line,
    Headers,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Waiting => "waiting for request",
            Stage::Line => "reading client request line",
            Stage::Headers => "reading client request headers",
        };
        write!(f, "{} while {what}", self.message)
    }
}

pub(super) fn bad_line(status: u16, message: &'static str) -> Refusal {
    Refusal { status, message: message.into(), stage: Stage::Line }
}

pub(super) fn bad_headers(status: u16, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { status, message: message.into(), stage: Stage::Headers }
}

/// A line of the error log about a request that has no exchange yet.
pub(super) fn log(address: Reached<'_>, client: &Client, line: Option<&[u8]>, refusal: &Refusal) {
    let log = &address.default.outer.error_log;
    if log.wants(Level::Info) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let peer = text(client.peer.remote.text());
        let mut message = format!("{refusal}, client: {peer}, server: {}", address.default.name);
        if let Some(line) = line {
            message.extend([", request: \"", &text(line), "\""]);
        }
        log.write(Level::Info, Some(client.peer.number), &message);
    }
}

/// How much of a field that is too long is told to the log.
const LOGGED_FIELD: usize = 1748;

pub(super) fn too_long_field(rest: &[u8], first: bool) -> Refusal {
    if first && rest.is_empty() {
        return bad_headers(494, "client sent too large request");
    }
    let text = String::from_utf8_lossy(&rest[..rest.len().min(LOGGED_FIELD)]);
    bad_headers(494, format!("client sent too long header line: \"{text}...\""))
}

/// The field up to the byte that should not be there.
pub(super) fn invalid_field(rest: &[u8]) -> String {
    let in_name = rest.iter().position(|byte| *byte <= b' ' || matches!(byte, b':' | 0x7f));
    let at = match in_name {
        Some(at) if rest[at] == b':' && at > 0 => {
            let odd = |at: &usize| match rest[*at] {
                0 => true,
                b'\r' => rest.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            (at..rest.len()).find(odd)
        }
        at => at,
    };
    let Some(at) = at else { return "client sent invalid header line".to_owned() };
    let text = String::from_utf8_lossy(&rest[..at]);
    format!("client sent invalid header line: \"{text}\\x{:02x}...\"", rest[at])
}
