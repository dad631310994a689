//! The request as the upstream gets it: the fields the configuration sets, then the client's own.
//!
//! What is meant for one hop alone never goes to the next: `Connection`, `Keep-Alive`, `TE`,
//! `Upgrade`, `Expect` and `Proxy-Connection` go only where `proxy_set_header` says so, and length
//! and coding are those of what is really sent.

use bytes::Bytes;
use http1::Version;

use crate::{
    exchange::Exchange,
    headers::{NameSet, keep_to_one_line, one_line},
    modules::passing::BodyLength,
    uri::one_word,
    vars::Template,
};

/// The fields, settled for one location.
pub(super) struct RequestHead {
    /// Name and value; one that turns out empty is left out.
    fields: Vec<(Bytes, Template)>,
    /// Not taken from the client.
    replaced: NameSet,
    own: Own,
}

/// Which fields the configuration sets that are otherwise written here.
#[expect(clippy::struct_excessive_bools, reason = "four fields, each set or not")]
struct Own {
    host: bool,
    length: bool,
    coding: bool,
    trace: bool,
}

/// What belongs to one hop, or is written anew.
const NOT_FORWARDED: [&str; 9] = [
    "host",
    "connection",
    "proxy-connection",
    "content-length",
    "transfer-encoding",
    "te",
    "keep-alive",
    "expect",
    "upgrade",
];

/// What the head is made of, for one request.
pub(super) struct Line<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) version: Version,
    pub(super) body: BodyLength,
    pub(super) pass_headers: bool,
}

impl RequestHead {
    pub(super) fn new(set: &[(String, Template)]) -> RequestHead {
        let said = |name: &str| set.iter().any(|(set, _)| set.eq_ignore_ascii_case(name));
        let own = set.iter().map(|(name, _)| name.as_str());
        let replaced = NOT_FORWARDED.into_iter().chain(own).collect();
        let fields = set
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (Bytes::copy_from_slice(name.as_bytes()), value.clone()));
        RequestHead {
            fields: fields.collect(),
            replaced,
            own: Own {
                host: said("host"),
                length: said("content-length"),
                coding: said("transfer-encoding"),
                trace: said("traceparent"),
            },
        }
    }

    pub(super) fn write(&self, exchange: &Exchange, line: &Line<'_>) -> Bytes {
        let mut head = Vec::with_capacity(1024);
        let version: &[u8] = match line.version {
            Version::Http11 => b" HTTP/1.1\r\n",
            Version::Http09 | Version::Http10 => b" HTTP/1.0\r\n",
        };
        for part in [&one_word(line.method), &b" "[..], &one_word(line.target), version] {
            head.extend_from_slice(part);
        }
        if !self.own.host
            && let Some(proxied) = &exchange.story.proxied
        {
            field(&mut head, b"Host", &one_line(proxied.host.clone()));
        }
        for (name, value) in &self.fields {
            let start = head.len();
            head.extend_from_slice(name);
            head.extend_from_slice(b": ");
            let value_start = head.len();
            value.render_into(exchange, &mut head);
            keep_to_one_line(&mut head[value_start..]);
            if head.len() == value_start {
                head.truncate(start);
            } else {
                head.extend_from_slice(b"\r\n");
            }
        }
        match line.body {
            BodyLength::Known(length) if !self.own.length => {
                field(&mut head, b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
            }
            BodyLength::Unknown if !self.own.coding => {
                field(&mut head, b"Transfer-Encoding", b"chunked");
            }
            _ => (),
        }
        let trace = exchange.story.trace_forward.filter(|_| !self.own.trace);
        if let Some(trace) = trace {
            field(&mut head, trace::TRACEPARENT.as_bytes(), trace.to_string().as_bytes());
        }
        if line.pass_headers {
            for header in &exchange.request.headers {
                let known_trace = trace.is_some() && header.is(trace::TRACEPARENT);
                if !known_trace && !self.replaced.contains(&header.name) {
                    field(&mut head, &header.name, &header.value);
                }
            }
        }
        head.extend_from_slice(b"\r\n");
        head.into()
    }
}

fn field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}
