//! Which hop answered a request, and whether the answer was a file or made by the application.
//!
//! The hops say so themselves, in `Server-Timing`: the deepest one named answered. A chain that says
//! nothing leaves evidence only, and then the verdict is marked as a guess with its reason; where
//! even that is missing the verdict is "unknown". Must not turn a guess into a fact.

use std::fmt;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use crate::story::{Headers, HopTime, header};

/// The hops in the order a request meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    Browser,
    Edge,
    Gateway,
    AppHost,
    Application,
}

impl Hop {
    pub const ALL: [Hop; 5] =
        [Hop::Browser, Hop::Edge, Hop::Gateway, Hop::AppHost, Hop::Application];

    /// As hops name themselves in `Server-Timing`, in log prefixes and in prose.
    pub fn name(self) -> &'static str {
        match self {
            Hop::Browser => "browser",
            Hop::Edge => "edge",
            Hop::Gateway => "gateway",
            Hop::AppHost => "app-host",
            Hop::Application => "application",
        }
    }

    /// This hop's figure. An application may use any name for its own entries, and the hops append
    /// theirs after it, so the last one of a name is the hop's.
    pub fn figure(self, timing: &[HopTime]) -> Option<f64> {
        let entry = timing.iter().rev().find(|entry| entry.name == self.name());
        entry.map(|entry| entry.milliseconds)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The web server read a file.
    Static,
    /// The request went past the web server.
    Dynamic,
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Static => "static",
            Kind::Dynamic => "dynamic",
            Kind::Unknown => "unknown",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The hops said so.
    Reported,
    /// Drawn from what the answer looks like.
    Guess,
}

/// The verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    pub kind: Kind,
    /// A hop's name where hops report; otherwise the product that seems to have answered.
    pub by: Option<String>,
    pub certainty: Certainty,
    pub evidence: String,
}

impl Answered {
    pub fn unknown(evidence: &str) -> Answered {
        Answered {
            kind: Kind::Unknown,
            by: None,
            certainty: Certainty::Guess,
            evidence: evidence.to_owned(),
        }
    }

    /// Within a sentence.
    pub fn sentence(&self) -> String {
        match (&self.by, self.certainty) {
            (Some(hop), Certainty::Reported) => format!("answered by {hop}"),
            (Some(product), Certainty::Guess) => match product.strip_prefix("behind ") {
                Some(front) => format!("perhaps answered by something behind {front}"),
                None => format!("perhaps answered by {product}"),
            },
            (None, _) => "nobody says who answered".to_owned(),
        }
    }

    /// The verdict with what it rests on.
    pub fn reason(&self) -> String {
        format!("{}, {}: {}", self.kind(), self.by(), self.evidence)
    }

    /// The cell of a table: a hop's name, or a guess that says it is one.
    pub fn by(&self) -> String {
        match (&self.by, self.certainty) {
            (Some(hop), Certainty::Reported) => hop.clone(),
            (Some(product), Certainty::Guess) => format!("guess: {product}"),
            (None, _) => "unknown".to_owned(),
        }
    }

    pub fn kind(&self) -> String {
        match (self.kind, self.certainty) {
            (Kind::Unknown, _) => "unknown".to_owned(),
            (kind, Certainty::Reported) => kind.to_string(),
            (kind, Certainty::Guess) => format!("guess: {kind}"),
        }
    }
}

/// Reads the verdict out of an answer.
pub fn judge(status: u16, headers: &Headers, timing: &[HopTime]) -> Answered {
    let deepest = Hop::ALL.into_iter().rev().find(|hop| hop.figure(timing).is_some());
    match deepest {
        Some(Hop::Edge) => by_edge(status, headers),
        Some(hop) => reported(Kind::Dynamic, hop, "the deepest hop named in Server-Timing"),
        None => guess(status, headers),
    }
}

/// Alone in the report, the edge either answered or passed the request to something that keeps
/// silent, such as a gateway with its reports switched off. A file is known by its validators.
fn by_edge(status: u16, headers: &Headers) -> Answered {
    let succeeded = status < 300 || matches!(status, 304 | 416);
    match file_evidence(headers) {
        Some(evidence) if succeeded => {
            reported(Kind::Static, Hop::Edge, &format!("only the edge reported, and {evidence}"))
        }
        _ => reported(
            Kind::Unknown,
            Hop::Edge,
            "only the edge reported, and the answer is no file: the edge's own, or of a hop that keeps silent",
        ),
    }
}

fn reported(kind: Kind, hop: Hop, evidence: &str) -> Answered {
    Answered {
        kind,
        by: Some(hop.name().to_owned()),
        certainty: Certainty::Reported,
        evidence: evidence.to_owned(),
    }
}

/// What marks an answer as a file on disk. `None`: nothing does.
fn file_evidence(headers: &Headers) -> Option<&'static str> {
    let modified = header(headers, "last-modified")?;
    let etag = header(headers, "etag");
    if etag.is_some_and(|etag| is_time_and_length(etag, modified)) {
        return Some("its ETag is the time and length of a file");
    }
    let ranges = header(headers, "accept-ranges").is_some_and(|value| value == "bytes")
        || header(headers, "content-range").is_some();
    match (etag, ranges) {
        (_, true) => Some("it has Last-Modified and Accept-Ranges, as a file has"),
        (Some(_), false) => Some("it has ETag and Last-Modified, as a file has"),
        (None, false) => Some("it has Last-Modified, as a file has"),
    }
}

/// nginx and those like it write a file's ETag as its modification time and its length in hex.
fn is_time_and_length(etag: &str, modified: &str) -> bool {
    let quoted = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    let Some((time, length)) = quoted.split_once('-') else { return false };
    let Ok(modified) = httpdate::parse_http_date(modified) else { return false };
    let seconds = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    u64::from_str_radix(time, 16).is_ok_and(|time| time == seconds)
        && u64::from_str_radix(length, 16).is_ok()
}

fn guess(status: u16, headers: &Headers) -> Answered {
    let Some(server) = header(headers, "server") else {
        return Answered::unknown("no Server-Timing and no Server in the answer");
    };
    let product = server.split(['/', ' ']).next().unwrap_or(server);
    let guess = |kind, evidence: String| Answered {
        kind,
        by: Some(product.to_owned()),
        certainty: Certainty::Guess,
        evidence: format!("no Server-Timing in the answer; {evidence}"),
    };
    let file = file_evidence(headers).filter(|_| status < 300 || matches!(status, 304 | 416));
    let builtin = matches!(product, "WSGIServer" | "Werkzeug");
    match (product, file) {
        (_, Some(evidence)) if builtin => guess(
            Kind::Static,
            format!("\"{server}\" is a built-in server, which does both jobs, and {evidence}"),
        ),
        _ if builtin => {
            guess(Kind::Dynamic, format!("\"{server}\" is a built-in server, which does both jobs"))
        }
        ("gunicorn" | "uWSGI", _) => guess(
            Kind::Dynamic,
            format!("\"{server}\" is a WSGI server, with no web server before it"),
        ),
        (_, Some(evidence)) => {
            guess(Kind::Static, format!("Server is \"{server}\", and {evidence}"))
        }
        (_, None) => match application_evidence(headers) {
            Some(evidence) => Answered {
                by: Some(format!("behind {product}")),
                ..guess(
                    Kind::Dynamic,
                    format!("Server is \"{server}\", and {evidence}, which a web server does not"),
                )
            },
            None => guess(Kind::Unknown, format!("Server is \"{server}\"; nothing else tells")),
        },
    }
}

/// What a web server does not write by itself.
fn application_evidence(headers: &Headers) -> Option<&'static str> {
    let varies_by_cookie = header(headers, "vary")
        .is_some_and(|vary| vary.split(',').any(|name| name.trim().eq_ignore_ascii_case("cookie")));
    if header(headers, "set-cookie").is_some() {
        Some("it sets a cookie")
    } else if varies_by_cookie {
        Some("it varies by cookie")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers written `Name: value`, one a line.
    fn check(status: u16, head: &str, expected: (&str, &str)) -> Answered {
        let headers: Headers = head
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let timing = crate::timing::read(&headers);
        let answered = judge(status, &headers, &timing);
        assert_eq!((answered.kind().as_str(), answered.by().as_str()), expected, "{head}");
        answered
    }

    const FILE: &str = "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT\nETag: \"6b02e8c0-4d2\"";

    #[test]
    fn the_deepest_hop_named_answered() {
        check(
            200,
            "Server-Timing: application;dur=4, app-host;dur=5, gateway;dur=6, edge;dur=7",
            ("dynamic", "application"),
        );
        check(
            500,
            "Server-Timing: app-host;dur=5, gateway;dur=6, edge;dur=7",
            ("dynamic", "app-host"),
        );
        check(
            503,
            "Server-Timing: gateway;dur=6\nServer-Timing: edge;dur=7",
            ("dynamic", "gateway"),
        );
    }

    #[test]
    fn the_edge_alone_with_a_file_is_static() {
        check(200, &format!("{FILE}\nServer-Timing: edge;dur=0.1"), ("static", "edge"));
        check(304, &format!("{FILE}\nServer-Timing: edge;dur=0.1"), ("static", "edge"));
    }

    #[test]
    fn the_edge_alone_without_a_file_is_not_called_static() {
        let answered = check(502, "Server-Timing: edge;dur=0.1", ("unknown", "edge"));
        assert!(answered.evidence.contains("keeps silent"), "{}", answered.evidence);
        check(301, "Server-Timing: edge;dur=0.1\nLocation: /static/", ("unknown", "edge"));
    }

    #[test]
    fn a_name_used_by_the_application_itself_does_not_hide_the_hop() {
        let timing = crate::timing::read(&vec![(
            "server-timing".into(),
            "edge;dur=99, application;dur=1, edge;dur=7".into(),
        )]);
        assert_eq!(Hop::Edge.figure(&timing), Some(7.0));
    }

    #[test]
    fn a_foreign_chain_is_guessed_and_said_to_be() {
        let seen = UNIX_EPOCH + std::time::Duration::from_secs(0x6b02_e8c0);
        let nginx = format!(
            "Server: nginx/1.22.1\nLast-Modified: {}\nETag: \"6b02e8c0-4d2\"\nAccept-Ranges: bytes",
            httpdate::fmt_http_date(seen)
        );
        let answered = check(200, &nginx, ("guess: static", "guess: nginx"));
        assert!(answered.evidence.contains("time and length"), "{}", answered.evidence);
        check(
            200,
            "Server: nginx\nVary: Accept-Encoding, Cookie",
            ("guess: dynamic", "guess: behind nginx"),
        );
        check(200, "Server: nginx", ("unknown", "guess: nginx"));
        check(200, "Server: gunicorn", ("guess: dynamic", "guess: gunicorn"));
        check(
            200,
            "Server: WSGIServer/0.2 CPython/3.11.2",
            ("guess: dynamic", "guess: WSGIServer"),
        );
        check(
            200,
            "Server: WSGIServer/0.2 CPython/3.11.2\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT",
            ("guess: static", "guess: WSGIServer"),
        );
        check(200, "Content-Length: 2", ("unknown", "unknown"));
    }
}
