//! The head of a CGI response, RFC 3875 §6: fields, and `Status` among them in place of a status
//! line.
//!
//! What the fields mean to HTTP (which are hop-by-hop, how the body is framed) is for the hop that
//! turns them into HTTP. This only takes `Status` out of them.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http1::{FieldError, FieldLine, field_line};

/// A complete head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: u16,
    block: Bytes,
    reason: Range<usize>,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl ResponseHead {
    /// What stands after the number. Empty if nothing does.
    pub fn reason(&self) -> &[u8] {
        &self.block[self.reason.clone()]
    }

    /// Names and values in the sender's order and spelling, without the first `Status`: a second one
    /// is a field like any other.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let slice = |range: &Range<usize>| &self.block[range.clone()];
        self.fields.iter().map(move |(name, value)| (slice(name), slice(value)))
    }

    /// The first value under a name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

/// Why a head has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("invalid status \"{0}\" in the response head")]
    Status(String),
    #[error("{0} in the response head")]
    Field(#[from] FieldError),
    #[error("response head of more than {0} bytes")]
    TooLarge(usize),
}

/// Reads the head from the front of a stream.
#[derive(Debug)]
pub struct HeadReader {
    /// Bytes a head may have.
    limit: usize,
    /// What came so far, while the head is not complete.
    partial: BytesMut,
}

impl HeadReader {
    pub fn new(limit: usize) -> HeadReader {
        HeadReader { limit, partial: BytesMut::new() }
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Takes the next part of the stream. Once the head is complete: the head, and what of the body
    /// came with it. Nothing is copied if the first part has all of it.
    pub fn push(&mut self, part: Bytes) -> Result<Option<(ResponseHead, Bytes)>, HeadError> {
        let block = if self.partial.is_empty() {
            part
        } else {
            self.partial.extend_from_slice(&part);
            std::mem::take(&mut self.partial).freeze()
        };
        let parsed = parse(&block)?;
        let length = parsed.as_ref().map_or(block.len(), |(_, length)| *length);
        if length > self.limit {
            return Err(HeadError::TooLarge(self.limit));
        }
        let Some((head, length)) = parsed else {
            self.partial = block.into();
            return Ok(None);
        };
        Ok(Some((head, block.slice(length..))))
    }
}

fn parse(block: &Bytes) -> Result<Option<(ResponseHead, usize)>, HeadError> {
    let mut status = None;
    let mut fields = Vec::with_capacity(12);
    let mut at = 0;
    loop {
        match field_line(block, at)? {
            None => return Ok(None),
            Some(FieldLine::End { end }) => {
                // RFC 3875 §6.2.3: a redirect need not say 302.
                let redirects = |(name, _): &(Range<usize>, _)| {
                    block[name.clone()].eq_ignore_ascii_case(b"location")
                };
                let (status, reason) = match status {
                    Some(status) => status,
                    None if fields.iter().any(redirects) => (302, 0..0),
                    None => (200, 0..0),
                };
                let head = ResponseHead { status, block: block.slice(..end), reason, fields };
                return Ok(Some((head, end)));
            }
            Some(FieldLine::Field(field)) => {
                let is_status = block[field.name.clone()].eq_ignore_ascii_case(b"status");
                if is_status && status.is_none() {
                    status = Some(read_status(block, field.value)?);
                } else {
                    fields.push((field.name, field.value));
                }
                at = field.end;
            }
        }
    }
}

/// `200 OK`, `200 `, `200`.
fn read_status(block: &[u8], value: Range<usize>) -> Result<(u16, Range<usize>), HeadError> {
    let text = &block[value.clone()];
    let refused = || HeadError::Status(String::from_utf8_lossy(text).into_owned());
    let (digits, reason) = text.split_at_checked(3).ok_or_else(refused)?;
    let well_formed = digits.iter().all(u8::is_ascii_digit)
        && digits[0] != b'0'
        && reason.first().is_none_or(|byte| *byte == b' ');
    if !well_formed {
        return Err(refused());
    }
    let status = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Ok((status, (value.start + 4).min(value.end)..value.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 200;

    /// Reads `stream` whole, then cut in two at every byte, then byte by byte.
    #[track_caller]
    fn read(stream: &str) -> Result<Option<(ResponseHead, Bytes)>, HeadError> {
        let feed = |parts: &[&str]| {
            let mut reader = HeadReader::new(LIMIT);
            let mut body = Vec::new();
            let mut head = None;
            for part in parts.iter().filter(|part| !part.is_empty()) {
                let part = Bytes::copy_from_slice(part.as_bytes());
                if head.is_some() {
                    body.extend_from_slice(&part);
                } else if let Some((complete, rest)) = reader.push(part)? {
                    head = Some(complete);
                    body.extend_from_slice(&rest);
                }
            }
            Ok(head.map(|head| (head, Bytes::from(body))))
        };
        let whole = feed(&[stream]);
        for cut in 0..stream.len() {
            assert_eq!(feed(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&str> = stream.split("").collect();
        assert_eq!(feed(&bytes), whole);
        whole
    }

    #[test]
    fn a_head_and_the_start_of_the_body() {
        let stream = "Status: 404 Not Found\r\nContent-Type: text/plain\r\nSet-Cookie: a=1\r\n\
                      set-cookie: b=2\r\n\r\nbody\r\n\r\n";
        let (head, rest) = read(stream).unwrap().unwrap();
        assert_eq!((head.status, head.reason()), (404, &b"Not Found"[..]));
        let fields: Vec<_> = head.fields().collect();
        assert_eq!(fields[0], (&b"Content-Type"[..], &b"text/plain"[..]));
        assert_eq!(fields[2], (&b"set-cookie"[..], &b"b=2"[..]));
        assert_eq!(fields.len(), 3);
        assert_eq!(head.field("SET-COOKIE"), Some(&b"a=1"[..]));
        assert_eq!(&rest[..], b"body\r\n\r\n");
    }

    #[test]
    fn status_may_be_left_out() {
        let status = |stream| read(stream).unwrap().unwrap().0.status;
        assert_eq!(status("Content-Type: text/html\n\n"), 200);
        assert_eq!(status("Location: /there\n\n"), 302);
        assert_eq!(status("Location: /there\nStatus: 201\n\n"), 201);
        assert_eq!(status("\r\n"), 200);
    }

    #[test]
    fn a_second_status_is_a_field() {
        let (head, _) = read("Status: 200 OK\r\nstatus: 404 no\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.field("Status")), (200, Some(&b"404 no"[..])));
    }

    #[test]
    fn a_reason_may_be_left_out() {
        let reason = |stream| read(stream).unwrap().unwrap().0.reason().to_vec();
        assert_eq!(reason("Status: 200\r\n\r\n"), b"");
        assert_eq!(reason("Status: 200 \r\n\r\n"), b"");
        assert_eq!(reason("Status: 299 So so\r\n\r\n"), b"So so");
    }

    #[test]
    fn an_invalid_status_is_refused() {
        for status in ["", "20", "2000", "abc", "099 x", "200OK", "-20 x"] {
            let refused = read(&format!("Status: {status}\r\n\r\n"));
            assert_eq!(refused, Err(HeadError::Status(status.to_owned())));
        }
    }

    #[test]
    fn a_line_that_is_no_field_is_refused() {
        assert_eq!(read("<html>\r\n"), Err(HeadError::Field(FieldError::NoColon)));
        assert_eq!(read("X: a\0\r\n\r\n"), Err(HeadError::Field(FieldError::Value)));
    }

    #[test]
    fn a_head_without_end_is_refused_at_the_limit() {
        let endless = format!("X-Long: {}", "x".repeat(LIMIT));
        assert_eq!(read(&endless), Err(HeadError::TooLarge(LIMIT)));
        assert!(read(&endless[..LIMIT]).unwrap().is_none());
        let just = format!("X: {}\r\n\r\n{}", "x".repeat(LIMIT - 7), "body".repeat(LIMIT));
        assert!(read(&just).unwrap().is_some());
    }
}
