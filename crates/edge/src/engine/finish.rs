//! The log phase: after the last byte, or after the client has gone.

use std::sync::Arc;

use crate::exchange::Exchange;

/// Tells the families that keep a record. What was sent stands in `exchange.sent`.
pub fn finish(exchange: &mut Exchange) {
    let sent = &exchange.sent;
    exchange.debug(|| format!("request is done: {}, {} bytes sent", sent.status, sent.bytes));
    if exchange.location.plan.log.is_empty() {
        return;
    }
    let location = Arc::clone(&exchange.location);
    location.plan.log.iter().for_each(|log| log.log(exchange));
}
