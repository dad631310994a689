//! Decoded fields to a request, or to a refusal that gets its page and its log line.
//!
//! What is asked here may be forwarded over HTTP/1, where a line's end is a line's end: nothing that
//! could be one, and nothing that says where a body ends, may be in a name, a value, the method or
//! the path (RFC 9113 §8.2, §10.3).

use std::sync::Arc;

use bytes::Bytes;

use super::super::{
    Client,
    checks::check_tls,
    framing::only_once,
    host::Host,
    refusal::{Refusal, bad_headers, log},
    request::Head,
};
use crate::{
    body::Framing,
    exchange::{Protocol, Request},
    headers::Headers,
    load::{Reached, Server},
    modules::core::Core,
    uri::{self, Slashes, Uri},
};

/// What a block of fields has said, and how it was said.
pub(super) struct Asked {
    pub(super) fields: Vec<(Bytes, Bytes)>,
    /// The block's size in bytes.
    pub(super) size: usize,
    /// No body follows.
    pub(super) ended: bool,
}

/// The four fields that are HTTP/2's request line.
#[derive(Default)]
struct Pseudo {
    method: Option<Bytes>,
    scheme: Option<Bytes>,
    path: Option<Bytes>,
    authority: Option<Bytes>,
}

/// What names are made of.
enum Name {
    Good,
    /// To be left out, where the server leaves such out.
    Odd,
    Bad,
}

pub(super) fn read(asked: Asked, address: Reached<'_>, client: &Client) -> Head {
    let mut request = Request {
        line: Bytes::new(),
        method: Bytes::new(),
        target: Bytes::new(),
        version: Protocol::Http2,
        headers: Headers::with_capacity(asked.fields.len()),
        host: None,
        port: None,
        // That is not for one stream to say.
        keep_alive: false,
        pipelined: false,
        head_size: asked.size,
    };
    let server = server_of(&asked, address);
    match understand(&mut request, asked, &server, address, client) {
        Ok((uri, framing)) => Head { request, uri: Some(uri), framing, server, refusal: None },
        Err(refusal) => {
            let framing = Framing::Empty;
            Head { request, uri: None, framing, server, refusal: Some(refusal) }
        }
    }
}

/// Which names are good is for the server to say that the host means.
fn server_of(asked: &Asked, address: Reached<'_>) -> Arc<Server> {
    let find = |wanted: &str| asked.fields.iter().find(|(name, _)| name == wanted);
    let host = find(":authority").or_else(|| find("host")).and_then(|(_, host)| Host::read(host));
    Arc::clone(address.server(host.as_ref().map(|host| &host.name)))
}

fn understand(
    request: &mut Request,
    asked: Asked,
    server: &Server,
    address: Reached<'_>,
    client: &Client,
) -> Result<(Uri, Framing), Refusal> {
    let core = &server.outer.core;
    let mut pseudo = Pseudo::default();
    let mut cookies: Vec<Bytes> = Vec::new();
    for (name, value) in asked.fields {
        let kind = check_field(&name, &value, core)?;
        if name[0] == b':' {
            if !request.line.is_empty() {
                return Err(refuse("client sent out of order pseudo-headers"));
            }
            pseudo.add(&name, value)?;
            continue;
        }
        if request.line.is_empty() {
            pseudo.make_line(request)?;
        }
        if matches!(kind, Name::Odd) && core.ignore_invalid_headers() {
            let message = format!("client sent invalid header: \"{}\"", text(&name));
            log(address, client, Some(&request.line), &bad_headers(400, message));
            continue;
        }
        if &name[..] == b"cookie" {
            cookies.push(value);
        } else {
            if request.headers.len() >= core.max_headers() {
                return Err(bad_headers(494, "client sent too many header lines"));
            }
            request.headers.push(name, value);
        }
    }
    if request.line.is_empty() {
        pseudo.make_line(request)?;
    }
    if !cookies.is_empty() {
        let joined = match &cookies[..] {
            [one] => one.clone(),
            many => many.join(&b"; "[..]).into(),
        };
        request.headers.push("cookie", joined);
    }
    if !server.outer.http2.on() && !address.address.listen.http2 {
        let message = "client attempted to request the server name for which the negotiated \
                       protocol is disabled";
        return Err(bad_headers(421, message));
    }
    let slashes = if core.merge_slashes() { Slashes::Merge } else { Slashes::Keep };
    let uri = uri::normalise(&request.target, slashes).map_err(|_| bad_path(&request.target))?;
    only_once(&request.headers)?;
    check_hop(&request.headers)?;
    check_host(request, pseudo.authority)?;
    check_tls(address, client, request, server)?;
    let framing = framing(&request.headers, asked.ended)?;
    match &request.method[..] {
        b"CONNECT" => Err(bad_headers(405, "client sent CONNECT method")),
        b"TRACE" => Err(bad_headers(405, "client sent TRACE method")),
        _ => Ok((uri, framing)),
    }
}

fn refuse(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    bad_headers(400, message)
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn bad_path(path: &[u8]) -> Refusal {
    refuse(format!("client sent invalid :path header: \"{}\"", text(path)))
}

/// A name in lower case without anything that divides lines or words; a value without what ends one.
fn check_field(name: &[u8], value: &[u8], core: &Core) -> Result<Name, Refusal> {
    let letters = name.strip_prefix(b":").unwrap_or(name);
    let mut kind = Name::Good;
    for byte in letters {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => (),
            b'_' if core.underscores_in_headers() => (),
            0..=b' ' | 0x7f | b':' | b'A'..=b'Z' => kind = Name::Bad,
            _ if matches!(kind, Name::Good) => kind = Name::Odd,
            _ => (),
        }
    }
    if matches!(kind, Name::Bad) {
        return Err(refuse(format!("client sent invalid header name: \"{}\"", text(name))));
    }
    if memchr::memchr3(0, b'\n', b'\r', value).is_some() {
        let (name, value) = (text(name), text(value));
        let message = format!("client sent header \"{name}\" with invalid value: \"{value}\"");
        return Err(refuse(message.escape_default().to_string()));
    }
    Ok(kind)
}

/// Whether a value may be what its name says.
type Check = fn(&Bytes) -> Result<(), Refusal>;

impl Pseudo {
    fn add(&mut self, name: &[u8], value: Bytes) -> Result<(), Refusal> {
        let (place, check): (_, Check) = match name {
            b":method" => (&mut self.method, check_method),
            b":scheme" => (&mut self.scheme, check_scheme),
            b":path" => (&mut self.path, check_path),
            b":authority" => (&mut self.authority, check_authority),
            _ => {
                let message = format!("client sent unknown pseudo-header \"{}\"", text(name));
                return Err(refuse(message));
            }
        };
        let name = text(name);
        if place.is_some() {
            return Err(refuse(format!("client sent duplicate {name} header")));
        }
        if value.is_empty() && name != ":authority" {
            return Err(refuse(format!("client sent empty {name} header")));
        }
        check(&value)?;
        *place = Some(value);
        Ok(())
    }

    /// `GET /path HTTP/2.0`, for the logs and for `$request`.
    fn make_line(&self, request: &mut Request) -> Result<(), Refusal> {
        let no = |name: &str| refuse(format!("client sent no {name} header"));
        let method = self.method.as_ref().ok_or_else(|| no(":method"))?;
        self.scheme.as_ref().ok_or_else(|| no(":scheme"))?;
        let path = self.path.as_ref().ok_or_else(|| no(":path"))?;
        request.line = [method, &b" "[..], path, b" HTTP/2.0"].concat().into();
        request.method = method.clone();
        request.target = path.clone();
        Ok(())
    }
}

fn check_method(method: &Bytes) -> Result<(), Refusal> {
    if method.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'_' | b'-')) {
        return Ok(());
    }
    Err(refuse(format!("client sent invalid method: \"{}\"", text(method))))
}

fn check_scheme(scheme: &Bytes) -> Result<(), Refusal> {
    let good = |(place, byte): (usize, &u8)| {
        byte.is_ascii_alphabetic()
            || place > 0 && (byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'))
    };
    if scheme.iter().enumerate().all(good) {
        return Ok(());
    }
    Err(refuse(format!("client sent invalid :scheme header: \"{}\"", text(scheme))))
}

/// What it means is found out later; here, only that it is one word of a line.
fn check_path(path: &Bytes) -> Result<(), Refusal> {
    let divides = |byte: &u8| matches!(byte, 0..=b' ' | 0x7f);
    if path[0] == b'/' && !path.iter().any(divides) { Ok(()) } else { Err(bad_path(path)) }
}

fn check_authority(authority: &Bytes) -> Result<(), Refusal> {
    match Host::read(authority) {
        Some(_) => Ok(()),
        None => Err(refuse("client sent invalid \":authority\" header")),
    }
}

/// What is about one connection has no place in a stream (RFC 9113 §8.2.2).
fn check_hop(headers: &Headers) -> Result<(), Refusal> {
    for name in ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"] {
        if headers.contains(name) {
            return Err(refuse(format!("client sent \"{name}\" header")));
        }
    }
    let mut hopes = headers.all("te");
    let trailers = hopes.next().is_none_or(|te| te.eq_ignore_ascii_case(b"trailers"));
    if !trailers || hopes.next().is_some() {
        return Err(refuse("client sent invalid \"TE\" header"));
    }
    Ok(())
}

/// One host, wherever it is said; for whoever reads `Host`, it is said there as well.
fn check_host(request: &mut Request, authority: Option<Bytes>) -> Result<(), Refusal> {
    let mut hosts = request.headers.all("host");
    let (host, second) = (hosts.next().cloned(), hosts.next().cloned());
    drop(hosts);
    if let (Some(first), Some(second)) = (&host, second) {
        let message = format!(
            "client sent duplicate host header: \"host: {}\", previous value: \"host: {}\"",
            text(&second),
            text(first)
        );
        return Err(refuse(message));
    }
    let (unsaid, said) = match (host, authority) {
        (Some(host), Some(authority)) if host != authority => {
            let message = "client sent \":authority\" and \"Host\" headers with different values";
            return Err(refuse(message));
        }
        (Some(host), _) => (false, host),
        (None, Some(authority)) => (true, authority),
        (None, None) => {
            return Err(refuse("client sent neither \":authority\" nor \"Host\" header"));
        }
    };
    let read = Host::read(&said).ok_or_else(|| refuse("client sent invalid host header"))?;
    (request.host, request.port) = (Some(read.name), read.port);
    if unsaid {
        request.headers.push("host", said);
    }
    Ok(())
}

/// How long the body is: until the stream ends, and exactly as long as it says, if it does.
fn framing(headers: &Headers, ended: bool) -> Result<Framing, Refusal> {
    let Some(length) = headers.get("content-length") else {
        return Ok(if ended { Framing::Empty } else { Framing::Stream { left: None } });
    };
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    let number: Option<i64> =
        std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    let number = number.ok_or_else(|| refuse("client sent invalid \"Content-Length\" header"))?;
    match (number, ended) {
        (0, true) => Ok(Framing::Empty),
        (_, true) => Err(refuse("client prematurely closed stream")),
        (number, false) => Ok(Framing::Stream { left: Some(number as u64) }),
    }
}
