//! What a head means to the connection: where the path and the query are, how long the body is,
//! whether another request follows. Whatever could mean two things is refused.

use std::ops::Range;

use bytes::Bytes;
use http1::{RequestLine, Version};

use super::{Framing, Head, Limits, Refusal, Scheme, bad, invalid_header};

/// What the fields mean to the connection.
pub(super) fn interpret(
    bytes: Bytes,
    line: RequestLine,
    all: Vec<(Range<usize>, Range<usize>)>,
    limits: &Limits,
) -> Result<Head, Refusal> {
    let (path, query) = split_target(&bytes, &line)?;
    let mut head = Head {
        method: line.method,
        target: line.target,
        path,
        query,
        version: line.version,
        fields: all,
        dropped: Vec::new(),
        host: None,
        script_name: None,
        framing: Framing::Length(0),
        scheme: limits.scheme,
        keep_alive: line.version == Version::Http11,
        expects_continue: false,
        bytes,
    };
    let bytes = head.bytes.clone();
    let mut seen = Seen::default();
    let mut refusal = None;
    head.fields.retain(|(name, value)| {
        let kept = (|| {
            let field = (&bytes[name.clone()], &bytes[value.clone()]);
            if memchr::memchr(b'_', field.0).is_some() {
                if limits.trusted && field.0.eq_ignore_ascii_case(b"script_name") {
                    head.script_name = Some(value.clone());
                    return Ok(true);
                }
                head.dropped.push(name.clone());
                return Ok(false);
            }
            seen.field(field, value, head.version, limits.trusted)?;
            Ok(true)
        })();
        kept.unwrap_or_else(|error: Refusal| {
            refusal.get_or_insert(error);
            false
        })
    });
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    if head.version == Version::Http11 && seen.host.is_none() {
        return Err(bad("Invalid HTTP Header: no 'HOST'"));
    }
    head.framing = match (seen.chunked, seen.length) {
        // RFC 9112 §6.1: whichever of the two was meant, somebody before us may have meant the other.
        (true, Some(_)) => return Err(invalid_header("CONTENT-LENGTH")),
        (true, None) => Framing::Chunked,
        (false, length) => Framing::Length(length.unwrap_or(0)),
    };
    head.host = seen.host;
    head.scheme = seen.scheme.unwrap_or(limits.scheme);
    head.keep_alive = match (seen.close, seen.keep_alive) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => head.keep_alive,
    };
    head.expects_continue = seen.expects_continue && head.framing != Framing::Length(0);
    Ok(head)
}

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one field of the request that was there or not"
)]
struct Seen {
    host: Option<Range<usize>>,
    content_type: bool,
    length: Option<u64>,
    chunked: bool,
    scheme: Option<Scheme>,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Seen {
    fn field(
        &mut self,
        (name, value): (&[u8], &[u8]),
        place: &Range<usize>,
        version: Version,
        trusted: bool,
    ) -> Result<(), Refusal> {
        // By length first: most fields are none of these.
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            4 if is(b"host") => {
                if self.host.is_some() || !is_host(value) {
                    return Err(invalid_header("HOST"));
                }
                self.host = Some(place.clone());
            }
            6 if is(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    let value = value.escape_ascii();
                    let message = format!("Unable to comply with expectation: '{value}'");
                    return Err(Refusal::new(417, message));
                }
                // RFC 9110 §10.1.1: from HTTP/1.0 it is ignored.
                self.expects_continue = version == Version::Http11;
            }
            10 if is(b"connection") => {
                for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            12 if is(b"content-type") => {
                let again = std::mem::replace(&mut self.content_type, true);
                return if again { Err(invalid_header("CONTENT-TYPE")) } else { Ok(()) };
            }
            14 if is(b"content-length") => {
                // Twice is refused even where both agree: nobody has a reason to.
                let length = content_length(value).filter(|_| self.length.is_none());
                self.length = Some(length.ok_or_else(|| invalid_header("CONTENT-LENGTH"))?);
            }
            17 if is(b"transfer-encoding") => self.transfer_encoding(value, version)?,
            17 if trusted && is(b"x-forwarded-proto") => self.said(value == b"https")?,
            15 if trusted && is(b"x-forwarded-ssl") => self.said(value == b"on")?,
            20 if trusted && is(b"x-forwarded-protocol") => self.said(value == b"ssl")?,
            _ => (),
        }
        Ok(())
    }

    /// A proxy's word on how the client came. Two that disagree are worse than none.
    fn said(&mut self, secure: bool) -> Result<(), Refusal> {
        let scheme = if secure { Scheme::Https } else { Scheme::Http };
        if self.scheme.is_some_and(|said| said != scheme) {
            return Err(bad("Contradictory scheme headers"));
        }
        self.scheme = Some(scheme);
        Ok(())
    }

    /// Only `chunked`, once, from HTTP/1.1. Other codings come before it or not at all.
    fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), Refusal> {
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).peekable();
        while let Some(coding) = codings.next() {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
            let is_identity = coding.eq_ignore_ascii_case(b"identity");
            if is_chunked || is_identity || coding.is_empty() {
                let is_good = is_chunked
                    && !self.chunked
                    && version == Version::Http11
                    && codings.peek().is_none();
                if !is_good {
                    return Err(invalid_header("TRANSFER-ENCODING"));
                }
                self.chunked = true;
            } else {
                let value = value.escape_ascii();
                return Err(Refusal::new(501, format!("Unsupported transfer coding: '{value}'")));
            }
        }
        Ok(())
    }
}

fn content_length(value: &[u8]) -> Option<u64> {
    // Eighteen digits keep every sum with it far from overflow.
    let well_formed = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    well_formed.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// RFC 3986 §3.2.2 and a port. Empty is allowed: a target may have no authority.
fn is_host(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
}

/// RFC 9112 §3.2: which form the target has, and where its path and query are.
fn split_target(
    bytes: &Bytes,
    line: &RequestLine,
) -> Result<(Range<usize>, Range<usize>), Refusal> {
    let target = &bytes[line.target.clone()];
    let invalid = || {
        let text = bytes[line.method.start..line.target.end].escape_ascii();
        bad(format!("Invalid HTTP request line: '{text}'"))
    };
    let is_connect = &bytes[line.method.clone()] == b"CONNECT";
    let path_start = match target {
        _ if is_connect => {
            return Err(Refusal::new(501, "CONNECT needs a proxy, which this is not"));
        }
        [b'/', ..] => 0,
        b"*" if &bytes[line.method.clone()] == b"OPTIONS" => 0,
        _ => {
            // Absolute form, as it is sent to proxies. What counts is the path.
            let authority = [&b"http://"[..], b"https://"]
                .into_iter()
                .find(|scheme| {
                    target
                        .get(..scheme.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
                })
                .ok_or_else(invalid)?
                .len();
            let length = target[authority..].iter().position(|byte| b"/?#".contains(byte));
            let path = authority + length.unwrap_or(target.len() - authority);
            if !is_host(&target[authority..path]) || path == authority {
                return Err(invalid());
            }
            path
        }
    };
    // A fragment is the browser's own business; RAW_URI still has it.
    let end = memchr::memchr(b'#', target).unwrap_or(target.len());
    let question = memchr::memchr(b'?', &target[path_start..end]).map(|at| path_start + at);
    let base = line.target.start;
    let path = base + path_start..base + question.unwrap_or(end);
    let query = question.map_or(base + end, |at| base + at + 1)..base + end;
    Ok((path, query))
}
