//! `lingering_close`: a connection closed while the client still sends would be reset, and the
//! answer lost with it (RFC 9112 §9.6). So: say that no more will come, read on for a while, close.

use std::time::{Duration, Instant};

use super::{Client, Deadline};
use crate::{exchange::Exchange, modules::core::Core};

/// Reads of this size; what is read is dropped.
const READ: usize = 64 << 10;

pub(super) async fn close(client: &Client, core: &Core) {
    // What has come already may be dropped at once.
    client.buffer.borrow_mut().clear();
    client.shutdown().await;
    let end = Instant::now() + core.lingering_time();
    let pause: Duration = core.lingering_timeout();
    while Instant::now() < end {
        let mut deadline = Deadline::until((Instant::now() + pause).min(end));
        if client.fill(READ, &mut deadline).await.is_err() {
            return;
        }
        client.buffer.borrow_mut().clear();
    }
}

/// Reads what is left of a body that nobody wanted, so that the next request can follow it.
/// `false`: it did not come in time, or has no end.
pub(super) async fn discard(exchange: &mut Exchange) -> bool {
    if exchange.body.is_read() {
        return true;
    }
    let core = std::sync::Arc::clone(&exchange.location.core);
    let end = Instant::now() + core.lingering_time();
    while !exchange.body.is_read() && !exchange.body.discard_buffered() {
        let mut deadline = Deadline::until((Instant::now() + core.lingering_timeout()).min(end));
        if exchange.body.is_broken() || exchange.client.fill(READ, &mut deadline).await.is_err() {
            return false;
        }
    }
    true
}
