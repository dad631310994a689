//! A request's head, read as strictly as RFC 9112 lets a server be.
//!
//! Two hops that disagree about where a request ends can be made to disagree about whose it is. So
//! whatever leaves room for two readings is refused here, before anybody is asked to answer it; and
//! what has one reading is kept as it came. The messages are gunicorn's, as are the limits.

use std::{fmt, ops::Range};

use bytes::{Bytes, BytesMut};
use http1::{
    FieldError, FieldLine, Newline, RequestLine, RequestLineError, Version, field_line,
    is_field_value, is_token, request_line,
};

use crate::settings::Settings;

/// The bounds of a head, and whether the peer may speak for others.
pub(crate) struct Limits {
    line: usize,
    fields: usize,
    field: usize,
    trusted: bool,
}

impl Limits {
    pub(crate) fn new(settings: &Settings, trusted: bool) -> Limits {
        /// The longest line gunicorn's own parser takes.
        const LONGEST: usize = 8190;
        Limits {
            line: settings.limit_request_line.unwrap_or(LONGEST).min(LONGEST),
            fields: settings.limit_request_fields,
            field: settings.limit_request_field_size,
            trusted,
        }
    }
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
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
    fields: Vec<(Range<usize>, Range<usize>)>,
    /// Names that CGI could not tell from others.
    dropped: Vec<Range<usize>>,
    host: Option<Range<usize>>,
    /// The one header with an underscore that a proxy of ours may send.
    script_name: Option<Range<usize>>,
    framing: Framing,
    scheme: Scheme,
    keep_alive: bool,
    expects_continue: bool,
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

    pub(crate) fn protocol(&self) -> &'static str {
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
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into() }
    }

    pub(super) fn request_timeout() -> Refusal {
        Refusal::new(408, "the request did not come to its end in time")
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message)
}

fn invalid_header(name: &str) -> Refusal {
    bad(format!("Invalid HTTP Header: '{name}'"))
}

/// Reads one head. What was read stays read: a client that sends byte by byte is not read anew from
/// the start each time.
pub(crate) struct HeadReader<'a> {
    limits: &'a Limits,
    line: Option<RequestLine>,
    at: usize,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> HeadReader<'a> {
    pub(crate) fn new(limits: &'a Limits) -> HeadReader<'a> {
        HeadReader { limits, line: None, at: 0, fields: Vec::with_capacity(16) }
    }

    /// Takes the head from the front of `buffer` once all of it is there.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Refusal> {
        if self.line.is_none() {
            let Some(line) = self.request_line(buffer)? else { return Ok(None) };
            self.at = line.end;
            self.line = Some(line);
        }
        while let Some(line) = self.field(buffer)? {
            let field = match line {
                FieldLine::Field(field) => field,
                FieldLine::End { end } => {
                    let line = self.line.take().expect("it was read before the fields");
                    let bytes = buffer.split_to(end).freeze();
                    let fields = std::mem::take(&mut self.fields);
                    return interpret(bytes, line, fields, self.limits).map(Some);
                }
            };
            let name = &buffer[field.name.clone()];
            if !is_token(name) {
                let name = name.escape_ascii();
                return Err(bad(format!("Invalid HTTP header name: '{name}'")));
            }
            if !is_field_value(&buffer[field.value.clone()]) {
                return Err(invalid_header(&name.escape_ascii().to_string()));
            }
            if self.fields.len() == self.limits.fields {
                return Err(too_large("limit request headers fields"));
            }
            self.fields.push((field.name, field.value));
            self.at = field.end;
        }
        Ok(None)
    }

    fn request_line(&self, buffer: &[u8]) -> Result<Option<RequestLine>, Refusal> {
        // RFC 9112 §2.2: one empty line before it, from clients that end a body with a line end.
        let start = match buffer {
            [b'\r', b'\n', b'\r' | b'\n', ..] | [b'\n', ..] | [b'\r', 0..=9 | 11..=255, ..] => {
                return Err(bad("Invalid HTTP request line: ''"));
            }
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        let shown = |line: &[u8]| {
            const MOST: usize = 120;
            let end = line.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let line = &line[..end.unwrap_or(line.len()).min(MOST)];
            line.escape_ascii().to_string()
        };
        let invalid = || bad(format!("Invalid HTTP request line: '{}'", shown(&buffer[start..])));
        let line = match request_line(buffer) {
            Ok(line) => line,
            Err(RequestLineError::Method) => {
                let method = buffer[start..].split(|byte| *byte == b' ').next();
                let method = shown(method.unwrap_or_default());
                return Err(bad(format!("Invalid HTTP method: '{method}'")));
            }
            Err(RequestLineError::Version | RequestLineError::UnsupportedVersion) => {
                return Err(bad(format!("Invalid HTTP Version: '{}'", shown(&buffer[start..]))));
            }
            Err(RequestLineError::Target) => return Err(invalid()),
        };
        let length = line.as_ref().map_or(buffer.len() - start, |line| line.end - start - 2);
        if length > self.limits.line {
            let limit = self.limits.line;
            return Err(Refusal::new(
                414,
                format!("Request Line is too large ({length} > {limit})"),
            ));
        }
        let Some(line) = line else { return Ok(None) };
        if line.newline == Newline::Lf || !line.single_spaces || line.version == Version::Http09 {
            return Err(invalid());
        }
        if !(3..=20).contains(&line.method.len()) {
            let method = shown(&buffer[line.method]);
            return Err(bad(format!("Invalid HTTP method: '{method}'")));
        }
        // RFC 9112 §3.2: everything else is sent percent-encoded.
        if !buffer[line.target.clone()].iter().all(u8::is_ascii_graphic) {
            return Err(invalid());
        }
        Ok(Some(line))
    }

    fn field(&self, buffer: &[u8]) -> Result<Option<FieldLine>, Refusal> {
        let line = match field_line(buffer, self.at) {
            Ok(line) => line,
            Err(error) => return Err(self.refused_field(buffer, error)),
        };
        let end = match &line {
            None => buffer.len(),
            Some(FieldLine::Field(field)) => field.end,
            Some(FieldLine::End { end }) => *end,
        };
        if end - self.at > self.limits.field {
            return Err(too_large("limit request headers fields size"));
        }
        let is_bare = match &line {
            None => false,
            Some(FieldLine::Field(field)) => field.newline == Newline::Lf,
            Some(FieldLine::End { end }) => end - self.at != 2,
        };
        if is_bare {
            return Err(bad("Invalid HTTP Header: 'bare LF as line terminator'"));
        }
        Ok(line)
    }

    fn refused_field(&self, buffer: &[u8], error: FieldError) -> Refusal {
        let line = buffer[self.at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let name = &name[..name.len().min(120)];
        match error {
            FieldError::Name if matches!(line.first(), Some(b' ' | b'\t')) => {
                let name = self.fields.last().map_or(&b""[..], |(name, _)| &buffer[name.clone()]);
                let name = name.escape_ascii();
                bad(format!("Obsolete line folding is unacceptable: '{name}'"))
            }
            FieldError::Name => bad(format!("Invalid HTTP header name: '{}'", name.escape_ascii())),
            FieldError::NoColon | FieldError::Value => {
                invalid_header(&name.escape_ascii().to_string())
            }
        }
    }
}

fn too_large(what: &str) -> Refusal {
    Refusal::new(431, format!("Error parsing headers: '{what}'"))
}

/// What the fields mean to the connection.
fn interpret(
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
        scheme: Scheme::Http,
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
    head.scheme = seen.scheme.unwrap_or(Scheme::Http);
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { line: 200, fields: 8, field: 100, trusted: false };

    fn read_pieces(pieces: &[&[u8]], limits: &Limits) -> Result<Option<(Head, BytesMut)>, Refusal> {
        let mut reader = HeadReader::new(limits);
        let mut buffer = BytesMut::new();
        for (index, piece) in pieces.iter().enumerate() {
            buffer.extend_from_slice(piece);
            if let Some(head) = reader.read(&mut buffer)? {
                pieces[index + 1..].iter().for_each(|rest| buffer.extend_from_slice(rest));
                return Ok(Some((head, buffer)));
            }
        }
        Ok(None)
    }

    #[track_caller]
    fn good(text: &str) -> Head {
        read_pieces(&[text.as_bytes()], &LIMITS).unwrap().expect("it is complete").0
    }

    #[track_caller]
    fn refused(text: &str, status: u16, message: &str) {
        let refusal = read_pieces(&[text.as_bytes()], &LIMITS).map(|head| head.is_some());
        let refusal = refusal.expect_err(&format!("{text:?} is refused"));
        assert_eq!(refusal.status, status, "{text:?}: {refusal}");
        assert!(refusal.message.contains(message), "{text:?}: {refusal}");
        // Byte by byte it must not pass either.
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert!(read_pieces(&bytes, &LIMITS).is_err(), "{text:?} byte by byte");
    }

    #[test]
    fn a_head_is_the_same_however_it_is_cut() {
        let text: &[u8] = b"\r\nPOST /a%20b?c=d#e HTTP/1.1\r\nHost: x:80\r\nX_Y: 1\r\n\
                            Content-Length: 3\r\nConnection: close\r\n\r\nabcGET";
        for cut in 0..=text.len() {
            let (head, rest) =
                read_pieces(&[&text[..cut], &text[cut..]], &LIMITS).unwrap().unwrap();
            assert_eq!((head.path(), head.query()), (&b"/a%20b"[..], &b"c=d"[..]), "cut at {cut}");
            assert_eq!(head.target(), b"/a%20b?c=d#e");
            assert_eq!((head.host(), head.framing()), (Some(&b"x:80"[..]), Framing::Length(3)));
            assert!(!head.wants_keep_alive());
            assert_eq!(head.dropped().collect::<Vec<_>>(), [b"X_Y"]);
            assert_eq!(head.field(b"x_y"), None);
            assert_eq!(&rest[..], b"abcGET");
        }
    }

    #[test]
    fn targets() {
        let target = |target: &str| {
            let head = good(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (text(head.path()), text(head.query()))
        };
        assert_eq!(target("/"), ("/".into(), String::new()));
        assert_eq!(target("//a?b?c"), ("//a".into(), "b?c".into()));
        assert_eq!(target("http://other:1/x?y"), ("/x".into(), "y".into()));
        assert_eq!(target("HTTP://other"), (String::new(), String::new()));
        let asterisk = good("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(asterisk.path(), b"*");
        for bad in ["*", "a.html", "host:80", "ftp://x/", "http:///x", "http://a b/"] {
            refused(&format!("GET {bad} HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "request line");
        }
        refused("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
        refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "CONNECT");
    }

    #[test]
    fn persistence() {
        let keeps = |head: &str| good(&format!("GET / {head}\r\n\r\n")).wants_keep_alive();
        assert!(keeps("HTTP/1.1\r\nHost: a"));
        assert!(!keeps("HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Close"));
        assert!(!keeps("HTTP/1.0"));
        assert!(keeps("HTTP/1.0\r\nConnection: Keep-Alive"));
    }

    #[test]
    fn request_lines_nobody_may_answer() {
        let line = |line: &str, message: &str| {
            refused(&format!("{line}\r\nHost: a\r\n\r\n"), 400, message);
        };
        line("get / HTTP/1.1", "method");
        line("G / HTTP/1.1", "method");
        line("GET  / HTTP/1.1", "request line");
        line("GET / HTTP/1.1 ", "request line");
        line("GET /", "request line");
        line("GET / HTTP/2.0", "Version");
        line("GET / HTTP/1", "Version");
        line("GET /\tx HTTP/1.1", "request line");
        refused("GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "request line");
        refused("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
        refused("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request line");
    }

    #[test]
    fn fields_nobody_may_answer() {
        let field = |field: &str, status: u16, message: &str| {
            refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"), status, message);
        };
        field(" folded: x", 400, "Obsolete line folding is unacceptable: 'Host'");
        field("X: a\r\n b", 400, "folding");
        field("X : a", 400, "header name");
        field("X(: a", 400, "header name");
        field(": a", 400, "header name");
        field("X", 400, "Invalid HTTP Header");
        field("X: a\rb", 400, "Invalid HTTP Header");
        field("X: a\u{1}b", 400, "Invalid HTTP Header");
        field("Host: a", 400, "HOST");
        field("Content-Type: a\r\nContent-Type: a", 400, "CONTENT-TYPE");
        field("Expect: x", 417, "expectation");
        refused("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400, "bare LF");
        refused("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "bare LF");
        refused("GET / HTTP/1.1\r\n\r\n", 400, "HOST");
        refused("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "HOST");
        refused("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "HOST");
    }

    #[test]
    fn bodies_of_two_lengths() {
        let fields = |fields: &str, status: u16, message: &str| {
            refused(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n"), status, message);
        };
        fields("Content-Length: 5\r\nContent-Length: 6", 400, "CONTENT-LENGTH");
        fields("Content-Length: 5\r\nContent-Length: 5", 400, "CONTENT-LENGTH");
        fields("Content-Length: 5, 5", 400, "CONTENT-LENGTH");
        fields("Content-Length: +5", 400, "CONTENT-LENGTH");
        fields("Content-Length: -1", 400, "CONTENT-LENGTH");
        fields("Content-Length: 0x5", 400, "CONTENT-LENGTH");
        fields("Content-Length:", 400, "CONTENT-LENGTH");
        fields("Content-Length: 9999999999999999999", 400, "CONTENT-LENGTH");
        fields("Content-Length: 5\r\nTransfer-Encoding: chunked", 400, "CONTENT-LENGTH");
        fields("Transfer-Encoding: chunked\r\nContent-Length: 5", 400, "CONTENT-LENGTH");
        fields("Transfer-Encoding: chunked, chunked", 400, "TRANSFER-ENCODING");
        fields(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
            "TRANSFER-ENCODING",
        );
        fields("Transfer-Encoding: chunked, identity", 400, "TRANSFER-ENCODING");
        fields("Transfer-Encoding: identity", 400, "TRANSFER-ENCODING");
        fields("Transfer-Encoding:", 400, "TRANSFER-ENCODING");
        fields("Transfer-Encoding: chunked;a=b", 501, "transfer coding");
        fields("Transfer-Encoding: xchunked", 501, "transfer coding");
        fields("Transfer-Encoding: gzip, chunked", 501, "transfer coding");
        refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "TRANSFER-ENCODING");
        let chunked = good("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n");
        assert_eq!(chunked.framing(), Framing::Chunked);
    }

    #[test]
    fn limits() {
        let long = "x".repeat(200);
        refused(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "too large (214 > 200)");
        refused(&format!("GET /{long}{long}"), 414, "too large");
        refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431, "fields size");
        refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431, "fields size");
        let many = "X: y\r\n".repeat(8);
        refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "headers fields");
        let as_many = "X: y\r\n".repeat(7);
        good(&format!("GET / HTTP/1.1\r\nHost: a\r\n{as_many}\r\n"));
    }

    #[test]
    fn only_the_trusted_speak_for_others() {
        let text = "GET /app/x HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                    SCRIPT_NAME: /app\r\nX_User: root\r\n\r\n";
        let head = good(text);
        assert_eq!((head.scheme(), head.script_name()), (Scheme::Http, None));
        assert_eq!(head.dropped().count(), 2);
        let trusting = Limits { trusted: true, ..LIMITS };
        let (head, _) = read_pieces(&[text.as_bytes()], &trusting).unwrap().unwrap();
        assert_eq!((head.scheme(), head.script_name()), (Scheme::Https, Some(&b"/app"[..])));
        assert_eq!(head.dropped().collect::<Vec<_>>(), [b"X_User"]);
        let torn = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\
                    X-Forwarded-Protocol: http\r\n\r\n";
        let refusal = read_pieces(&[torn.as_bytes()], &trusting).map(|_| ()).unwrap_err();
        assert_eq!(refusal.message, "Contradictory scheme headers");
    }

    #[test]
    fn continue_is_for_bodies() {
        let expects = |fields: &str| {
            good(&format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n"))
                .expects_continue()
        };
        assert!(expects("Content-Length: 1\r\n"));
        assert!(expects("Transfer-Encoding: chunked\r\n"));
        assert!(!expects(""));
        let old = good("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
        assert!(!old.expects_continue());
    }
}
