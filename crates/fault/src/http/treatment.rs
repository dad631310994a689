//! What the toxics in force do to one message: those that take it are counted and told of, its head
//! is changed, and what is to happen to its body is noted.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use axum::http::StatusCode;
use bytes::Bytes;

use super::{
    exchange::Exchange,
    head::{Framing, Head},
};
use crate::{
    live::Live,
    told::Told,
    toxics::{Item, Kind, milliseconds},
};

/// Where a size is expected.
const NO_SIZE: &[u8] = b"no-size\r\n";

#[derive(Debug, Default)]
pub(super) struct Treatment {
    pub(super) drop: bool,
    /// Answered with this status instead.
    pub(super) status: Option<u16>,
    /// So many bytes of the body are left to pass.
    pub(super) left: Option<u64>,
    /// What goes before the body.
    pub(super) before_body: Vec<Item>,
    slow: Option<(u64, Duration)>,
}

impl Treatment {
    /// Of a message that belongs to `exchange`.
    pub(super) fn of(
        head: &mut Head,
        framing: Framing,
        toxics: &[Arc<Live>],
        exchange: &Exchange,
        told: &Told,
    ) -> Treatment {
        let mut treatment = Treatment::default();
        for live in toxics {
            if !begins_so(live, exchange) {
                continue;
            }
            if let Some(missing) = lacks(&live.toxic.kind, head, framing) {
                told.leaves_alone(&live.toxic, exchange, &missing);
            } else if let Some(count) = takes(live) {
                told.takes(&live.toxic, exchange, count);
                treatment.add(live, head);
            }
        }
        treatment
    }

    fn add(&mut self, live: &Live, head: &mut Head) {
        let toxic = live.number;
        match &live.toxic.kind {
            Kind::HttpDrop(_) => self.drop = true,
            Kind::HttpStatus(status) => self.status = Some(status.status),
            Kind::HttpTruncate(truncate) => self.left = Some(truncate.bytes),
            Kind::HttpWrongLength(wrong) => {
                let length = head.length().unwrap_or(0).saturating_add_signed(wrong.offset);
                head.remove("content-length");
                head.add("Content-Length", length.to_string());
            }
            Kind::HttpBadChunk(_) => {
                head.remove("content-length");
                head.remove("transfer-encoding");
                head.add("Transfer-Encoding", "chunked");
                self.before_body.push(Item::Data(Bytes::from_static(NO_SIZE)));
            }
            Kind::HttpHugeHeader(huge) => head.add("X-Fault", vec![b'x'; huge.bytes as usize]),
            Kind::HttpStall(stall) => {
                let time = (stall.delay > 0).then(|| milliseconds(stall.delay));
                self.before_body.push(Item::Hold { toxic, time });
            }
            Kind::HttpDuplicateHeader(twice) => head.repeat(&twice.name, &twice.value),
            Kind::HttpSlowHead(slow) => self.slow = Some((toxic, milliseconds(slow.delay))),
            // Toxics of bytes are no message's.
            _ => {}
        }
    }

    /// The head as it goes on.
    pub(super) fn head(&self, head: &Head, items: &mut Vec<Item>) {
        let bytes = head.bytes();
        let Some((toxic, delay)) = self.slow else { return items.push(Item::Data(bytes)) };
        for at in 0..bytes.len() {
            if at > 0 {
                items.push(Item::Hold { toxic, time: Some(delay) });
            }
            items.push(Item::Data(bytes.slice(at..=at)));
        }
    }
}

fn begins_so(live: &Live, exchange: &Exchange) -> bool {
    live.toxic.kind.requests().is_some_and(|(_, path)| exchange.target.starts_with(path))
}

/// What the toxic would need of this message to do anything to it.
fn lacks(kind: &Kind, head: &Head, framing: Framing) -> Option<String> {
    let missing = match kind {
        Kind::HttpWrongLength(_) if head.length().is_none() => "Content-Length",
        Kind::HttpDuplicateHeader(twice) if !head.has(&twice.name) => &twice.name,
        Kind::HttpTruncate(_) | Kind::HttpBadChunk(_) | Kind::HttpStall(_)
            if framing == Framing::Length(0) =>
        {
            "body"
        }
        Kind::HttpTruncate(truncate) if matches!(framing, Framing::Length(length) if length <= truncate.bytes) => {
            "body of more bytes"
        }
        _ => return None,
    };
    Some(missing.to_owned())
}

/// Which one the request is of those taken, if it is among the first.
fn takes(live: &Live) -> Option<u64> {
    let (first, _) = live.toxic.kind.requests()?;
    let count = |taken: u64| (first == 0 || taken < first).then_some(taken + 1);
    let before = live.taken.fetch_update(Relaxed, Relaxed, count).ok()?;
    Some(before + 1)
}

/// A whole answer of our own.
pub(super) fn answer(status: u16, method: &str, then_close: bool) -> Bytes {
    let reason = StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or_default();
    let connection = if then_close { "close" } else { "keep-alive" };
    let head = format!("HTTP/1.1 {status} {reason}\r\nConnection: {connection}\r\n");
    if matches!(status, 204 | 304) {
        return Bytes::from(format!("{head}\r\n"));
    }
    let body = format!("http_status {status}\n");
    let length = body.len();
    let body = if method == "HEAD" { "" } else { &body };
    let fields = format!("Content-Type: text/plain\r\nContent-Length: {length}\r\n");
    Bytes::from(format!("{head}{fields}\r\n{body}"))
}
