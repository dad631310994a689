//! `$upstream_*` and `$proxy_*`: told from the request's story, where every upstream that was asked
//! has its line.

use std::time::Duration;

use bytes::Bytes;
use http1::{FieldLine, field_line, status_line};

use crate::{
    exchange::Exchange,
    modules::passing::cookie_value,
    story::Attempt,
    vars::{Variable, variable, volatile},
};

pub(super) const VARIABLES: &[Variable] = &[
    volatile("proxy_host", |exchange, _| Some(exchange.story.proxied.as_ref()?.host.clone())),
    volatile("proxy_port", |exchange, _| {
        Some(exchange.story.proxied.as_ref()?.port.to_string().into())
    }),
    variable("proxy_add_x_forwarded_for", |exchange, _| {
        let address = exchange.remote().text();
        let mut known = exchange.request.headers.all("x-forwarded-for").peekable();
        if known.peek().is_none() {
            return Some(address.clone());
        }
        let mut list = Vec::new();
        for value in known {
            list.extend_from_slice(value);
            list.extend_from_slice(b", ");
        }
        list.extend_from_slice(address);
        Some(list.into())
    }),
    volatile("upstream_addr", |exchange, _| each(exchange, |attempt| attempt.address.to_string())),
    volatile("upstream_status", |exchange, _| {
        each(exchange, |attempt| attempt.status.map_or("-".to_owned(), |status| status.to_string()))
    }),
    volatile("upstream_connect_time", |exchange, _| {
        each(exchange, |attempt| seconds(attempt.connected))
    }),
    volatile("upstream_header_time", |exchange, _| each(exchange, |attempt| seconds(attempt.head))),
    volatile("upstream_response_time", |exchange, _| {
        each(exchange, |attempt| seconds(attempt.progress.complete.get()))
    }),
    volatile("upstream_response_length", |exchange, _| {
        each(exchange, |attempt| attempt.progress.body.get().to_string())
    }),
    volatile("upstream_bytes_received", |exchange, _| {
        each(exchange, |attempt| attempt.progress.received.get().to_string())
    }),
    volatile("upstream_bytes_sent", |exchange, _| {
        each(exchange, |attempt| attempt.progress.sent.get().to_string())
    }),
    volatile("upstream_http_", |exchange, rest| {
        let same = |name: &[u8]| {
            name.len() == rest.len()
                && name.iter().zip(rest.bytes()).all(|(byte, wanted)| {
                    byte.to_ascii_lowercase() == wanted || (*byte == b'-' && wanted == b'_')
                })
        };
        let raw = &exchange.story.upstream()?.raw_head;
        let values: Vec<Bytes> =
            fields(raw).filter(|(name, _)| same(name)).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]).into())
    }),
    // Of a cache that is not here: formats of logs name them.
    volatile("upstream_cache_status", |_, _| None),
    volatile("upstream_cache_last_modified", |_, _| None),
    volatile("upstream_cache_etag", |_, _| None),
    volatile("upstream_cookie_", |exchange, rest| {
        let raw = &exchange.story.upstream()?.raw_head;
        fields(raw)
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie"))
            .find_map(|(_, cookie)| cookie_value(&cookie, rest.as_bytes()))
    }),
];

/// Every attempt's value, as nginx joins them: commas between the peers of one upstream, a colon
/// where the request has gone on to another place inside the server.
fn each(exchange: &Exchange, value: impl Fn(&Attempt) -> String) -> Option<Bytes> {
    let attempts = &exchange.story.attempts;
    if attempts.is_empty() {
        return None;
    }
    let mut text = String::new();
    for (place, attempt) in attempts.iter().enumerate() {
        if place > 0 {
            text.push_str(if attempt.after_redirect { " : " } else { ", " });
        }
        text.push_str(&value(attempt));
    }
    Some(text.into())
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| {
        let millis = time.as_millis();
        format!("{}.{:03}", millis / 1000, millis % 1000)
    })
}

/// The fields of a head that has been read once already, and so can be read again.
fn fields(raw: &Bytes) -> impl Iterator<Item = (Bytes, Bytes)> {
    // A CGI head has no status line.
    let mut at = status_line(raw).ok().flatten().map_or(0, |line| line.end);
    std::iter::from_fn(move || match field_line(raw, at) {
        Ok(Some(FieldLine::Field(field))) => {
            at = field.end;
            Some((raw.slice(field.name), raw.slice(field.value)))
        }
        _ => None,
    })
}
