//! The head of an answer: how the client will find its end, and which fields go along.

use bytes::Bytes;
use fastcgi::ResponseHead;
use http1::Version;
use trace::SERVER_TIMING;

use super::super::DispatchError;
use crate::{
    clock::http_date,
    front::{Head, Persistence, SERVER, reason},
    gateway::Gateway,
    story::Story,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// HEAD, 204, 304: what the application sends is dropped.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    UntilClose,
}

/// RFC 9112 §6.3, from the sender's side.
pub(super) fn choose_framing(
    request: &Head,
    response: &ResponseHead,
    known: Option<u64>,
    story: &Story,
) -> Result<Framing, DispatchError> {
    let protocol = |what: &str| {
        Err(DispatchError::Protocol { pid: story.worker.unwrap_or(0), what: what.to_owned() })
    };
    let mut lengths = response
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))
        .map(|(_, value)| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(Some(length)), None) => Some(length),
        _ => return protocol("an invalid Content-Length"),
    };
    Ok(match length {
        _ if request.is_head() || matches!(response.status, 204 | 304) => Framing::Nothing,
        Some(length) => Framing::Length(length),
        None => match (known, request.version()) {
            (Some(known), _) => Framing::Length(known),
            (None, _) if request.is_http2() => Framing::UntilClose,
            (None, Version::Http11) => Framing::Chunked,
            (None, Version::Http10 | Version::Http09) => Framing::UntilClose,
        },
    })
}

/// An interim head, such as 103 Early Hints: it has no body and says nothing of the connection.
pub(super) fn write_interim(response: &ResponseHead) -> Bytes {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(response.reason());
    out.extend_from_slice(b"\r\n");
    for (name, value) in response.fields() {
        if !is_hop_by_hop(name) && !name.eq_ignore_ascii_case(b"content-length") {
            put_field(&mut out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.into()
}

pub(super) fn write_head(
    gateway: &Gateway,
    request: &Head,
    response: &ResponseHead,
    framing: Framing,
    persistence: Persistence,
    known: Option<u64>,
    story: &mut Story,
) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(request.answered_in().as_bytes());
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
    out.push(b' ');
    let given = response.reason();
    let text = if given.is_empty() { reason(response.status).as_bytes() } else { given };
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
    let (mut server, mut date, mut length) = (false, false, false);
    for (name, value) in response.fields() {
        if is_hop_by_hop(name) {
            continue;
        }
        server |= name.eq_ignore_ascii_case(b"server");
        date |= name.eq_ignore_ascii_case(b"date");
        if name.eq_ignore_ascii_case(b"content-length") {
            length = true;
            // RFC 9110 §8.6: a 204 has none.
            if response.status == 204 {
                continue;
            }
        }
        put_field(&mut out, name, value);
    }
    if gateway.log.needs_response() {
        // The application's own: what follows is ours.
        story.response_fields.clone_from(&out);
    }
    if !server {
        out.extend_from_slice(b"Server: ");
        out.extend_from_slice(SERVER.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !date {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(&http_date());
        out.extend_from_slice(b"\r\n");
    }
    match (framing, known) {
        (Framing::Length(_), Some(known)) if !length => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(known).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        (Framing::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => (),
    }
    if gateway.settings().server_timing {
        let mut value = Vec::with_capacity(64);
        story.server_timing(&mut value);
        out.extend_from_slice(SERVER_TIMING.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(&value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(persistence.field().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.into()
}

fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110 §7.6.1, and what gunicorn drops: they are about this connection, which is ours.
fn is_hop_by_hop(name: &[u8]) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match name.len() {
        2 => is("te"),
        7 => is("trailer") || is("upgrade"),
        8 => is("trailers"),
        10 => is("connection") || is("keep-alive"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}
