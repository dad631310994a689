//! The access phase, and the only home of `satisfy`.

use super::plan::Verdict;
use crate::{exchange::Exchange, load::Location, modules::core::Satisfy};

/// `satisfy all`: the first denial stands. `satisfy any`: the first permission does, and if there is
/// none, the last denial. A redirect inside the server was permitted where it came from.
pub(super) async fn check(location: &Location, exchange: &mut Exchange) -> Result<(), u16> {
    let mut denied = None;
    for check in &location.plan.access {
        match (check.check(exchange).done().await, location.core.satisfy()) {
            (Verdict::Abstain, _) | (Verdict::Allow, Satisfy::All) => (),
            (Verdict::Allow, Satisfy::Any) => return Ok(()),
            (Verdict::Deny(status), Satisfy::All) => return Err(status),
            // A question (401) is worth more than a refusal (403): the client may yet answer it.
            (Verdict::Deny(status), Satisfy::Any) if denied != Some(401) => denied = Some(status),
            (Verdict::Deny(_), Satisfy::Any) => (),
        }
    }
    denied.map_or(Ok(()), Err)
}
