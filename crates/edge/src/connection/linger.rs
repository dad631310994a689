//! `lingering_close`: a connection closed while the client still sends would be reset, and the
//! answer lost with it (RFC 9112 §9.6). So: say that no more will come, read on for a while, close.

use std::time::{Duration, Instant};

use super::Client;
use crate::load::Address;

/// Reads of this size; what is read is dropped.
const READ: usize = 64 << 10;

pub(super) async fn close(client: &Client, address: &Address) {
    let core = &address.default.outer.core;
    client.shutdown().await;
    let end = Instant::now() + core.lingering_time();
    let pause: Duration = core.lingering_timeout();
    while Instant::now() < end {
        let deadline = (Instant::now() + pause).min(end);
        if client.fill(READ, deadline).await.is_err() {
            return;
        }
        client.buffer.borrow_mut().clear();
    }
}
