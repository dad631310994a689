//! Waiting for a peer: no longer than the configuration says, and no longer than the client does.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use super::Limits;
use crate::connection::Client;

/// Why a wait ended before what was waited for.
pub(super) enum Interruption {
    Timeout,
    Gone,
}

/// Waits for `step`, no longer than `limit`, and no longer than the client does.
pub(super) async fn watch<T>(
    client: &Client,
    limits: &Limits,
    limit: Duration,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Interruption> {
    let mut deadline = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = step(context) {
            return Poll::Ready(Ok(done));
        }
        if !limits.ignore_client_abort && client.poll_gone(context).is_ready() {
            return Poll::Ready(Err(Interruption::Gone));
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
        client.poll_deadline(context, deadline).map(|()| Err(Interruption::Timeout))
    })
    .await
}
