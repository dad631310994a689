//! Variables every request has. Those of one family stand in that family's file.

use bytes::Bytes;

use super::{Variable, variable, volatile};

pub const VARIABLES: &[Variable] = &[
    variable("host", |exchange, _| {
        let named = exchange.request.host.clone();
        Some(named.unwrap_or_else(|| Bytes::from(exchange.server.name.clone())))
    }),
    variable("http_", |exchange, rest| {
        let same = |name: &[u8]| {
            name.len() == rest.len()
                && name.iter().zip(rest.bytes()).all(|(byte, wanted)| {
                    byte.to_ascii_lowercase() == wanted || (*byte == b'-' && wanted == b'_')
                })
        };
        let found = exchange.request.headers.iter().filter(|header| same(&header.name));
        let mut found = found.map(|header| header.value.clone());
        let first = found.next()?;
        Some(found.fold(first, |all, next| [&all[..], b", ", &next].concat().into()))
    }),
    variable("remote_addr", |exchange, _| Some(exchange.client.peer.address_text())),
    variable("request_method", |exchange, _| Some(exchange.request.method.clone())),
    variable("request", |exchange, _| Some(exchange.request.line.clone())),
    variable("request_uri", |exchange, _| Some(exchange.request.target.clone())),
    volatile("uri", |exchange, _| Some(exchange.uri.clone())),
    volatile("args", |exchange, _| Some(exchange.args.clone())),
    volatile("status", |exchange, _| Some(format!("{:03}", exchange.sent.status).into())),
];
