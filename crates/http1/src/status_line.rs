//! The status line, RFC 9112 §4, as an upstream sends it.

use std::ops::Range;

use memchr::memchr;

use crate::Version;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLine {
    pub version: Version,
    pub status: u16,
    /// May be empty.
    pub reason: Range<usize>,
    /// Where the fields begin.
    pub end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no valid status line")]
pub struct StatusLineError;

/// `None`: the line is not complete, but what is there could become one.
pub fn status_line(buffer: &[u8]) -> Result<Option<StatusLine>, StatusLineError> {
    const SHAPE: &[u8] = b"HTTP/1.x ddd";
    for (byte, shape) in buffer.iter().zip(SHAPE) {
        let fits = match shape {
            b'x' | b'd' => byte.is_ascii_digit(),
            shape => byte == shape,
        };
        if !fits {
            return Err(StatusLineError);
        }
    }
    let Some(after) = buffer.get(SHAPE.len()..) else { return Ok(None) };
    match after.first() {
        None => return Ok(None),
        Some(b' ' | b'\r' | b'\n') => (),
        Some(_) => return Err(StatusLineError),
    }
    let Some(length) = memchr(b'\n', after) else { return Ok(None) };
    let end = SHAPE.len() + length + 1;
    let text_end = if buffer[end - 2] == b'\r' { end - 2 } else { end - 1 };
    let reason_start = (SHAPE.len() + 1).min(text_end);
    let version = if buffer[7] == b'0' { Version::Http10 } else { Version::Http11 };
    let status =
        buffer[9..12].iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    if status < 100 {
        return Err(StatusLineError);
    }
    Ok(Some(StatusLine { version, status, reason: reason_start..text_end, end }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, status: u16, reason: &str) {
        let read = status_line(line.as_bytes()).unwrap().unwrap();
        assert_eq!((read.status, &line[read.reason]), (status, reason));
        assert_eq!(read.end, line.len());
        for cut in 0..line.len() {
            assert_eq!(status_line(&line.as_bytes()[..cut]), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn lines_upstreams_send() {
        check("HTTP/1.1 200 OK\r\n", 200, "OK");
        check("HTTP/1.0 404 Not Found\n", 404, "Not Found");
        check("HTTP/1.1 204\r\n", 204, "");
        check("HTTP/1.1 204 \r\n", 204, "");
    }

    #[test]
    fn what_is_no_status_line() {
        let all =
            ["<html>", "HTTP/2 200", "HTTP/1.1 20", "HTTP/1.1 2000 x\r\n", "HTTP/1.1 099 \r\n"];
        for line in all {
            let read = status_line(line.as_bytes());
            assert!(read == Err(StatusLineError) || read == Ok(None), "{line:?}");
        }
        assert_eq!(status_line(b"<html>"), Err(StatusLineError));
    }
}
