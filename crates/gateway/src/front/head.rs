//! A request's head, read as strictly as RFC 9112 lets a server be.
//!
//! Two hops that disagree about where a request ends can be made to disagree about whose it is. So
//! whatever leaves room for two readings is refused here, before anybody is asked to answer it; and
//! what has one reading is kept as it came. The messages are gunicorn's, as are the limits.

mod leniency; // what gunicorn lets an operator permit
mod meaning; // what the target and the fields mean to the connection
mod reader; // bytes to lines, within the limits
mod target; // where its path and its query are

use std::{fmt, net::IpAddr, ops::Range};

use bytes::Bytes;
use http1::Version;

pub(crate) use reader::{HeadReader, Limits};

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// HTTP/2 says in its own way when it has ended.
    UntilEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// A complete head. Everything is a part of the bytes it came in.
#[derive(Debug)]
pub(crate) struct Head {
    bytes: Bytes,
    method: Range<usize>,
    target: Range<usize>,
    path: Range<usize>,
    query: Range<usize>,
    version: Version,
    protocol: Protocol,
    fields: Vec<(Range<usize>, Range<usize>)>,
    /// Names that CGI could not tell from others.
    dropped: Vec<Range<usize>>,
    /// Some of these names were let through, so two may be one variable though they differ.
    has_underscores: bool,
    host: Option<Range<usize>>,
    /// From a proxy of ours alone.
    script_name: Option<Range<usize>>,
    /// The name and value by which somebody said "https" whose word does not count.
    unbelieved: Option<(Range<usize>, Range<usize>)>,
    framing: Framing,
    scheme: Scheme,
    keep_alive: bool,
    expects_continue: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Protocol {
    /// As the client wrote it: what is read as HTTP/1.1 may call itself 1.2.
    Written(Range<usize>),
    /// Written down as HTTP/1.1 only to be read.
    Http2,
}

impl Head {
    fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    pub(crate) fn method(&self) -> &[u8] {
        self.slice(&self.method)
    }

    /// The method and the target can only be ASCII: the reader refuses others.
    pub(crate) fn method_text(&self) -> &str {
        std::str::from_utf8(self.method()).unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &[u8] {
        self.slice(&self.target)
    }

    pub(crate) fn target_text(&self) -> &str {
        std::str::from_utf8(self.target()).unwrap_or_default()
    }

    /// `METHOD TARGET`, without a copy: what the logs call this request by.
    pub(crate) fn title(&self) -> Bytes {
        self.bytes.slice(self.method.start..self.target.end)
    }

    /// Still percent-encoded.
    pub(crate) fn path(&self) -> &[u8] {
        self.slice(&self.path)
    }

    pub(crate) fn query(&self) -> &[u8] {
        self.slice(&self.query)
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn protocol(&self) -> &[u8] {
        match &self.protocol {
            Protocol::Written(place) => self.slice(place),
            Protocol::Http2 => b"HTTP/2.0",
        }
    }

    /// What came by a stream, which says in its own way whether and where a body ends.
    pub(super) fn over_http2(mut self, has_body: bool) -> Head {
        self.protocol = Protocol::Http2;
        self.keep_alive = true;
        let is_announced = self.fields().any(|(name, _)| name == b"content-length");
        if has_body && !is_announced {
            self.framing = Framing::UntilEnd;
            // Whatever else is expected was refused.
            self.expects_continue = self.field(b"expect").is_some();
        }
        self
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.protocol == Protocol::Http2
    }

    /// What the answer calls itself.
    pub(crate) fn answered_in(&self) -> &'static str {
        match self.version {
            Version::Http11 => "HTTP/1.1",
            Version::Http10 | Version::Http09 => "HTTP/1.0",
        }
    }

    /// Names as the client spelt them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|(name, value)| (self.slice(name), self.slice(value)))
    }

    /// The first value under a name.
    pub(crate) fn field(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn dropped(&self) -> impl Iterator<Item = &[u8]> {
        self.dropped.iter().map(|name| self.slice(name))
    }

    pub(crate) fn has_underscores(&self) -> bool {
        self.has_underscores
    }

    pub(crate) fn unbelieved(&self) -> Option<(&[u8], &[u8])> {
        self.unbelieved.as_ref().map(|(name, value)| (self.slice(name), self.slice(value)))
    }

    pub(crate) fn host(&self) -> Option<&[u8]> {
        self.host.as_ref().map(|host| self.slice(host))
    }

    pub(crate) fn script_name(&self) -> Option<&[u8]> {
        self.script_name.as_ref().map(|name| self.slice(name))
    }

    pub(crate) fn framing(&self) -> Framing {
        self.framing
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    pub(crate) fn wants_keep_alive(&self) -> bool {
        self.keep_alive
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// RFC 9110 §9.2.1: asking twice is asking once, and changes nothing.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.method(), b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
    }
}

/// Why this is no request anybody may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: u16,
    /// For the client and the log.
    message: String,
    /// For the log alone.
    explanation: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), explanation: String::new() }
    }

    /// With what the operator should know, and the client need not.
    fn explained(self, why: impl Into<String>) -> Refusal {
        Refusal { explanation: why.into(), ..self }
    }

    pub(super) fn request_timeout() -> Refusal {
        Refusal::new(408, "the request did not come to its end in time")
    }

    pub(super) fn proxy_forbidden(peer: IpAddr) -> Refusal {
        Refusal::new(403, "Request forbidden")
            .explained(format!("a PROXY line from {peer}, which is not among --proxy-allow-from"))
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.explanation.is_empty() { Ok(()) } else { write!(f, ": {}", self.explanation) }
    }
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message)
}

fn invalid_header(name: &str) -> Refusal {
    bad(format!("Invalid HTTP Header: '{name}'"))
}

#[cfg(test)]
mod tests;
