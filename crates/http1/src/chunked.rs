//! Chunked bodies, RFC 9112 §7.1: decoded from the buffer they were read into, without a copy.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

use crate::{FieldLine, field_line, is_field_value, is_token};

/// A size line longer than this is an attack: no sender needs extensions of kilobytes.
const MAX_LINE: usize = 4096;
/// All trailer lines together. They are read and dropped: no hop of ours forwards them.
const MAX_TRAILERS: usize = 8192;

/// How closely the framing has to follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnds {
    /// To the letter: CRLF only, and extensions and trailers that are some.
    Strict,
    /// A bare LF too, and anything for an extension or a trailer, as nginx takes it.
    Lenient,
}

/// Decodes one body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    line_ends: LineEnds,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    /// After a chunk's data, before the next size.
    DataEnd,
    Trailers,
    End,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    /// Read more into the buffer, then ask again.
    More,
    /// The body is complete. What is left in the buffer belongs to the next message.
    End,
}

/// Why the body's framing has no meaning. Where it ends can not be said, so the connection can not
/// be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("invalid chunk size")]
    Size,
    #[error("invalid chunk extension")]
    Extension,
    #[error("chunk size line too long")]
    LineTooLong,
    #[error("chunk data not followed by a line end")]
    DataEnd,
    #[error("invalid trailer field")]
    Trailer,
    #[error("trailers too large")]
    TrailersTooLarge,
    #[error("bare line feed in chunked framing")]
    BareLineFeed,
}

impl Chunked {
    pub fn new(line_ends: LineEnds) -> Chunked {
        Chunked { state: State::Size, line_ends, trailers: 0 }
    }

    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// Takes the next piece from the front of `buffer`.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Piece, ChunkError> {
        loop {
            match self.state {
                State::End => return Ok(Piece::End),
                State::Data(0) => self.state = State::DataEnd,
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(Piece::More);
                    }
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    self.state = State::Data(left - here as u64);
                    return Ok(Piece::Data(buffer.split_to(here).freeze()));
                }
                State::DataEnd => match buffer[..] {
                    [b'\r', b'\n', ..] => self.skip(buffer, 2, State::Size),
                    [b'\n', ..] if self.line_ends == LineEnds::Lenient => {
                        self.skip(buffer, 1, State::Size);
                    }
                    [] | [b'\r'] => return Ok(Piece::More),
                    _ => return Err(ChunkError::DataEnd),
                },
                State::Size => {
                    let Some((line, length)) = self.line(buffer)? else { return Ok(Piece::More) };
                    let size = chunk_size(&buffer[..line])?;
                    if self.line_ends == LineEnds::Strict {
                        let digits = buffer.iter().take_while(|byte| byte.is_ascii_hexdigit());
                        let extensions = &buffer[digits.count()..line];
                        are_extensions(extensions).then_some(()).ok_or(ChunkError::Extension)?;
                    }
                    let next = if size == 0 { State::Trailers } else { State::Data(size) };
                    self.skip(buffer, length, next);
                }
                State::Trailers => {
                    let Some((line, length)) = self.line(buffer)? else { return Ok(Piece::More) };
                    self.trailers += length;
                    if self.trailers > MAX_TRAILERS {
                        return Err(ChunkError::TrailersTooLarge);
                    }
                    if self.line_ends == LineEnds::Strict && line > 0 {
                        is_trailer(&buffer[..length]).then_some(()).ok_or(ChunkError::Trailer)?;
                    }
                    self.skip(buffer, length, if line == 0 { State::End } else { State::Trailers });
                }
            }
        }
    }

    fn skip(&mut self, buffer: &mut BytesMut, bytes: usize, next: State) {
        buffer.advance(bytes);
        self.state = next;
    }

    /// The line at the front: its length without and with its end.
    fn line(&self, buffer: &BytesMut) -> Result<Option<(usize, usize)>, ChunkError> {
        let window = &buffer[..buffer.len().min(MAX_LINE)];
        let Some(at) = memchr(b'\n', window) else {
            if window.len() == MAX_LINE {
                return Err(ChunkError::LineTooLong);
            }
            // Refuse at once a size that no further byte can mend.
            if self.state == State::Size && !window.is_empty() && window != b"\r" {
                chunk_size(window.strip_suffix(b"\r").unwrap_or(window))?;
            }
            return Ok(None);
        };
        match at.checked_sub(1).map(|before| window[before]) {
            Some(b'\r') => Ok(Some((at - 1, at + 1))),
            _ if self.line_ends == LineEnds::Lenient => Ok(Some((at, at + 1))),
            _ => Err(ChunkError::BareLineFeed),
        }
    }
}

/// Hexadecimal, then perhaps white space and extensions, which are ignored.
fn chunk_size(line: &[u8]) -> Result<u64, ChunkError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = &line[digits..];
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let extension = &rest[blanks..];
    let well_formed = extension.is_empty() || extension[0] == b';';
    // Fifteen digits keep the number, and every sum with it, far from overflow.
    if digits == 0 || digits > 15 || !well_formed || extension.contains(&b'\r') {
        return Err(ChunkError::Size);
    }
    Ok(line[..digits].iter().fold(0, |size, digit| {
        let value = char::from(*digit).to_digit(16).expect("a hexadecimal digit");
        size << 4 | u64::from(value)
    }))
}

/// RFC 9112 §7.1.1: names, perhaps with values, each behind a semicolon.
fn are_extensions(text: &[u8]) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let Some(after) = without_blanks(rest).strip_prefix(b";") else { return false };
        let Some(after) = after_token(without_blanks(after)) else { return false };
        rest = match without_blanks(after).strip_prefix(b"=").map(without_blanks) {
            None => after,
            Some(value) => match after_token(value).or_else(|| after_quoted(value)) {
                None => return false,
                Some(after) => after,
            },
        };
    }
    true
}

fn without_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[blanks..]
}

/// What follows the token that `text` begins with.
fn after_token(text: &[u8]) -> Option<&[u8]> {
    let length = text.iter().take_while(|byte| is_token(&[**byte])).count();
    (length > 0).then(|| &text[length..])
}

/// What follows the quoted string (RFC 9110 §5.6.4) that `text` begins with.
fn after_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', quoted, after @ ..] if is_field_value(&[*quoted]) => after,
            [byte, after @ ..] if *byte != b'\\' && is_field_value(&[*byte]) => after,
            _ => return None,
        };
    }
}

/// A field that may come after its body: those that say how a message is framed, routed or
/// authenticated may not (RFC 9110 §6.5.1).
fn is_trailer(line: &[u8]) -> bool {
    let early: [&[u8]; 6] =
        [b"host", b"content-length", b"transfer-encoding", b"trailer", b"authorization", b"te"];
    match field_line(line, 0) {
        Ok(Some(FieldLine::Field(field))) => {
            let (name, value) = (&line[field.name], &line[field.value]);
            is_token(name)
                && is_field_value(value)
                && !early.iter().any(|early| name.eq_ignore_ascii_case(early))
        }
        _ => false,
    }
}

/// `SIZE CRLF`, for a sender: the head of one chunk, written before its data.
pub fn chunk_head(size: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[size >> (place * 4) & 0xf]);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]], ends: LineEnds) -> Result<(Vec<u8>, BytesMut, bool), ChunkError> {
        let mut chunked = Chunked::new(ends);
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Piece::Data(data) = chunked.next(&mut buffer)? {
                body.extend_from_slice(&data);
            }
        }
        Ok((body, buffer, chunked.is_end()))
    }

    const BODY: &[u8] =
        b"5 ;a=b;c ; d=\"e\\\" f\"\r\nhello\r\n00A\r\n, world!!!\r\n0\r\nX: y\r\n\r\nGET";

    #[test]
    fn every_split_gives_the_same_body() {
        for cut in 0..=BODY.len() {
            let (body, rest, end) =
                decode(&[&BODY[..cut], &BODY[cut..]], LineEnds::Strict).unwrap();
            assert_eq!(body, b"hello, world!!!", "cut at {cut}");
            assert_eq!((&rest[..], end), (&b"GET"[..], true));
        }
        let bytes: Vec<&[u8]> = BODY.chunks(1).collect();
        assert_eq!(decode(&bytes, LineEnds::Strict).unwrap().0, b"hello, world!!!");
    }

    #[test]
    fn a_bare_line_feed_is_for_the_lenient() {
        let body: &[u8] = b"3\nabc\n0\n\n";
        assert_eq!(decode(&[body], LineEnds::Lenient).unwrap().0, b"abc");
        assert_eq!(decode(&[body], LineEnds::Strict), Err(ChunkError::BareLineFeed));
    }

    #[test]
    fn framing_without_meaning_is_refused() {
        let refuse = |body: &[u8], error| {
            assert_eq!(decode(&[body], LineEnds::Strict).unwrap_err(), error, "{body:?}");
        };
        refuse(b"x\r\n", ChunkError::Size);
        refuse(b"-1\r\n", ChunkError::Size);
        refuse(b"0x5\r\nhello", ChunkError::Size);
        refuse(b"+5\r\nhello", ChunkError::Size);
        refuse(b"\r\n", ChunkError::Size);
        refuse(b"5 5\r\n", ChunkError::Size);
        refuse(b"1000000000000000\r\n", ChunkError::Size);
        refuse(b"g", ChunkError::Size);
        refuse(b"3\r\nabcd\r\n", ChunkError::DataEnd);
        refuse(&[b'1'; 5000], ChunkError::LineTooLong);
        for extensions in
            [" ", ";", ";a ", ";a=", ";a=\"b", ";a=\"b\\", ";(", "; a=b c", ";a=\"\x01\""]
        {
            let line = format!("5{extensions}\r\nhello\r\n");
            refuse(line.as_bytes(), ChunkError::Extension);
            assert!(decode(&[line.as_bytes()], LineEnds::Lenient).is_ok(), "{line:?}");
        }
        for trailer in ["X", "X : y", " X: y", "X: \x01", "X(: y", "Host: a", "TE: b"] {
            refuse(format!("0\r\n{trailer}\r\n\r\n").as_bytes(), ChunkError::Trailer);
        }
        let mut trailers = b"0\r\n".to_vec();
        trailers.extend(b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(300));
        refuse(&trailers, ChunkError::TrailersTooLarge);
    }

    #[test]
    fn heads_are_hexadecimal() {
        let head = |size| {
            let mut out = Vec::new();
            chunk_head(size, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(head(0), "0\r\n");
        assert_eq!(head(15), "f\r\n");
        assert_eq!(head(16), "10\r\n");
        assert_eq!(head(65536), "10000\r\n");
    }
}
