//! Whether a connection speaks HTTP/2: agreed on in the handshake, or simply begun.

use http2::PREFACE;

use crate::{
    connection::{
        Client, Deadline,
        counts::{Count, Counted},
    },
    load::Address,
    process::Drain,
};

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Begins {
    Http2,
    Otherwise,
    /// Not at all.
    Not,
}

/// Over TLS it has been agreed on; over a plain socket the client simply begins, where it may.
pub(in super::super) async fn detect(address: &Address, client: &Client, drain: &Drain) -> Begins {
    let reached = client.peer.reached(address);
    let outer = &reached.default.outer;
    if !outer.http2.on() && !address.listen.http2 {
        return Begins::Otherwise;
    }
    if reached.is_secure() {
        let agreed = client.peer.tls().and_then(|secured| secured.alpn.as_deref());
        return if agreed == Some(b"h2") { Begins::Http2 } else { Begins::Otherwise };
    }
    let limit = outer.core.client_header_timeout();
    let _waiting = Counted::one(Count::Waiting);
    let grace = outer.core.keepalive_min_timeout();
    if !client.wait_for_request(&mut Deadline::after(limit), grace, drain).await {
        return Begins::Not;
    }
    let mut deadline = Deadline::after(limit);
    loop {
        let received = client.buffer.borrow().len().min(PREFACE.len());
        if client.buffer.borrow()[..received] != PREFACE[..received] {
            return Begins::Otherwise;
        }
        if received == PREFACE.len() {
            return Begins::Http2;
        }
        if client.fill_head(&mut deadline).await.is_err() {
            // Who reads a request next is told the same.
            return Begins::Otherwise;
        }
    }
}
