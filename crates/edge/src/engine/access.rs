//! The access phase, and the only home of `satisfy`.

use std::time::Instant;

use super::plan::{Answer, Verdict};
use crate::{exchange::Exchange, load::Location, log::Level, modules::core::Satisfy};

/// Who may not enter is told so; a question is asked no sooner than `auth_delay` says.
pub(super) async fn check(location: &Location, exchange: &mut Exchange) -> Result<(), Answer> {
    let Err(status) = weigh(location, exchange).await else { return Ok(()) };
    let delay = location.plan.auth_delay;
    if status == 401 && !delay.is_zero() {
        exchange.log(Level::Info, "delaying unauthorized request");
        if let Err(error) = exchange.client.pause(Instant::now() + delay).await {
            exchange.log(Level::Info, &error.to_string());
            return Err(Answer::Gone);
        }
    }
    Err(Answer::Status(status))
}

/// `satisfy all`: the first denial stands. `satisfy any`: the first permission does, and if there is
/// none, the last denial. A redirect inside the server was permitted where it came from.
async fn weigh(location: &Location, exchange: &mut Exchange) -> Result<(), u16> {
    let mut denied = None;
    for check in &location.plan.access {
        match (check.check(exchange).done().await, location.core.satisfy()) {
            (Verdict::Abstain, _) | (Verdict::Allow, Satisfy::All) => (),
            (Verdict::Allow, Satisfy::Any) => {
                if denied == Some(401) {
                    exchange.withdraw_question();
                }
                return Ok(());
            }
            (Verdict::Deny(status), Satisfy::All) => return Err(status),
            // What failed is not a matter of who asks.
            (Verdict::Deny(status), Satisfy::Any) if !matches!(status, 401 | 403) => {
                return Err(status);
            }
            // A question (401) is worth more than a refusal (403): the client may yet answer it.
            (Verdict::Deny(status), Satisfy::Any) if denied != Some(401) => denied = Some(status),
            (Verdict::Deny(_), Satisfy::Any) => (),
        }
    }
    denied.map_or(Ok(()), Err)
}
