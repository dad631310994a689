//! One request and its answer, as bytes and facts. Two of these are what a comparison compares.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http1::Version;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use thiserror::Error;
use url::Url;

/// A header or trailer field in its sender's spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field {
    pub name: String,
    pub value: Bytes,
}

impl Field {
    pub fn new(name: impl Into<String>, value: impl Into<Bytes>) -> Field {
        Field { name: name.into(), value: value.into() }
    }

    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// For people; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (&self.name, self.text()).serialize(out)
    }
}

/// The values of a name, in order.
pub(super) fn field_values<'a>(
    fields: &'a [Field],
    name: &'a str,
) -> impl Iterator<Item = &'a Field> {
    fields.iter().filter(move |field| field.is(name))
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// Where it was sent; what stands on the request line is `target`.
    pub url: Url,
    pub target: String,
    pub version: Version,
    pub fields: Vec<Field>,
    /// Before chunked framing, if the fields ask for that.
    pub body: Bytes,
}

/// Status line and fields of an answer, interim or final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub version: Version,
    pub status: u16,
    pub reason: String,
    pub fields: Vec<Field>,
}

impl Head {
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        field_values(&self.fields, name)
    }
}

/// How the end of the body was found, RFC 9112 §6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// The request or the status allow none.
    None,
    Length,
    Chunked,
    UntilClose,
}

/// What the request went out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Connected {
    New,
    /// The connection of an earlier request.
    Reused,
    /// A new one, because the server closed the one it had promised to keep: before the request was
    /// sent, or while it was on its way.
    Again,
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Kept,
    /// The server closed it, as it or the request had said.
    ClosedByServer,
    /// It was to be closed, the server did not, so this side did; or the answer came before the
    /// whole request was sent.
    ClosedByClient,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub request: Request,
    /// Answers of the 1xx kind that came before.
    pub interim: Vec<Head>,
    pub head: Head,
    pub framing: Framing,
    /// As sent: still compressed, but no longer in chunks.
    pub body: Bytes,
    pub trailers: Vec<Field>,
    /// Whether the server read the whole request before the answer was complete.
    pub sent_whole: bool,
    pub connected: Connected,
    pub ending: Ending,
    pub peer: SocketAddr,
    pub local: SocketAddr,
    /// From before the connection was made to the last byte of the answer.
    pub duration: Duration,
}

/// An exchange without a whole answer, and what there was of one.
#[derive(Debug)]
pub struct Broken {
    pub request: Request,
    pub interim: Vec<Head>,
    pub head: Option<Head>,
    pub body: Bytes,
    pub cause: Cause,
    pub connected: Connected,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub duration: Duration,
}

#[derive(Debug, Error)]
pub enum Cause {
    #[error("cannot find the address of \"{name}\": {error}")]
    Resolve { name: String, error: io::Error },
    #[error("cannot connect to {address}: {error}")]
    Connect { address: SocketAddr, error: io::Error },
    #[error("no TLS with {address}: {error}")]
    Tls { address: SocketAddr, error: io::Error },
    #[error("there is no CA file to trust {url} by")]
    NoCa { url: Url },
    #[error("no whole answer within {limit:?}")]
    Timeout { limit: Duration },
    #[error("the connection was closed without an answer")]
    NoAnswer,
    #[error("the answer ended in its head, after {bytes} bytes")]
    HeadCut { bytes: usize },
    #[error("the answer's body ended after {got} bytes instead of {expected}")]
    BodyCut { got: u64, expected: u64 },
    #[error("the answer's chunked body ended before its last chunk, after {got} bytes")]
    ChunksCut { got: u64 },
    #[error("the answer is not HTTP/1: {0}")]
    Malformed(String),
    #[error("the answer's {part} has more than {limit} bytes")]
    TooLarge { part: &'static str, limit: usize },
    #[error("{bytes} bytes came after the end of the answer")]
    Surplus { bytes: usize },
    #[error("the connection failed: {0}")]
    Io(io::Error),
}

pub(crate) fn version_text(version: Version) -> &'static str {
    match version {
        Version::Http09 => "HTTP/0.9",
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_struct("Request", 6)?;
        out.serialize_field("method", &self.method)?;
        out.serialize_field("url", self.url.as_str())?;
        out.serialize_field("target", &self.target)?;
        out.serialize_field("version", version_text(self.version))?;
        out.serialize_field("fields", &self.fields)?;
        out.serialize_field("body_bytes", &self.body.len())?;
        out.end()
    }
}

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut out = out.serialize_struct("Head", 4)?;
        out.serialize_field("version", version_text(self.version))?;
        out.serialize_field("status", &self.status)?;
        out.serialize_field("reason", &self.reason)?;
        out.serialize_field("fields", &self.fields)?;
        out.end()
    }
}
