//! What a head must say, and may not: its first line, its host, and, on a port that speaks TLS, what
//! the handshake has settled.

use std::ops::Range;

use bytes::Bytes;

use super::{
    Client,
    host::Host,
    refusal::{Refusal, bad_headers, bad_line},
};
use crate::{
    exchange::{Protocol, Request},
    headers::has_token,
    load::{Reached, Server},
    modules::{core::Core, ssl},
    uri::{self, Slashes, Uri},
};

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
pub(super) fn absolute(target: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
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
pub(super) fn check_line(request: &mut Request, core: &Core) -> Result<Uri, Refusal> {
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
pub(super) fn check_host(request: &mut Request, said: Option<Host>) -> Result<(), Refusal> {
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

pub(super) fn wants_keep_alive(request: &Request) -> bool {
    let connection = request.headers.get("connection");
    match request.version {
        Protocol::Http09 => false,
        Protocol::Http10 => connection.is_some_and(|list| has_token(list, "keep-alive")),
        Protocol::Http11 | Protocol::Http2 => {
            !connection.is_some_and(|list| has_token(list, "close"))
        }
    }
}
