//! The request line, RFC 9112 §3, and HTTP/0.9's, which has no version.

use std::ops::Range;

use memchr::memchr;

use crate::Newline;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    pub method: Range<usize>,
    /// Origin, absolute, authority or asterisk form, as it came.
    pub target: Range<usize>,
    pub version: Version,
    /// As it was written; empty in HTTP/0.9's line.
    pub version_text: Range<usize>,
    pub newline: Newline,
    /// Exactly one space between the parts, as the grammar has it.
    pub single_spaces: bool,
    /// Where the fields begin.
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `GET /path` and nothing else.
    Http09,
    Http10,
    /// 1.1, or a later minor version, which says it can be read as 1.1.
    Http11,
}

/// Why no hop may answer this request as if it were one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestLineError {
    #[error("invalid method")]
    Method,
    /// A control character or a space in the target, or no target.
    #[error("invalid request target")]
    Target,
    #[error("invalid HTTP version")]
    Version,
    /// HTTP/2 or later on a connection that speaks HTTP/1.
    #[error("unsupported HTTP version")]
    UnsupportedVersion,
}

/// What is taken beyond the usual, by a hop that was told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unconventional {
    /// Any token (RFC 9110 §5.6.2), lower case among it.
    pub method: bool,
    /// Any `HTTP/DIGIT.DIGIT`: below 1.1 it is read as 1.0, above as 1.1.
    pub version: bool,
}

/// Reads the line at the start of `buffer`, after any empty lines before it (RFC 9112 §2.2).
/// `None`: the line is not complete. A line that can no longer become good is refused before its end.
pub fn request_line(buffer: &[u8]) -> Result<Option<RequestLine>, RequestLineError> {
    unconventional_request_line(buffer, Unconventional::default())
}

/// The same, more or less strictly.
pub fn unconventional_request_line(
    buffer: &[u8],
    taken: Unconventional,
) -> Result<Option<RequestLine>, RequestLineError> {
    let is_method = if taken.method { is_token_byte } else { is_method };
    let start = buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let Some(start) = start else { return Ok(None) };
    let method_length = buffer[start..].iter().position(|byte| !is_method(*byte));
    let Some(method_length) = method_length else { return Ok(None) };
    let method = start..start + method_length;
    if method.is_empty() || buffer[method.end] != b' ' {
        return Err(RequestLineError::Method);
    }
    let Some(line_length) = memchr(b'\n', &buffer[start..]) else {
        // A line that waits for its end may still be long: the caller bounds it.
        return match buffer[method.end..].iter().find(|byte| is_control(**byte)) {
            Some(b'\r') | None => Ok(None),
            Some(_) => Err(RequestLineError::Target),
        };
    };
    let end = start + line_length + 1;
    let (newline, text_end) = match buffer[end - 2] {
        b'\r' => (Newline::CrLf, end - 2),
        _ => (Newline::Lf, end - 1),
    };
    let rest = method.end..text_end;
    let Some(target_start) = find(buffer, &rest, |byte| byte != b' ') else {
        return Err(RequestLineError::Target);
    };
    let target_end =
        find(buffer, &(target_start..text_end), |byte| byte == b' ').unwrap_or(text_end);
    let target = target_start..target_end;
    if buffer[target.clone()].iter().any(|byte| is_control(*byte)) {
        return Err(RequestLineError::Target);
    }
    let version_start = find(buffer, &(target_end..text_end), |byte| byte != b' ');
    let (version, version_text, single_spaces) = match version_start {
        None => {
            let single = target_end == text_end && target_start == method.end + 1;
            (Version::Http09, text_end..text_end, single)
        }
        Some(at) => {
            let padding = buffer[at..text_end].iter().rev().take_while(|byte| **byte == b' ');
            let padding = padding.count();
            let version_text = at..text_end - padding;
            let version = version(&buffer[version_text.clone()], taken)?;
            let single = target_start == method.end + 1 && at == target_end + 1 && padding == 0;
            (version, version_text, single)
        }
    };
    Ok(Some(RequestLine { method, target, version, version_text, newline, single_spaces, end }))
}

/// `HTTP/MAJOR.MINOR`.
fn version(text: &[u8], taken: Unconventional) -> Result<Version, RequestLineError> {
    if let (true, [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9']) =
        (taken.version, text)
    {
        let is_old = (*major, *minor) < (b'1', b'1');
        return Ok(if is_old { Version::Http10 } else { Version::Http11 });
    }
    let Some(numbers) = text.strip_prefix(b"HTTP/") else {
        // Something after the target that is no version: the target had a space in it.
        return Err(if text.starts_with(b"H") {
            RequestLineError::Version
        } else {
            RequestLineError::Target
        });
    };
    let dot = memchr(b'.', numbers).ok_or(RequestLineError::Version)?;
    let (major, minor) = (&numbers[..dot], &numbers[dot + 1..]);
    let digits = |text: &[u8]| (1..=3).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    if !digits(major) || !digits(minor) || major[0] == b'0' {
        return Err(RequestLineError::Version);
    }
    match (major, minor) {
        (b"1", b"0") => Ok(Version::Http10),
        (b"1", _) => Ok(Version::Http11),
        _ => Err(RequestLineError::UnsupportedVersion),
    }
}

/// nginx's set. RFC 9110's token is wider, but no method has ever used the rest.
fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-')
}

fn is_token_byte(byte: u8) -> bool {
    crate::is_token(&[byte])
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

fn find(buffer: &[u8], range: &Range<usize>, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    buffer[range.clone()].iter().position(|byte| wanted(*byte)).map(|at| range.start + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, method: &str, target: &str, version: Version) -> RequestLine {
        let read = request_line(line.as_bytes()).unwrap().unwrap();
        assert_eq!(&line[read.method.clone()], method);
        assert!(
            version == Version::Http09 || line[read.version_text.clone()].starts_with("HTTP/1.")
        );
        assert_eq!(&line[read.target.clone()], target);
        assert_eq!(read.version, version);
        assert_eq!(read.end, line.len());
        read
    }

    #[track_caller]
    fn refuse(line: &str, error: RequestLineError) {
        assert_eq!(request_line(line.as_bytes()), Err(error), "{line:?}");
    }

    #[test]
    fn the_usual_line() {
        let read = check("GET /a?b=c HTTP/1.1\r\n", "GET", "/a?b=c", Version::Http11);
        assert_eq!(read.newline, Newline::CrLf);
        assert!(read.single_spaces);
    }

    #[test]
    fn leniency_is_reported() {
        assert_eq!(check("GET / HTTP/1.0\n", "GET", "/", Version::Http10).newline, Newline::Lf);
        assert!(!check("GET  / HTTP/1.1\r\n", "GET", "/", Version::Http11).single_spaces);
        assert!(!check("GET /  HTTP/1.1 \r\n", "GET", "/", Version::Http11).single_spaces);
        check("\r\n\r\nGET / HTTP/1.1\r\n", "GET", "/", Version::Http11);
        check("GET /\r\n", "GET", "/", Version::Http09);
        check("GET / HTTP/1.2\r\n", "GET", "/", Version::Http11);
    }

    #[test]
    fn bytes_above_ascii_are_the_targets_own_business() {
        let line = b"GET /\xed\x8c\x8c<\"> HTTP/1.1\r\n";
        assert_eq!(&line[request_line(line).unwrap().unwrap().target], b"/\xed\x8c\x8c<\">");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        refuse("get / HTTP/1.1\r\n", RequestLineError::Method);
        refuse("\x16\x03\x01\x02\r\n", RequestLineError::Method);
        refuse("GET\r\n", RequestLineError::Method);
        refuse("GET \r\n", RequestLineError::Target);
        refuse("GET /a b HTTP/1.1\r\n", RequestLineError::Target);
        refuse("GET /a\tb HTTP/1.1\r\n", RequestLineError::Target);
        refuse("GET /a\0b", RequestLineError::Target);
        refuse("GET /a\rb HTTP/1.1\r\n", RequestLineError::Target);
        refuse("GET / HTTP/x\r\n", RequestLineError::Version);
        refuse("GET / HTTP/1.\r\n", RequestLineError::Version);
        refuse("GET / HTTP/0.9\r\n", RequestLineError::Version);
        refuse("GET / HTTP/2.0\r\n", RequestLineError::UnsupportedVersion);
    }

    #[test]
    fn the_unconventional_is_taken_where_it_is_asked_for() {
        let all = Unconventional { method: true, version: true };
        let read = |line: &str| {
            let read = unconventional_request_line(line.as_bytes(), all);
            read.map(|read| read.map(|read| (line[read.method].to_owned(), read.version)))
        };
        let taken = |method: &str, version| Ok(Some((method.to_owned(), version)));
        assert_eq!(read("get#1 / HTTP/1.1\r\n"), taken("get#1", Version::Http11));
        assert_eq!(read("GET / HTTP/3.0\r\n"), taken("GET", Version::Http11));
        assert_eq!(read("GET / HTTP/0.9\r\n"), taken("GET", Version::Http10));
        assert_eq!(read("GET / HTTP/10.0\r\n"), Err(RequestLineError::UnsupportedVersion));
        assert_eq!(read("G{T / HTTP/1.1\r\n"), Err(RequestLineError::Method));
    }

    #[test]
    fn every_split_waits_or_agrees() {
        let line = b"\r\nPOST /path?x=1 HTTP/1.1\r\n";
        for cut in 0..line.len() {
            assert_eq!(request_line(&line[..cut]), Ok(None), "cut at {cut}");
        }
        assert!(request_line(line).unwrap().is_some());
    }
}
