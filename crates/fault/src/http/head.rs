//! The head of a message, taken apart into its lines so that one of them can be changed, and put
//! together again with every other byte as it came.

use bytes::{Bytes, BytesMut};
use http1::{FieldLine, StatusLine, Unconventional, Version};

/// A method of any make is good enough to be passed on.
const LENIENT: Unconventional = Unconventional { method: true, version: false };

#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) line: Line,
    version: Version,
    first: Bytes,
    fields: Vec<Field>,
    last: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Request { method: String, target: String },
    Response { status: u16 },
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    value: Bytes,
    line: Bytes,
}

/// How the end of a body is found, RFC 9112 §6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// It is not HTTP/1, or not enough of it to be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotHttp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Requests,
    Responses,
}

impl Head {
    /// Takes a head from the front of `buffer`. `None`: more is needed.
    pub(crate) fn take(side: Side, buffer: &mut BytesMut) -> Result<Option<Head>, NotHttp> {
        let first = match side {
            Side::Requests => request(buffer)?,
            Side::Responses => response(buffer)?,
        };
        let Some((line, version, first_end)) = first else { return Ok(None) };
        let mut at = first_end;
        let mut fields = Vec::new();
        let end = loop {
            match http1::field_line(buffer, at).map_err(|_| NotHttp)? {
                None => return Ok(None),
                Some(FieldLine::End { end }) => break end,
                Some(FieldLine::Field(field)) => {
                    fields.push((field.name, field.value, at..field.end));
                    at = field.end;
                }
            }
        };
        let bytes = buffer.split_to(end).freeze();
        let fields = fields.into_iter().map(|(name, value, line)| Field {
            name: String::from_utf8_lossy(&bytes[name]).into_owned(),
            value: bytes.slice(value),
            line: bytes.slice(line),
        });
        let fields = fields.collect();
        let (first, last) = (bytes.slice(..first_end), bytes.slice(at..));
        Ok(Some(Head { line, version, first, fields, last }))
    }

    pub(crate) fn bytes(&self) -> Bytes {
        let lines = self.fields.iter().map(|field| &field.line);
        let mut bytes = BytesMut::new();
        for line in [&self.first].into_iter().chain(lines).chain([&self.last]) {
            bytes.extend_from_slice(line);
        }
        bytes.freeze()
    }

    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |field: &&Field| field.name.eq_ignore_ascii_case(name);
        self.fields.iter().filter(named).map(|field| &field.value[..])
    }

    /// Whether `token` is in the list that the fields of this name make.
    fn lists(&self, name: &str, token: &str) -> bool {
        self.values(name).any(|value| {
            let tokens = value.split(|byte| *byte == b',');
            tokens
                .map(<[u8]>::trim_ascii)
                .any(|listed| listed.eq_ignore_ascii_case(token.as_bytes()))
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    pub(crate) fn length(&self) -> Option<u64> {
        std::str::from_utf8(self.values("content-length").next()?).ok()?.parse().ok()
    }

    pub(crate) fn expects_continue(&self) -> bool {
        self.lists("expect", "100-continue")
    }

    /// Whether its sender means to close the connection after this exchange.
    pub(crate) fn closes(&self) -> bool {
        match self.version {
            Version::Http11 => self.lists("connection", "close"),
            _ => !self.lists("connection", "keep-alive"),
        }
    }

    /// Of a request, or of a response to a method whose responses have bodies.
    pub(crate) fn framing(&self) -> Framing {
        match &self.line {
            Line::Response { status: 100..200 | 204 | 304 } => Framing::Length(0),
            _ if self.lists("transfer-encoding", "chunked") => Framing::Chunked,
            Line::Request { .. } => Framing::Length(self.length().unwrap_or(0)),
            Line::Response { .. } => self.length().map_or(Framing::UntilClose, Framing::Length),
        }
    }

    pub(crate) fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = Bytes::copy_from_slice(value.as_ref());
        let line = [name.as_bytes(), b": ", &value, b"\r\n"].concat().into();
        self.fields.push(Field { name: name.to_owned(), value, line });
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
    }

    /// The first field of this name once more, with another value if one is given.
    pub(crate) fn repeat(&mut self, name: &str, value: &str) {
        let Some(first) = self.values(name).next() else { return };
        let value = if value.is_empty() { first.to_vec() } else { value.as_bytes().to_vec() };
        self.add(name, value);
    }
}

type First = (Line, Version, usize);

fn request(buffer: &[u8]) -> Result<Option<First>, NotHttp> {
    let line = http1::unconventional_request_line(buffer, LENIENT).map_err(|_| NotHttp)?;
    let Some(line) = line else { return Ok(None) };
    // Its answer has no head, so it can not be followed.
    if line.version == Version::Http09 {
        return Err(NotHttp);
    }
    let text = |range| String::from_utf8_lossy(&buffer[range]).into_owned();
    let (method, target) = (text(line.method), text(line.target));
    Ok(Some((Line::Request { method, target }, line.version, line.end)))
}

fn response(buffer: &[u8]) -> Result<Option<First>, NotHttp> {
    let line = http1::status_line(buffer).map_err(|_| NotHttp)?;
    let first = |StatusLine { version, status, end, .. }| (Line::Response { status }, version, end);
    Ok(line.map(first))
}
