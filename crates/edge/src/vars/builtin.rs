//! Variables every request has. Those of one family stand in that family's file.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;

use super::{Variable, variable, volatile};
use crate::{
    clock,
    connection::{PeerAddress, sent_fields},
    exchange::{Exchange, Protocol},
};

pub const VARIABLES: &[Variable] = &[
    // The connection.
    variable("remote_addr", |exchange, _| Some(exchange.remote().text().clone())),
    variable("remote_port", |exchange, _| port(&exchange.remote().address)),
    variable("binary_remote_addr", |exchange, _| {
        Some(match &exchange.remote().address {
            PeerAddress::Ip(address) => match address.ip() {
                IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
                IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
            },
            PeerAddress::Unix(_) => Bytes::from_static(b"unix:"),
        })
    }),
    variable("server_addr", |exchange, _| {
        Some(match &exchange.client.peer.local {
            PeerAddress::Ip(address) => address.ip().to_string().into(),
            PeerAddress::Unix(path) => {
                let path = path.as_ref().map(|path| path.display().to_string());
                format!("unix:{}", path.unwrap_or_default()).into()
            }
        })
    }),
    variable("server_port", |exchange, _| {
        Some(port(&exchange.client.peer.local).unwrap_or_default())
    }),
    variable("connection", |exchange, _| Some(number(exchange.client.peer.number))),
    variable("connection_requests", |exchange, _| {
        Some(number(exchange.client.peer.requests.get()))
    }),
    volatile("connection_time", |exchange, _| Some(seconds(exchange.client.peer.age()))),
    variable("scheme", |exchange, _| {
        Some(Bytes::from_static(match exchange.client.peer.tls() {
            Some(_) => b"https",
            None => b"http",
        }))
    }),
    // nginx's is empty, and not missing, where there is no TLS.
    variable("https", |exchange, _| {
        Some(Bytes::from_static(match exchange.client.peer.tls() {
            Some(_) => b"on",
            None => b"",
        }))
    }),
    variable("request_port", |exchange, _| {
        Some(exchange.request.port.map_or_else(Bytes::new, |port| number(u64::from(port))))
    }),
    variable("is_request_port", |exchange, _| {
        Some(Bytes::from_static(if exchange.request.port.is_some() { b":" } else { b"" }))
    }),
    // The request.
    variable("request", |exchange, _| some(&exchange.request.line)),
    variable("request_method", |exchange, _| some(&exchange.request.method)),
    variable("request_uri", |exchange, _| some(&exchange.request.path())),
    variable("server_protocol", |exchange, _| {
        Some(Bytes::from_static(match exchange.request.version {
            Protocol::Http09 => b"HTTP/0.9",
            Protocol::Http10 => b"HTTP/1.0",
            Protocol::Http11 => b"HTTP/1.1",
            Protocol::Http2 => b"HTTP/2.0",
        }))
    }),
    variable("host", |exchange, _| {
        let named = exchange.request.host.clone();
        Some(named.unwrap_or_else(|| Bytes::from(exchange.server.name.clone())))
    }),
    variable("server_name", |exchange, _| Some(Bytes::from(exchange.server.name.clone()))),
    variable("http_", |exchange, rest| {
        fields(exchange, rest, if rest == "cookie" { b"; " } else { b", " })
    }),
    // A chunked body's length is known once it has been read whole.
    volatile("content_length", |exchange, _| {
        let said = exchange.header("content-length").cloned();
        said.or_else(|| exchange.body.spooled_length().map(number))
    }),
    variable("content_type", |exchange, _| fields(exchange, "content_type", b", ")),
    variable("cookie_", cookie),
    variable("remote_user", |exchange, _| basic_user(exchange)),
    volatile("request_length", |exchange, _| {
        Some(number(exchange.request.head_size as u64 + exchange.body.received()))
    }),
    variable("request_id", |exchange, _| Some(exchange.story.request_id().clone())),
    // Where it leads, which rewrites change.
    volatile("uri", |exchange, _| Some(exchange.uri.clone())),
    volatile("document_uri", |exchange, _| Some(exchange.uri.clone())),
    volatile("args", |exchange, _| some(&exchange.args)),
    volatile("query_string", |exchange, _| some(&exchange.args)),
    volatile("is_args", |exchange, _| {
        Some(Bytes::from_static(if exchange.args.is_empty() { b"" } else { b"?" }))
    }),
    volatile("arg_", argument),
    volatile("document_root", |exchange, _| {
        Some(path(&exchange.location.core.document_root(exchange)))
    }),
    volatile("realpath_root", |exchange, _| {
        Some(path(&exchange.location.core.document_root(exchange).canonicalize().ok()?))
    }),
    volatile("request_filename", |exchange, _| Some(path(&exchange.location.core.map(exchange)?))),
    // What was sent.
    volatile("status", |exchange, _| Some(format!("{:03}", exchange.sent.status).into())),
    volatile("bytes_sent", |exchange, _| Some(number(exchange.sent.bytes))),
    volatile("body_bytes_sent", |exchange, _| Some(number(exchange.sent.body_bytes))),
    variable("pipe", |exchange, _| {
        Some(Bytes::from_static(if exchange.request.pipelined { b"p" } else { b"." }))
    }),
    volatile("request_completion", |exchange, _| {
        Some(Bytes::from_static(if exchange.sent.complete { b"OK" } else { b"" }))
    }),
    volatile("sent_http_", sent),
    volatile("sent_trailer_", |exchange, rest| join(exchange.sent.trailers.pairs(), rest, b", ")),
    // The time, and who tells it.
    volatile("request_time", |exchange, _| Some(seconds(exchange.story.age()))),
    volatile("msec", |_, _| {
        let (second, milliseconds) = clock::now();
        Some(format!("{second}.{milliseconds:03}").into())
    }),
    volatile("time_local", |_, _| Some(clock::combined_time())),
    volatile("time_iso8601", |_, _| Some(clock::iso_time())),
    variable("hostname", |_, _| Some(hostname().into())),
    variable("pid", |_, _| Some(number(u64::from(std::process::id())))),
    variable("nginx_version", |_, _| {
        let (_, version) = crate::SERVER_TOKEN.split_once('/')?;
        Some(Bytes::from_static(version.as_bytes()))
    }),
];

/// The first argument of this name, as it came.
pub fn argument(exchange: &Exchange, wanted: &str) -> Option<Bytes> {
    let pairs = exchange.args.split(|byte| *byte == b'&');
    let mut pairs = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        Some((&pair[..equals], &pair[equals + 1..]))
    });
    let found = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))?;
    Some(exchange.args.slice_ref(found.1))
}

/// The name in `Authorization: Basic`.
pub fn basic_user(exchange: &Exchange) -> Option<Bytes> {
    basic_credentials(exchange).map(|(name, _)| name)
}

/// The name and the password in `Authorization: Basic`; a name must be there.
pub fn basic_credentials(exchange: &Exchange) -> Option<(Bytes, Vec<u8>)> {
    let value = exchange.header("authorization")?;
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut text = base64(encoded.trim_ascii())?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    let password = text.split_off(colon + 1);
    text.truncate(colon);
    (!text.is_empty()).then(|| (text.into(), password))
}

/// This machine's name.
pub fn hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().to_ascii_lowercase()
}

/// `1.234`, as times are written in logs.
pub fn seconds(time: Duration) -> Bytes {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis()).into()
}

/// nginx tells what is empty from what is missing, by whether it ever had a place.
fn some(value: &Bytes) -> Option<Bytes> {
    (!value.is_empty()).then(|| value.clone())
}

fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(itoa::Buffer::new().format(value).as_bytes())
}

pub fn port(address: &PeerAddress) -> Option<Bytes> {
    match address {
        // An address that was only told of may have none.
        PeerAddress::Ip(address) if address.port() == 0 => None,
        PeerAddress::Ip(address) => Some(number(u64::from(address.port()))),
        PeerAddress::Unix(_) => None,
    }
}

fn path(path: &std::path::Path) -> Bytes {
    Bytes::copy_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

fn cookie(exchange: &Exchange, wanted: &str) -> Option<Bytes> {
    for list in exchange.request.headers.all("cookie") {
        for pair in list.split(|byte| *byte == b';') {
            let pair = pair.trim_ascii_start();
            let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
            if pair[..equals].eq_ignore_ascii_case(wanted.as_bytes()) {
                return Some(list.slice_ref(&pair[equals + 1..]));
            }
        }
    }
    None
}

/// From the head as it was written; before that, from what is about to be.
fn sent(exchange: &Exchange, wanted: &str) -> Option<Bytes> {
    if exchange.sent.head.is_empty() {
        let Some(response) = &exchange.pending else {
            return exchange.sent.content_type.clone().filter(|_| wanted == "content_type");
        };
        return match wanted {
            "content_type" => response.content_type.clone(),
            "content_length" => response.body.length().map(number),
            "last_modified" => response.last_modified.map(|second| {
                let mut date = Bytes::new();
                clock::http_date_of(second, |text| date = text.to_owned().into());
                date
            }),
            "location" => response.location.clone(),
            _ => None,
        }
        .or_else(|| join(response.headers.pairs(), wanted, b", "));
    }
    if exchange.request.version == Protocol::Http2 {
        let fields = sent_fields(&exchange.sent.head);
        return join(fields.iter().map(|field| (&field.name[..], &field.value[..])), wanted, b", ");
    }
    let lines = exchange.sent.head.split(|byte| *byte == b'\n').skip(1);
    let fields = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    });
    join(fields, wanted, b", ")
}

/// The values of all fields of a name in the request.
fn fields(exchange: &Exchange, wanted: &str, separator: &[u8]) -> Option<Bytes> {
    join(exchange.request.headers.pairs(), wanted, separator)
}

/// The values of all fields of a name, which is written with `_` for `-`.
fn join<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    wanted: &str,
    separator: &[u8],
) -> Option<Bytes> {
    let same = |name: &[u8]| {
        name.len() == wanted.len()
            && name.iter().zip(wanted.bytes()).all(|(byte, wanted)| {
                byte.to_ascii_lowercase() == wanted || (*byte == b'-' && wanted == b'_')
            })
    };
    let values: Vec<&[u8]> =
        fields.filter(|(name, _)| same(name)).map(|(_, value)| value).collect();
    (!values.is_empty()).then(|| values.join(separator).into())
}

/// `None` for what is not base64. Padding may be missing.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in &text[..end] {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push((bits >> held & 0xff) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_credentials() {
        assert_eq!(base64(b"QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap(), b"Aladdin:open sesame");
        assert_eq!(base64(b"YTpi").unwrap(), b"a:b");
        assert_eq!(base64(b"").unwrap(), b"");
        assert_eq!(base64(b"a:b"), None);
    }

    #[test]
    fn fields_are_joined_by_name() {
        let fields =
            [(&b"X-Forwarded-For"[..], &b"1"[..]), (b"x-other", b"2"), (b"x-forwarded-for", b"3")];
        assert_eq!(join(fields.into_iter(), "x_forwarded_for", b", ").unwrap(), "1, 3");
        assert_eq!(join(fields.into_iter(), "x_none", b", "), None);
    }
}
