//! Bytes to a request, or to a refusal that still gets its page and its log line.
//!
//! As lenient as nginx where that is harmless, and no further: two lengths, two hosts, or a length
//! and a coding are refused, because the next hop might read them otherwise (RFC 9112 §11.2).

use std::{ops::Range, time::Instant};

use bytes::{Bytes, BytesMut};
use http1::{
    Chunked, FieldLine, LineEnds, NameKind, RequestLine, RequestLineError, Version, field_line,
    request_line,
};

use super::{Client, ClientError};
use crate::{
    body::Framing,
    exchange::Request,
    headers::{Headers, has_token},
    load::Address,
    log::Level,
    modules::core::Core,
};

pub(super) struct Head {
    pub(super) request: Request,
    pub(super) framing: Framing,
    /// Why the request is answered with nothing but this.
    pub(super) refusal: Option<Refusal>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// For the error log, at level info: the client's mistake and not the server's.
    pub(super) message: &'static str,
}

const fn refusal(status: u16, message: &'static str) -> Refusal {
    Refusal { status, message }
}

/// Reads one head. `None`: the client left, or took too long, and there is nobody to answer.
pub(super) async fn read(address: &Address, client: &Client) -> Option<Head> {
    let core = &address.default.outer.core;
    let log = |message: &str| {
        let log = &address.default.outer.error_log;
        let text = client.peer.address_text();
        let text = String::from_utf8_lossy(&text);
        let line = format!("{message} while reading client request headers, client: {text}");
        log.write(Level::Info, Some(client.peer.number), &line);
    };
    let deadline = Instant::now() + core.client_header_timeout();
    let mut reader = Reader::default();
    loop {
        let step = reader.step(&client.buffer.borrow(), core);
        match step {
            Ok(Step::More) => (),
            Ok(Step::Done(end)) => {
                let head = client.buffer.borrow_mut().split_to(end).freeze();
                return Some(reader.finish(&head, core, &log));
            }
            Err(refusal) => {
                return Some(reader.refuse(&client.buffer.take(), refusal));
            }
        }
        match client.fill_head(deadline).await {
            Ok(()) => (),
            Err(ClientError::Timeout) => {
                log("client timed out (110: Connection timed out)");
                return Some(
                    reader.refuse(&client.buffer.take(), refusal(408, "client timed out")),
                );
            }
            Err(error) => {
                if !client.buffer.borrow().is_empty() {
                    log(&error.to_string());
                }
                return None;
            }
        }
    }
}

/// How far the head has been read: a head that comes in pieces is not read again from its start.
#[derive(Default)]
struct Reader {
    line: Option<RequestLine>,
    fields: Vec<(Range<usize>, Range<usize>, NameKind)>,
    at: usize,
}

enum Step {
    More,
    Done(usize),
}

impl Reader {
    fn step(&mut self, buffer: &BytesMut, core: &Core) -> Result<Step, Refusal> {
        let limits = core.large_client_header_buffers();
        let line = match &self.line {
            Some(line) => line,
            None => {
                let read = request_line(buffer).map_err(|error| match error {
                    RequestLineError::Method => refusal(400, "client sent invalid method"),
                    RequestLineError::Target => refusal(400, "client sent invalid request"),
                    RequestLineError::Version => refusal(400, "client sent invalid version"),
                    RequestLineError::UnsupportedVersion => {
                        refusal(505, "client sent unsupported version")
                    }
                })?;
                match read {
                    Some(line) if line.end > limits.size => {
                        return Err(refusal(414, "client sent too long URI"));
                    }
                    None if buffer.len() >= limits.size => {
                        return Err(refusal(414, "client sent too long URI"));
                    }
                    None => return Ok(Step::More),
                    Some(line) => {
                        self.at = line.end;
                        self.line.insert(line)
                    }
                }
            }
        };
        if line.version == Version::Http09 {
            return Ok(Step::Done(line.end));
        }
        loop {
            let read = field_line(buffer, self.at)
                .map_err(|_| refusal(400, "client sent invalid header line"))?;
            let end = match &read {
                None => buffer.len(),
                Some(FieldLine::Field(field)) => field.end,
                Some(FieldLine::End { end }) => *end,
            };
            if end - self.at > limits.size {
                return Err(refusal(494, "client sent too long header line"));
            }
            if end > limits.size * limits.number {
                return Err(refusal(494, "client sent too large request"));
            }
            match read {
                None => return Ok(Step::More),
                Some(FieldLine::End { end }) => return Ok(Step::Done(end)),
                Some(FieldLine::Field(field)) => {
                    if self.fields.len() >= core.max_headers() {
                        return Err(refusal(494, "client sent too many header lines"));
                    }
                    self.at = field.end;
                    self.fields.push((field.name, field.value, field.kind));
                }
            }
        }
    }

    fn finish(self, head: &Bytes, core: &Core, log: &impl Fn(&str)) -> Head {
        let line = self.line.expect("a head is complete only after its request line");
        let mut headers = Headers::with_capacity(self.fields.len());
        for (name, value, kind) in self.fields {
            let dropped = match kind {
                NameKind::Plain => false,
                NameKind::Underscore => !core.underscores_in_headers(),
                NameKind::Odd => core.ignore_invalid_headers(),
            };
            if dropped && core.ignore_invalid_headers() {
                let text = String::from_utf8_lossy(&head[name.start..value.end.max(name.end)]);
                log(&format!("client sent invalid header line: \"{text}\""));
                continue;
            }
            headers.push(head.slice(name), head.slice(value));
        }
        let mut request = request(head, &line, headers);
        let checked = check_target(&mut request)
            .and_then(|()| check_host(&mut request))
            .and_then(|()| framing(&request));
        match checked {
            Ok(framing) => Head { request, framing, refusal: None },
            Err(refusal) => {
                request.keep_alive = false;
                Head { request, framing: Framing::Unknown, refusal: Some(refusal) }
            }
        }
    }

    /// What is known of a request that has no meaning: its first line, for the logs.
    fn refuse(self, buffer: &[u8], refusal: Refusal) -> Head {
        let text_end = buffer.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let head = Bytes::copy_from_slice(&buffer[..text_end.unwrap_or(buffer.len())]);
        let mut request = match &self.line {
            Some(line) => {
                let whole = Bytes::copy_from_slice(&buffer[..line.end]);
                request(&whole, line, Headers::default())
            }
            None => Request {
                line: head,
                method: Bytes::new(),
                target: Bytes::new(),
                version: Version::Http11,
                headers: Headers::default(),
                host: None,
                keep_alive: false,
                head_size: buffer.len(),
            },
        };
        request.keep_alive = false;
        Head { request, framing: Framing::Unknown, refusal: Some(refusal) }
    }
}

fn request(head: &Bytes, line: &RequestLine, headers: Headers) -> Request {
    let connection = headers.get("connection");
    let keep_alive = match line.version {
        Version::Http09 => false,
        Version::Http10 => connection.is_some_and(|list| has_token(list, "keep-alive")),
        Version::Http11 => !connection.is_some_and(|list| has_token(list, "close")),
    };
    let text = &head[line.method.start..line.end];
    let text_end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let line_end = line.method.start + text_end.unwrap_or(text.len());
    Request {
        line: head.slice(line.method.start..line_end),
        method: head.slice(line.method.clone()),
        target: head.slice(line.target.clone()),
        version: line.version,
        headers,
        host: None,
        keep_alive,
        head_size: head.len(),
    }
}

impl Request {
    /// The target in origin form; of an absolute one, what follows the authority.
    pub(super) fn path(&self) -> Bytes {
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
    if scheme == 0 || !target[scheme..].starts_with(b"://") {
        return None;
    }
    let start = scheme + 3;
    let length = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let end = length.map_or(target.len(), |length| start + length);
    Some((start..end, end..target.len()))
}

fn check_target(request: &mut Request) -> Result<(), Refusal> {
    match &request.method[..] {
        b"TRACE" => return Err(refusal(405, "client sent TRACE method")),
        b"CONNECT" => return Err(refusal(405, "client sent CONNECT method")),
        _ => (),
    }
    if request.target.first() == Some(&b'/') {
        return Ok(());
    }
    let Some((authority, _)) = absolute(&request.target) else {
        return Err(refusal(400, "client sent invalid request"));
    };
    // The target's host counts, whatever the field says (RFC 9112 §3.2.2).
    let host = host_name(&request.target.slice(authority));
    request.host = Some(host.ok_or(refusal(400, "client sent invalid host in request line"))?);
    Ok(())
}

fn check_host(request: &mut Request) -> Result<(), Refusal> {
    let mut hosts = request.headers.all("host");
    let host = hosts.next().cloned();
    if hosts.next().is_some() {
        return Err(refusal(400, "client sent duplicate host header"));
    }
    match host {
        None if request.version == Version::Http11 => {
            Err(refusal(400, "client sent HTTP/1.1 request without \"Host\" header"))
        }
        None => Ok(()),
        Some(host) => {
            let name = host_name(&host).ok_or(refusal(400, "client sent invalid host header"))?;
            if request.host.is_none() && !name.is_empty() {
                request.host = Some(name);
            }
            Ok(())
        }
    }
}

/// A host without its port, in lower case; `None` if it can not be one.
fn host_name(host: &Bytes) -> Option<Bytes> {
    let end = if host.first() == Some(&b'[') {
        host.iter().position(|byte| *byte == b']')? + 1
    } else {
        host.iter().position(|byte| *byte == b':').unwrap_or(host.len())
    };
    let port = &host[end..];
    let port_is_good = match port.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    };
    let name = host[..end].strip_suffix(b".").unwrap_or(&host[..end]);
    let odd = |byte: &u8| *byte <= b' ' || *byte == 0x7f || b"/\\?#@".contains(byte);
    let empty_label = name.windows(2).any(|pair| pair == b"..");
    if !port_is_good || name.iter().any(odd) || empty_label {
        return None;
    }
    if name.iter().any(u8::is_ascii_uppercase) {
        return Some(name.to_ascii_lowercase().into());
    }
    Some(host.slice(..name.len()))
}

/// How long the body is. Two answers to that are none.
fn framing(request: &Request) -> Result<Framing, Refusal> {
    let mut lengths = request.headers.all("content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(refusal(400, "client sent duplicate header line: \"Content-Length\""));
    }
    let mut codings = request.headers.all("transfer-encoding");
    let coding = codings.next();
    if codings.next().is_some() {
        return Err(refusal(400, "client sent duplicate header line: \"Transfer-Encoding\""));
    }
    match (length, coding) {
        (None, None) => Ok(Framing::Empty),
        (Some(length), None) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length).ok().filter(|_| digits);
            let number: Option<u64> = text.and_then(|text| text.parse().ok());
            match number.filter(|number| i64::try_from(*number).is_ok()) {
                Some(0) => Ok(Framing::Empty),
                Some(number) => Ok(Framing::Length(number)),
                None => Err(refusal(400, "client sent invalid \"Content-Length\" header")),
            }
        }
        (None, Some(_)) if request.version != Version::Http11 => {
            Err(refusal(400, "client sent HTTP/1.0 request with \"Transfer-Encoding\" header"))
        }
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked(Chunked::new(LineEnds::Lenient)))
        }
        (None, Some(_)) => Err(refusal(501, "client sent unknown \"Transfer-Encoding\"")),
        (Some(_), Some(_)) => Err(refusal(
            400,
            "client sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
        )),
    }
}
