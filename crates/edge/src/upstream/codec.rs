//! Bytes to a response head, and how its body ends.
//!
//! As forgiving as nginx in how lines are written, and no more than nginx in what a length may be:
//! two lengths, or a length and a coding, are refused, because the next reader might see another
//! end than this one (RFC 9112 §6.3).

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http1::{Chunked, FieldLine, LineEnds, StatusLine, Version, field_line, status_line};

use super::records::{Records, RecordsError};
use crate::headers::{Header, has_token};

pub struct Head {
    pub status: u16,
    /// `None`: the peer said a number and no more.
    pub reason: Option<Bytes>,
    /// Every field, as it came; what is meant for this hop too.
    pub fields: Fields,
    pub content_length: Option<u64>,
    pub framing: Framing,
    /// Whether the connection can carry another request once the body has ended.
    pub keep: bool,
    /// Not HTTP/1 at all: everything is body, and the client gets no head either.
    pub is_http09: bool,
}

/// A head's fields, as places in its lines: every one is looked at, and few are kept.
#[derive(Debug, Default)]
pub struct Fields {
    /// The lines themselves, for `$upstream_http_*`.
    pub raw: Bytes,
    places: Vec<(Range<usize>, Range<usize>)>,
}

/// One of them.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    pub name: &'a [u8],
    value: &'a [u8],
    raw: &'a Bytes,
}

impl Fields {
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        let raw = &self.raw;
        self.places.iter().map(move |(name, value)| Field {
            name: &raw[name.clone()],
            value: &raw[value.clone()],
            raw,
        })
    }

    /// The first of this name.
    pub fn get(&self, name: &str) -> Option<Field<'_>> {
        self.iter().find(|field| field.is(name))
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl<'a> Field<'a> {
    pub fn is(self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    pub fn value(self) -> &'a [u8] {
        self.value
    }

    /// The value, to be kept.
    pub fn keep(self) -> Bytes {
        self.raw.slice_ref(self.value)
    }

    /// Name and value, to be passed on.
    pub fn to_header(self) -> Header {
        Header { name: self.raw.slice_ref(self.name), value: self.keep() }
    }
}

/// How the end of a body is known.
pub enum Framing {
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    /// As the records say.
    FastCgi(Box<Records>),
}

impl Framing {
    /// How much of the body has been taken from the connection already.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Framing::FastCgi(records) => records.waiting(),
            Framing::Length(_) | Framing::Chunked(_) | Framing::UntilClose => 0,
        }
    }
}

/// How a head begins, and with it who says the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// A status line. What does not begin with one is no head at all.
    StatusLine,
    /// A status line, or fields of which `Status` is one: what a uwsgi server may send.
    Either,
    /// Fields: a CGI head, RFC 3875 §6.3.
    Fields,
}

/// What the request was, where the response's meaning hangs on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expectation {
    pub(super) is_head: bool,
    pub(super) upgrade: bool,
    /// `proxy_buffer_size`.
    pub(super) limit: usize,
}

impl Expectation {
    pub(super) fn has_body(self, status: u16) -> bool {
        // 101 that nobody asked for is a head and nothing more.
        !self.is_head && !matches!(status, 101 | 204 | 304)
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeadError {
    #[error("upstream sent too big header")]
    TooBig,
    #[error("upstream sent invalid header: \"{0}\"")]
    Field(String),
    #[error("upstream sent duplicate header line: \"{0}\", previous value: \"{1}\"")]
    Duplicate(String, String),
    #[error("upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time")]
    LengthAndCoding,
    #[error("upstream sent invalid \"Content-Length\" header: \"{0}\"")]
    Length(String),
    #[error("upstream sent unknown \"Transfer-Encoding\": \"{0}\"")]
    Coding(String),
    #[error("upstream sent invalid status \"{0}\"")]
    Status(String),
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// Takes a head from the front of the buffer, passing over interim ones. `None`: read more.
pub(super) fn head(
    buffer: &mut BytesMut,
    opening: Opening,
    expected: Expectation,
) -> Result<Option<Head>, HeadError> {
    loop {
        let Some(found) = find(buffer, opening, expected.limit)? else { return Ok(None) };
        let Found::Lines(lines) = found else { return Ok(Some(Head::http09())) };
        let raw = buffer.split_to(lines.end).freeze();
        let line = lines.status_line.as_ref();
        if line.is_some_and(|line| line.status < 200 && line.status != 101) {
            continue;
        }
        return lines.into_head(raw, expected).map(Some);
    }
}

/// What stands at the front of the buffer.
pub(super) enum Found {
    Lines(Lines),
    /// No head: a server that speaks no HTTP, or HTTP/0.9.
    Nothing,
}

/// A head's lines, as places in what was read.
pub(super) struct Lines {
    opening: Opening,
    status_line: Option<StatusLine>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    /// Where the body begins.
    pub(super) end: usize,
}

/// Looks for a head of no more than `limit` bytes. `None`: it is not complete.
pub(super) fn find(
    buffer: &[u8],
    opening: Opening,
    limit: usize,
) -> Result<Option<Found>, HeadError> {
    let incomplete = || if buffer.len() >= limit { Err(HeadError::TooBig) } else { Ok(None) };
    let status_line = match opening {
        Opening::Fields => None,
        Opening::StatusLine | Opening::Either => match status_line(buffer) {
            Ok(Some(line)) => Some(line),
            Ok(None) => return incomplete(),
            Err(_) if opening == Opening::Either => None,
            Err(_) => return Ok(Some(Found::Nothing)),
        },
    };
    let mut fields = Vec::with_capacity(16);
    let mut at = status_line.as_ref().map_or(0, |line| line.end);
    loop {
        let read = field_line(buffer, at);
        match read.map_err(|_| HeadError::Field(line_text(&buffer[at..])))? {
            None => return incomplete(),
            Some(FieldLine::End { end }) if end > limit => return Err(HeadError::TooBig),
            Some(FieldLine::End { end }) => {
                return Ok(Some(Found::Lines(Lines { opening, status_line, fields, end })));
            }
            Some(FieldLine::Field(field)) => {
                at = field.end;
                fields.push((field.name, field.value));
            }
        }
    }
}

impl Lines {
    /// `raw` is what was searched, up to the end.
    pub(super) fn into_head(self, raw: Bytes, expected: Expectation) -> Result<Head, HeadError> {
        let fields = Fields { raw, places: self.fields };
        let (status, version, reason) = match self.status_line {
            Some(line) => (line.status, line.version, Some(fields.raw.slice(line.reason))),
            None => {
                let (status, reason) = cgi_status(&fields, expected)?;
                (status, Version::Http10, reason)
            }
        };
        let mut head = Head::read(status, version, reason, fields, expected)?;
        if self.opening != Opening::StatusLine {
            // One answer on each connection, and no codings: what comes is passed on as it is.
            head.keep = false;
            if let Framing::Chunked(_) = head.framing {
                head.framing = Framing::UntilClose;
            }
        }
        Ok(head)
    }
}

/// `Status: 404 Not Found`; without it 200, or 302 where there is a `Location`.
fn cgi_status(fields: &Fields, expected: Expectation) -> Result<(u16, Option<Bytes>), HeadError> {
    let Some(status) = fields.get("status").map(Field::keep) else {
        return Ok((if fields.get("location").is_some() { 302 } else { 200 }, None));
    };
    let digits = status.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let number = digits
        .map(|digits| digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
        // An interim answer is not the answer.
        .filter(|number| *number >= 200 || *number == 101 && expected.upgrade)
        .ok_or_else(|| HeadError::Status(text(&status)))?;
    let reason = (status.len() > 3).then(|| {
        let start = if status[3] == b' ' { 4 } else { 3 };
        status.slice(start..)
    });
    Ok((number, reason))
}

impl Head {
    fn read(
        status: u16,
        version: Version,
        reason: Option<Bytes>,
        fields: Fields,
        expected: Expectation,
    ) -> Result<Head, HeadError> {
        let (mut length, mut coding): (Option<&[u8]>, Option<&[u8]>) = (None, None);
        let mut close = version == Version::Http10;
        for field in fields.iter() {
            match field.name.len() {
                14 if field.is("content-length") => {
                    once(&mut length, "Content-Length", field.value)?;
                }
                17 if field.is("transfer-encoding") => {
                    once(&mut coding, "Transfer-Encoding", field.value)?;
                }
                10 if field.is("connection") => close |= has_token(field.value, "close"),
                _ => (),
            }
        }
        if length.is_some() && coding.is_some() {
            return Err(HeadError::LengthAndCoding);
        }
        let content_length = length.map(parse_length).transpose()?;
        if let Some(coding) = coding
            && !coding.eq_ignore_ascii_case(b"chunked")
        {
            return Err(HeadError::Coding(text(coding)));
        }
        let framing = match (content_length, coding) {
            _ if status == 101 && expected.upgrade => Framing::UntilClose,
            _ if !expected.has_body(status) => Framing::Length(0),
            (_, Some(_)) => Framing::Chunked(Chunked::new(LineEnds::Lenient)),
            (Some(length), None) => Framing::Length(length),
            (None, None) => Framing::UntilClose,
        };
        let keep = !close && status != 101 && !matches!(framing, Framing::UntilClose);
        Ok(Head { status, reason, fields, content_length, framing, keep, is_http09: false })
    }

    fn http09() -> Head {
        Head {
            status: 200,
            reason: None,
            fields: Fields::default(),
            content_length: None,
            framing: Framing::UntilClose,
            keep: false,
            is_http09: true,
        }
    }
}

fn once<'a>(place: &mut Option<&'a [u8]>, name: &str, value: &'a [u8]) -> Result<(), HeadError> {
    match place.replace(value) {
        None => Ok(()),
        Some(previous) => {
            let line = |value: &[u8]| format!("{name}: {}", text(value));
            Err(HeadError::Duplicate(line(value), line(previous)))
        }
    }
}

fn parse_length(value: &[u8]) -> Result<u64, HeadError> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number =
        std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    let number: Option<i64> = number;
    let number =
        number.ok_or_else(|| HeadError::Length(format!("Content-Length: {}", text(value))))?;
    Ok(number as u64)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn line_text(rest: &[u8]) -> String {
    let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
    text(&rest[..end.min(256)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expectation = Expectation { is_head: false, upgrade: false, limit: 4096 };

    fn read(text: &str) -> Result<Option<Head>, HeadError> {
        head(&mut BytesMut::from(text), Opening::StatusLine, EXPECTED)
    }

    #[track_caller]
    fn refuse(fields: &str, error: &str) {
        let refused = read(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"));
        assert_eq!(refused.err().expect("it is refused").to_string(), error);
    }

    #[test]
    fn interim_heads_are_passed_over_at_every_split() {
        let whole = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: a\r\n\r\n\
                     HTTP/1.1 200 Fine\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            let early = head(&mut buffer, Opening::StatusLine, EXPECTED).unwrap();
            buffer.extend_from_slice(&whole.as_bytes()[cut..]);
            let read = early
                .or_else(|| head(&mut buffer, Opening::StatusLine, EXPECTED).unwrap())
                .unwrap();
            assert_eq!(
                (read.status, read.reason.as_deref()),
                (200, Some(&b"Fine"[..])),
                "cut at {cut}"
            );
            assert!(matches!(read.framing, Framing::Length(3)));
            assert_eq!(&buffer[..], b"abc");
        }
    }

    #[test]
    fn two_answers_to_how_long_are_none() {
        refuse(
            "Content-Length: 1\r\nContent-Length: 1",
            "upstream sent duplicate header line: \"Content-Length: 1\", \
             previous value: \"Content-Length: 1\"",
        );
        refuse(
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
        );
        refuse(
            "Content-Length: +1",
            "upstream sent invalid \"Content-Length\" header: \"Content-Length: +1\"",
        );
        refuse("Transfer-Encoding: gzip", "upstream sent unknown \"Transfer-Encoding\": \"gzip\"");
        refuse("no colon", "upstream sent invalid header: \"no colon\"");
    }

    /// A CGI head, as a uwsgi server may send it, cut at every byte.
    #[track_caller]
    fn read_either(text: &str) -> Result<Head, HeadError> {
        let read = |parts: [&str; 2]| {
            let mut buffer = BytesMut::new();
            for part in parts {
                buffer.extend_from_slice(part.as_bytes());
                if let Some(head) = head(&mut buffer, Opening::Either, EXPECTED)? {
                    return Ok(head);
                }
            }
            panic!("{text:?} is complete");
        };
        let words = |read: &Result<Head, HeadError>| match read {
            Ok(head) => format!("{} {:?} {:?}", head.status, head.reason, head.fields),
            Err(error) => error.to_string(),
        };
        let whole = read([text, ""]);
        for cut in 0..text.len() {
            assert_eq!(words(&read([&text[..cut], &text[cut..]])), words(&whole), "cut at {cut}");
        }
        whole
    }

    #[test]
    fn a_status_is_in_the_line_or_in_a_field_or_in_neither() {
        let check = |text: &str, status: u16, reason: Option<&str>| {
            let read = read_either(text).unwrap();
            let said = read.reason.as_deref().map(String::from_utf8_lossy);
            assert_eq!((read.status, said.as_deref()), (status, reason), "{text:?}");
            assert!(!read.keep);
        };
        check("HTTP/1.1 404 Not Here\r\n\r\n", 404, Some("Not Here"));
        check("Status: 201 Made\r\nX: y\r\n\r\n", 201, Some("Made"));
        check("Status: 201\n\n", 201, None);
        check("Location: /x\n\n", 302, None);
        check("X: y\n\n", 200, None);
        check("\r\n", 200, None);
        for bad in ["20", "abc", "099 x", "103 Early", "101 x"] {
            let refused = read_either(&format!("Status: {bad}\n\n")).err();
            assert_eq!(refused, Some(HeadError::Status(bad.to_owned())));
        }
    }

    #[test]
    fn cgi_has_no_codings() {
        let read = read_either("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        assert!(matches!(read.framing, Framing::UntilClose));
        let length = read_either("Content-Length: 3\n\n").unwrap();
        assert!(matches!(length.framing, Framing::Length(3)));
    }

    #[test]
    fn what_is_no_http_is_a_body() {
        let read = read("<html>").unwrap().unwrap();
        assert!(read.is_http09 && !read.keep);
    }

    #[test]
    fn old_upstreams_close() {
        assert!(!read("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap().unwrap().keep);
        let close = "HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 0\r\n\r\n";
        assert!(!read(close).unwrap().unwrap().keep);
        assert!(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap().unwrap().keep);
    }

    #[test]
    fn a_head_has_a_limit() {
        let big = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(4096));
        assert_eq!(read(&big).err(), Some(HeadError::TooBig));
        assert_eq!(read(&big[..4096]).err(), Some(HeadError::TooBig));
    }
}
