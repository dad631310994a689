//! A worker for this request: at once, after waiting in a bounded queue, or not at all.
//!
//! Whoever waits too long, or finds the queue full, is told so while it still listens; and a client
//! that left is not served.

use std::time::Instant;

use super::DispatchError;
use crate::{
    front::{Connection, Head},
    gateway::Gateway,
    pool::{Held, Lease},
    story::Story,
};

pub(super) async fn lease(
    gateway: &Gateway,
    connection: &mut Connection,
    story: &mut Story,
    head: &Head,
) -> Result<Lease, DispatchError> {
    let now = Instant::now();
    story.admitted.get_or_insert(now);
    let held = Held { title: head.title(), since: now, peer: story.peer };
    let lease = match gateway.pool.lease(held) {
        Ok(lease) => lease,
        Err(held) => wait(gateway, connection, held).await?,
    };
    story.leased = Some(Instant::now());
    story.worker = Some(lease.worker().pid);
    Ok(lease)
}

async fn wait(
    gateway: &Gateway,
    connection: &mut Connection,
    held: Held,
) -> Result<Lease, DispatchError> {
    if let Some(reason) = gateway.pool.unavailable() {
        return Err(DispatchError::NoWorker { reason });
    }
    let bound = gateway.settings().queue;
    let waiting = gateway.pool.waiting(bound);
    if waiting >= bound {
        return Err(DispatchError::Shed { waiting, in_hand: gateway.pool.in_hand() });
    }
    let turn = gateway.pool.wait(held);
    let Connection { socket, buffer, is_last, .. } = connection;
    let closed = async {
        // Of the last request it is we who closed that direction, and the client may well be there.
        if *is_last {
            std::future::pending::<()>().await;
        }
        socket.closed(buffer).await;
    };
    tokio::select! {
        biased;
        // First of all: its turn may have come as well, and somebody else is glad of that.
        () = closed => Err(DispatchError::ClientGone),
        lease = turn => lease.map_err(|_| {
            let reason = gateway.pool.unavailable();
            DispatchError::NoWorker { reason: reason.unwrap_or_else(|| "no worker is left".to_owned()) }
        }),
        () = tokio::time::sleep(gateway.settings().queue_timeout) => {
            let seconds = gateway.settings().queue_timeout.as_secs();
            Err(DispatchError::Waited { seconds, in_hand: gateway.pool.in_hand() })
        }
    }
}
