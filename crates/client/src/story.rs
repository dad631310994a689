//! The story of one request: every fact the client has about it, in one place.
//!
//! The table, the ladder and the JSON are all made from this and from nothing else, so a further
//! picture (a HAR, a live page) needs no second look at the wire. Credentials are taken out when the
//! story is written down, so that a report can be shown around. Knows no HTTP library.

use serde::Serialize;

use crate::answered::Answered;
use crate::timing::Flow;

/// What the page wanted the answer for; decides the headers a browser sends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Document,
    Stylesheet,
    Script,
    Image,
    Icon,
    Font,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Document => "document",
            Role::Stylesheet => "stylesheet",
            Role::Script => "script",
            Role::Image => "image",
            Role::Icon => "icon",
            Role::Font => "font",
        }
    }
}

/// Why the request was made at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "by", content = "url")]
pub enum Cause {
    /// The address given on the command line.
    Visitor,
    /// The answer from this address pointed here.
    Redirect(String),
    /// The page or the stylesheet at this address names it.
    Named(String),
    /// Nothing names it: browsers ask every site for `/favicon.ico`, and mind no refusal.
    Habit,
}

/// Where the bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The whole answer came over the wire.
    Network,
    /// The server said 304, and the copy of an earlier visit was used.
    Revalidated,
    /// The copy of an earlier visit was still fresh: no request was made.
    Cache,
}

/// Milliseconds; `started` counts from the beginning of the visit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    #[serde(rename = "started_ms")]
    pub started: f64,
    /// Waiting for one of the connections a browser allows itself for each host.
    #[serde(rename = "blocked_ms")]
    pub blocked: f64,
    /// From sending to having the whole response head: connecting included, where that was needed.
    #[serde(rename = "head_ms")]
    pub head: f64,
    /// From sending to the last byte of the body.
    #[serde(rename = "total_ms")]
    pub total: f64,
}

/// One entry of `Server-Timing`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HopTime {
    pub name: String,
    pub milliseconds: f64,
}

pub type Headers = Vec<(String, String)>;

#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub role: Role,
    pub cause: Cause,
    pub method: &'static str,
    pub url: String,
    pub source: Source,
    /// By this every hop's log lines about the request are found; absent where none was made.
    pub trace_id: Option<String>,
    pub protocol: Option<String>,
    pub status: Option<u16>,
    pub answered: Answered,
    pub request_headers: Headers,
    pub response_headers: Headers,
    pub server_timing: Vec<HopTime>,
    /// The body as it came over the wire, after chunked framing and before decompression.
    pub body_bytes: u64,
    /// The body after decompression, where the client had a reason to read it.
    pub content_bytes: Option<u64>,
    pub timing: Timing,
    /// Why there is no answer, or why it is not whole: one sentence.
    pub error: Option<String>,
    /// Filled in where the flow was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
}

impl Story {
    /// Whether a visitor would miss something. A browser's own habit counts for nothing.
    pub fn failed(&self) -> bool {
        self.cause != Cause::Habit
            && (self.error.is_some() || self.status.is_some_and(|status| status >= 400))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.response_headers, name)
    }
}

/// The first header of that name.
pub fn header<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// What stands in a story instead of a value that would let its reader in.
pub fn without_credentials(name: &str, value: &str) -> String {
    const SECRET: [&str; 4] = ["cookie", "set-cookie", "authorization", "proxy-authorization"];
    if !SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        return value.to_owned();
    }
    // The name of a cookie says what happened; its value is nobody's business.
    let kept = match name.to_ascii_lowercase().as_str() {
        "set-cookie" => value.split_once('=').map(|(cookie, _)| cookie.trim()),
        _ => None,
    };
    kept.map_or_else(|| "(hidden)".to_owned(), |cookie| format!("{cookie}=(hidden)"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A story in which nothing happened, for tests to fill in.
    pub(crate) fn story(role: Role, url: &str) -> Story {
        Story {
            role,
            cause: Cause::Visitor,
            method: "GET",
            url: url.to_owned(),
            source: Source::Network,
            trace_id: None,
            protocol: None,
            status: Some(200),
            answered: Answered::unknown("no evidence"),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            server_timing: Vec::new(),
            body_bytes: 0,
            content_bytes: None,
            timing: Timing::default(),
            error: None,
            flow: None,
        }
    }

    #[test]
    fn credentials_do_not_reach_a_report() {
        assert_eq!(without_credentials("Authorization", "Basic abc"), "(hidden)");
        assert_eq!(without_credentials("Cookie", "sessionid=abc"), "(hidden)");
        assert_eq!(
            without_credentials("set-cookie", "sessionid=abc; Path=/"),
            "sessionid=(hidden)"
        );
        assert_eq!(without_credentials("Accept", "a=b"), "a=b");
    }

    #[test]
    fn a_refused_habit_is_no_failure() {
        let mut icon = story(Role::Icon, "http://h/favicon.ico");
        icon.status = Some(404);
        assert!(icon.failed());
        icon.cause = Cause::Habit;
        assert!(!icon.failed());
    }
}
