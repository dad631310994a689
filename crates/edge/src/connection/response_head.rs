//! A response's head, as HTTP/1 says it in lines; HTTP/2 takes the same fields from here.

use bytes::Bytes;

use super::writer::SMALL_BODY;
use crate::{
    clock, engine,
    exchange::Exchange,
    modules::core::Core,
    response::{Body, Response},
};

/// What a head is given room for; most need less.
const HEAD: usize = 512;

pub(super) fn lines(
    exchange: &Exchange,
    core: &Core,
    response: &Response,
    chunked: bool,
    keep: bool,
) -> Vec<u8> {
    let body = match &response.body {
        Body::Bytes(bytes) if bytes.len() <= SMALL_BODY => bytes.len(),
        _ => 0,
    };
    let mut head = Vec::with_capacity(HEAD + body);
    head.extend_from_slice(b"HTTP/1.1 ");
    let status = match response.status {
        494..=497 => 400,
        status => status,
    };
    head.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    head.push(b' ');
    match &response.reason {
        Some(reason) => head.extend_from_slice(reason),
        None => head.extend_from_slice(engine::reason(response.status).as_bytes()),
    }
    head.extend_from_slice(b"\r\n");
    let mut field = |name: &[u8], value: &[u8]| {
        head.extend_from_slice(name);
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    let hop = |field: &mut _| hop_fields(response, core, chunked, keep, field);
    fields(exchange, core, response, chunked, &mut field, hop);
    head.extend_from_slice(b"\r\n");
    head
}

/// The fields of a head in nginx's order; `hop` writes those that are about this connection alone.
pub(super) fn fields<F: FnMut(&[u8], &[u8])>(
    exchange: &Exchange,
    core: &Core,
    response: &Response,
    chunked: bool,
    field: &mut F,
    hop: impl FnOnce(&mut F),
) {
    // An upstream's own are kept only where the configuration passes them on.
    if !response.headers.contains("server") {
        field(b"Server", core.server_token().as_bytes());
    }
    if !response.headers.contains("date") {
        field(b"Date", &clock::http_date());
    }
    if let Some(kind) = &response.content_type {
        match &response.charset {
            Some(charset) => field(b"Content-Type", &[kind, &b"; charset="[..], charset].concat()),
            None => field(b"Content-Type", kind),
        }
    }
    let bare = response.status == 204 || response.status < 200;
    let unframed = !bare && !chunked && response.status != 304;
    if let Some(length) = response.body.length().filter(|_| unframed) {
        field(b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
    }
    if let Some(second) = response.last_modified {
        clock::http_date_of(second, |date| field(b"Last-Modified", date.as_bytes()));
    }
    // nginx writes an address it completes itself here, and any other among the rest below.
    let completed = |location: &&Bytes| location.first() == Some(&b'/') && core.absolute_redirect();
    if let Some(location) = response.location.as_ref().filter(completed) {
        field(b"Location", &absolute_location(exchange, location));
    }
    hop(field);
    if response.vary {
        field(b"Vary", b"Accept-Encoding");
    }
    if let Some(location) = response.location.as_ref().filter(|it| !completed(it)) {
        field(b"Location", location);
    }
    for header in &response.headers {
        field(&header.name, &header.value);
    }
}

fn hop_fields(
    response: &Response,
    core: &Core,
    chunked: bool,
    keep: bool,
    field: &mut impl FnMut(&[u8], &[u8]),
) {
    if chunked {
        field(b"Transfer-Encoding", b"chunked");
    }
    if matches!(response.body, Body::Tunnel(_)) {
        field(b"Connection", b"upgrade");
    } else if keep {
        field(b"Connection", b"keep-alive");
        if let Some(timeout) = core.keepalive_header() {
            field(b"Keep-Alive", format!("timeout={}", timeout.as_secs()).as_bytes());
        }
    } else {
        field(b"Connection", b"close");
    }
}

/// `/path` to `http://host:port/path` or `https://...`, as `absolute_redirect`, `server_name_in_redirect` and
/// `port_in_redirect` say.
fn absolute_location(exchange: &Exchange, location: &Bytes) -> Bytes {
    let core = &exchange.location.core;
    let host = match &exchange.request.host {
        _ if core.server_name_in_redirect() && !exchange.server.name.is_empty() => {
            exchange.server.name.clone()
        }
        Some(host) => String::from_utf8_lossy(host).into_owned(),
        _ => match &exchange.client.peer.local {
            super::PeerAddress::Ip(address) => address.ip().to_string(),
            super::PeerAddress::Unix(_) => "localhost".to_owned(),
        },
    };
    let (scheme, usual) = match exchange.client.peer.tls() {
        Some(_) => ("https", 443),
        None => ("http", 80),
    };
    let port = match &exchange.client.peer.local {
        super::PeerAddress::Ip(address) if address.port() != usual && core.port_in_redirect() => {
            format!(":{}", address.port())
        }
        _ => String::new(),
    };
    [format!("{scheme}://{host}{port}").as_bytes(), location].concat().into()
}
