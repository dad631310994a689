//! Bytes to a request, or to a refusal that still gets its page and its log line.
//!
//! As lenient as nginx where that is harmless, and no further: two lengths, two hosts, or a length
//! and a coding are refused, because the next hop might read them otherwise (RFC 9112 §11.2).

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use http1::{
    FieldLine, NameKind, RequestLine, RequestLineError, Version, field_line, request_line,
};

use super::{
    Client, ClientError,
    client::Deadline,
    counts::Counted,
    framing::{framing, only_once},
    head_space::{Full, HeadSpace},
    host::Host,
};
use crate::{
    body::Framing,
    exchange::{Protocol, Request},
    headers::{Headers, has_token},
    load::{Address, Reached, Server},
    log::Level,
    modules::{
        core::{Core, HeaderBuffers},
        ssl,
    },
    uri::{self, Slashes, Uri},
};

pub(super) struct Head {
    pub(super) request: Request,
    /// The target's path and arguments; `None` of a request that is refused.
    pub(super) uri: Option<Uri>,
    pub(super) framing: Framing,
    /// The server its host means.
    pub(super) server: Arc<Server>,
    /// Why the request is answered with nothing but this.
    pub(super) refusal: Option<Refusal>,
}

#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// For the error log, at level info: the client's mistake and not the server's.
    pub(super) message: Cow<'static, str>,
    /// What was being read.
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Line,
    Headers,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.stage {
            Stage::Waiting => "waiting for request",
            Stage::Line => "reading client request line",
            Stage::Headers => "reading client request headers",
        };
        write!(f, "{} while {what}", self.message)
    }
}

fn bad_line(status: u16, message: &'static str) -> Refusal {
    Refusal { status, message: message.into(), stage: Stage::Line }
}

pub(super) fn bad_headers(status: u16, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { status, message: message.into(), stage: Stage::Headers }
}

/// Reads one head. `None`: the client left, and there is nobody to answer.
pub(super) async fn read(
    address: &Address,
    client: &Client,
    counted: &mut Counted,
) -> Option<Head> {
    let address = client.peer.reached(address);
    let core = &address.default.outer.core;
    let mut deadline = Deadline::after(core.client_header_timeout());
    let mut reader = Reader::new(address);
    loop {
        if !client.buffer.borrow().is_empty() {
            counted.begin_request();
        }
        let step = reader.step(&client.buffer.borrow());
        match step {
            Ok(Step::More) => (),
            Ok(Step::Done(end)) => {
                let head = client.buffer.borrow_mut().split_to(end).freeze();
                return Some(reader.finish(&head, client));
            }
            Err(refusal) => return Some(reader.refuse(&client.buffer.take(), refusal)),
        }
        let stage = if reader.line.is_none() { Stage::Line } else { Stage::Headers };
        match client.fill_head(&mut deadline).await {
            Ok(()) => (),
            Err(ClientError::Timeout) => {
                if core.reset_timedout_connection() {
                    client.reset_on_close();
                }
                let message = "client timed out (110: Connection timed out)".into();
                let refusal = Refusal { status: 408, message, stage };
                if client.buffer.borrow().is_empty() {
                    // Not a byte of a request: nothing to answer, and nothing for the access log.
                    log(address, client, None, &Refusal { stage: Stage::Waiting, ..refusal });
                    return None;
                }
                return Some(reader.refuse(&client.buffer.take(), refusal));
            }
            Err(error) => {
                if !client.buffer.borrow().is_empty() {
                    let refusal = Refusal { status: 400, message: error.to_string().into(), stage };
                    log(address, client, None, &refusal);
                }
                return None;
            }
        }
    }
}

/// A line of the error log about a request that has no exchange yet.
pub(super) fn log(address: Reached<'_>, client: &Client, line: Option<&[u8]>, refusal: &Refusal) {
    let log = &address.default.outer.error_log;
    if log.wants(Level::Info) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let peer = text(client.peer.remote.text());
        let mut message = format!("{refusal}, client: {peer}, server: {}", address.default.name);
        if let Some(line) = line {
            message.extend([", request: \"", &text(line), "\""]);
        }
        log.write(Level::Info, Some(client.peer.number), &message);
    }
}

/// How far the head has been read: a head that comes in pieces is not read again from its start.
struct Reader<'a> {
    address: Reached<'a>,
    /// Where the host stands, once it is there: the server it means sets the limits from then on.
    host: Option<Range<usize>>,
    line: Option<RequestLine>,
    fields: Vec<(Range<usize>, Range<usize>, NameKind)>,
    at: usize,
    space: HeadSpace,
}

enum Step {
    More,
    Done(usize),
}

impl<'a> Reader<'a> {
    fn new(address: Reached<'a>) -> Reader<'a> {
        let space = HeadSpace::new(address.default.outer.core.client_header_buffer_size());
        Reader { address, host: None, line: None, fields: Vec::new(), at: 0, space }
    }

    fn step(&mut self, buffer: &BytesMut) -> Result<Step, Refusal> {
        let line = match &self.line {
            Some(line) => line,
            None => {
                let read = request_line(buffer).map_err(|error| match error {
                    RequestLineError::Method => bad_line(400, "client sent invalid method"),
                    RequestLineError::Target | RequestLineError::Version => {
                        bad_line(400, "client sent invalid request")
                    }
                    // As the beginning of HTTP/2 where only HTTP/1 is spoken.
                    RequestLineError::UnsupportedVersion if buffer.starts_with(b"PRI * ") => {
                        bad_line(400, "client sent invalid request")
                    }
                    RequestLineError::UnsupportedVersion => {
                        bad_line(505, "client sent invalid version")
                    }
                })?;
                let too_long = |_: Full| bad_line(414, "client sent too long URI");
                let Some(line) = read else {
                    // Empty lines before it are not a part of it.
                    let start = buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
                    let length = start.map_or(0, |start| buffer.len() - start);
                    let limits = self.address.default.outer.core.large_client_header_buffers();
                    self.space.has_room(length, || limits).map_err(too_long)?;
                    return if buffer.len() > limits.size.saturating_mul(2) {
                        Err(bad_line(400, "client sent nothing but empty lines"))
                    } else {
                        Ok(Step::More)
                    };
                };
                let limits = || self.address.default.outer.core.large_client_header_buffers();
                self.space.take(line.end - line.method.start, limits).map_err(too_long)?;
                self.at = line.end;
                self.fields.reserve(USUAL_FIELDS);
                if let Some((authority, _)) = absolute(&buffer[line.target.clone()]) {
                    let start = line.target.start;
                    self.host = Some(start + authority.start..start + authority.end);
                }
                self.line.insert(line)
            }
        };
        if line.version == Version::Http09 {
            return Ok(Step::Done(line.end));
        }
        loop {
            let limits = || limits_of(self.address, self.host.as_ref(), buffer);
            let rest = &buffer[self.at..];
            let read =
                field_line(buffer, self.at).map_err(|_| bad_headers(400, invalid_field(rest)))?;
            let too_long = |_: Full| too_long_field(rest, self.fields.is_empty());
            match read {
                None => {
                    self.space.has_room(rest.len(), limits).map_err(too_long)?;
                    return Ok(Step::More);
                }
                Some(FieldLine::End { end }) => {
                    self.space.take(end - self.at, limits).map_err(too_long)?;
                    return Ok(Step::Done(end));
                }
                Some(FieldLine::Field(field)) => {
                    self.space.take(field.end - self.at, limits).map_err(too_long)?;
                    self.at = field.end;
                    // The target's host counts, whatever the field says (RFC 9112 §3.2.2).
                    if self.host.is_none()
                        && buffer[field.name.clone()].eq_ignore_ascii_case(b"host")
                    {
                        self.host = Some(field.value.clone());
                    }
                    self.fields.push((field.name, field.value, field.kind));
                }
            }
        }
    }

    fn finish(self, head: &Bytes, client: &Client) -> Head {
        let address = self.address;
        let core = &address.default.outer.core;
        let line = self.line.expect("a head is complete only after its request line");
        let mut request = request(head, &line, Headers::default());
        let uri = match check_line(&mut request, core) {
            Ok(uri) => uri,
            Err(refusal) => return refused(request, address, refusal),
        };
        // Which names are good is for the server to say that the host means.
        let is_host = |name: &Range<usize>| head[name.clone()].eq_ignore_ascii_case(b"host");
        let host = self.fields.iter().find(|(name, ..)| is_host(name));
        let host = host.and_then(|(_, value, _)| Host::read(&head.slice(value.clone())));
        let named = request.host.as_ref().or(host.as_ref().map(|host| &host.name));
        let server = address.server(named);
        let core = &server.outer.core;
        request.headers = Headers::with_capacity(self.fields.len());
        for (name, value, kind) in self.fields {
            let dropped = match kind {
                NameKind::Plain => false,
                NameKind::Underscore => !core.underscores_in_headers(),
                NameKind::Odd => core.ignore_invalid_headers(),
            };
            if dropped && core.ignore_invalid_headers() {
                let text = String::from_utf8_lossy(&head[name.start..value.end.max(name.end)]);
                let message = format!("client sent invalid header line: \"{text}\"");
                log(address, client, Some(&request.line), &bad_headers(400, message));
                continue;
            }
            if request.headers.len() >= core.max_headers() {
                let refusal = bad_headers(494, "client sent too many header lines");
                return refused(request, address, refusal);
            }
            request.headers.push(head.slice(name), head.slice(value));
        }
        request.keep_alive = wants_keep_alive(&request);
        let checked = only_once(&request.headers).and_then(|()| check_host(&mut request, host));
        let checked = checked.and_then(|()| framing(&request));
        let secure = |framing| check_tls(address, client, &request, server).map(|()| framing);
        match checked.and_then(secure) {
            Ok(framing) => {
                let server = Arc::clone(server);
                Head { request, uri: Some(uri), framing, server, refusal: None }
            }
            Err(refusal) => refused(request, address, refusal),
        }
    }

    /// What is known of a request that has no meaning: its first line, and the fields that were
    /// still good, for the logs and for the choice of a server.
    fn refuse(self, buffer: &[u8], refusal: Refusal) -> Head {
        let address = self.address;
        let Some(line) = &self.line else {
            let text_end = buffer.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let head = &buffer[..text_end.unwrap_or(buffer.len())];
            let request = Request {
                line: Bytes::copy_from_slice(head),
                method: Bytes::new(),
                target: Bytes::new(),
                version: Protocol::Http11,
                headers: Headers::default(),
                host: None,
                port: None,
                keep_alive: false,
                pipelined: false,
                head_size: buffer.len(),
            };
            return refused(request, address, refusal);
        };
        let whole = Bytes::copy_from_slice(buffer);
        let mut headers = Headers::with_capacity(self.fields.len());
        for (name, value, _) in self.fields {
            headers.push(whole.slice(name), whole.slice(value));
        }
        let mut request = request(&whole, line, headers);
        // A second mistake is not told: the first was enough.
        let host = request.headers.get("host").and_then(Host::read);
        let _also_bad = check_host(&mut request, host);
        refused(request, address, refusal)
    }
}

fn refused(mut request: Request, address: Reached<'_>, refusal: Refusal) -> Head {
    request.keep_alive = false;
    let server = Arc::clone(address.server(request.host.as_ref()));
    Head { request, uri: None, framing: Framing::Unknown, server, refusal: Some(refusal) }
}

/// What must be so on a port that speaks TLS.
pub(super) fn check_tls(
    address: Reached<'_>,
    client: &Client,
    request: &Request,
    server: &Server,
) -> Result<(), Refusal> {
    if !address.is_secure() {
        return Ok(());
    }
    let Some(secured) = client.peer.tls() else {
        return Err(bad_headers(497, "client sent plain HTTP request to HTTPS port"));
    };
    if !ssl::may_ask(secured, request.host.as_deref(), server) {
        let message = "client attempted to request the server name \
                       different from the one that was negotiated";
        return Err(bad_headers(421, message));
    }
    ssl::check(secured, server)
        .map_err(|ssl::Refused { status, message }| bad_headers(status, message))
}

/// Most requests have fewer fields.
const USUAL_FIELDS: usize = 16;

/// How much of a field that is too long is told to the log.
const LOGGED_FIELD: usize = 1748;

fn too_long_field(rest: &[u8], first: bool) -> Refusal {
    if first && rest.is_empty() {
        return bad_headers(494, "client sent too large request");
    }
    let text = String::from_utf8_lossy(&rest[..rest.len().min(LOGGED_FIELD)]);
    bad_headers(494, format!("client sent too long header line: \"{text}...\""))
}

/// How large the rest of a head may be: asked only where it is larger than most.
fn limits_of(address: Reached<'_>, host: Option<&Range<usize>>, buffer: &[u8]) -> HeaderBuffers {
    let host = host.filter(|_| !address.has_one_server());
    let named = host.and_then(|host| Host::read(&Bytes::copy_from_slice(&buffer[host.clone()])));
    let server = named.map_or(address.default, |named| address.server(Some(&named.name)));
    server.outer.core.large_client_header_buffers()
}

/// The field up to the byte that should not be there.
fn invalid_field(rest: &[u8]) -> String {
    let in_name = rest.iter().position(|byte| *byte <= b' ' || matches!(byte, b':' | 0x7f));
    let at = match in_name {
        Some(at) if rest[at] == b':' && at > 0 => {
            let odd = |at: &usize| match rest[*at] {
                0 => true,
                b'\r' => rest.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            (at..rest.len()).find(odd)
        }
        at => at,
    };
    let Some(at) = at else { return "client sent invalid header line".to_owned() };
    let text = String::from_utf8_lossy(&rest[..at]);
    format!("client sent invalid header line: \"{text}\\x{:02x}...\"", rest[at])
}

fn wants_keep_alive(request: &Request) -> bool {
    let connection = request.headers.get("connection");
    match request.version {
        Protocol::Http09 => false,
        Protocol::Http10 => connection.is_some_and(|list| has_token(list, "keep-alive")),
        Protocol::Http11 | Protocol::Http2 => {
            !connection.is_some_and(|list| has_token(list, "close"))
        }
    }
}

fn request(head: &Bytes, line: &RequestLine, headers: Headers) -> Request {
    let text = &head[line.method.start..line.end];
    let text_end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line_end = line.method.start + text_end.unwrap_or(text.len());
    Request {
        line: head.slice(line.method.start..line_end),
        method: head.slice(line.method.clone()),
        target: head.slice(line.target.clone()),
        version: line.version.into(),
        headers,
        host: None,
        port: None,
        keep_alive: false,
        pipelined: false,
        head_size: head.len(),
    }
}

impl Request {
    /// The target in origin form; of an absolute one, what follows the authority.
    pub fn path(&self) -> Bytes {
        let Some((_, rest)) = absolute(&self.target) else { return self.target.clone() };
        match self.target[rest.clone()].first() {
            Some(b'/') => self.target.slice(rest),
            // `http://host?args`
            _ => [b"/", &self.target[rest]].concat().into(),
        }
    }
}

/// An absolute target's authority, and what follows it.
fn absolute(target: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let scheme = target.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
    if !target[0].is_ascii_alphabetic() || !target[scheme..].starts_with(b"://") {
        return None;
    }
    let start = scheme + 3;
    let length = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let end = length.map_or(target.len(), |length| start + length);
    Some((start..end, end..target.len()))
}

/// What the first line says by itself; its path is the target's.
fn check_line(request: &mut Request, core: &Core) -> Result<Uri, Refusal> {
    if request.version == Protocol::Http09 && request.method != "GET" {
        return Err(bad_line(400, "client sent invalid method in HTTP/0.9 request"));
    }
    let invalid = || bad_line(400, "client sent invalid request");
    let connects = request.method == "CONNECT";
    if connects || request.target.first() != Some(&b'/') {
        let authority = if connects {
            0..request.target.len()
        } else {
            absolute(&request.target).ok_or_else(invalid)?.0
        };
        let host = Host::read(&request.target.slice(authority));
        let host = host.ok_or(bad_line(400, "client sent invalid host in request line"))?;
        if connects && host.port.is_none() {
            return Err(invalid());
        }
        (request.host, request.port) = (Some(host.name), host.port);
    }
    if connects {
        // Refused below, once its fields are known to be good.
        return Ok(Uri { path: Bytes::new(), args: None });
    }
    let slashes = if core.merge_slashes() { Slashes::Merge } else { Slashes::Keep };
    uri::normalise(&request.path(), slashes).map_err(|_| invalid())
}

/// The host, once and only once, and the methods that are nobody's here. `said` is what the first
/// `Host` field says, if that can be one.
fn check_host(request: &mut Request, said: Option<Host>) -> Result<(), Refusal> {
    let mut hosts = request.headers.all("host");
    let (host, second) = (hosts.next(), hosts.next());
    if host.is_some() && said.is_none() {
        return Err(bad_headers(400, "client sent invalid host header"));
    }
    if request.host.is_none()
        && let Some(said) = said
    {
        (request.host, request.port) = (Some(said.name), said.port);
    }
    if let (Some(first), Some(second)) = (host, second) {
        let text = |host: &Bytes| String::from_utf8_lossy(host).into_owned();
        let message = format!(
            "client sent duplicate host header: \"Host: {}\", previous value: \"Host: {}\"",
            text(second),
            text(first)
        );
        return Err(bad_headers(400, message));
    }
    if host.is_none() && request.version == Protocol::Http11 {
        let message = "client sent HTTP/1.1 request without \"Host\" header";
        return Err(bad_headers(400, message));
    }
    match &request.method[..] {
        b"TRACE" => Err(bad_headers(405, "client sent TRACE method")),
        b"CONNECT" => Err(bad_headers(405, "client sent CONNECT method")),
        _ => Ok(()),
    }
}
