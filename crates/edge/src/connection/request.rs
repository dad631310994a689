//! Bytes to a request, or to a refusal that still gets its page and its log line.
//!
//! As lenient as nginx where that is harmless, and no further: two lengths, two hosts, or a length
//! and a coding are refused, because the next hop might read them otherwise (RFC 9112 §11.2).

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use http1::{
    FieldLine, NameKind, RequestLine, RequestLineError, Version, field_line, request_line,
};

use super::{
    Client, ClientError,
    checks::{absolute, check_host, check_line, check_tls, wants_keep_alive},
    client::Deadline,
    counts::Counted,
    framing::{framing, only_once},
    head_space::{Full, HeadSpace},
    host::Host,
    refusal::{Refusal, Stage, bad_headers, bad_line, invalid_field, log, too_long_field},
};
use crate::{
    body::Framing,
    exchange::{Protocol, Request},
    headers::Headers,
    load::{Address, Reached, Server},
    modules::core::HeaderBuffers,
    uri::Uri,
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

/// Most requests have fewer fields.
const USUAL_FIELDS: usize = 16;

/// How large the rest of a head may be: asked only where it is larger than most.
fn limits_of(address: Reached<'_>, host: Option<&Range<usize>>, buffer: &[u8]) -> HeaderBuffers {
    let host = host.filter(|_| !address.has_one_server());
    let named = host.and_then(|host| Host::read(&Bytes::copy_from_slice(&buffer[host.clone()])));
    let server = named.map_or(address.default, |named| address.server(Some(&named.name)));
    server.outer.core.large_client_header_buffers()
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
