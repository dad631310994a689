//! Workers leave, and then we do. Nobody is waited for without end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Ended, Fleet, Order, Phase, State, WorkerId, boot::SHORT_LIFE};
use crate::settings::Level;

/// Between abort and kill.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Fleet {
    pub(super) fn exited(
        &mut self,
        worker: WorkerId,
        end: Ended,
        now: Instant,
        orders: &mut Vec<Order>,
    ) {
        let Some(member) = self.members.remove(&worker) else { return };
        match member.state {
            State::Booting => self.died_booting(member, end, now, orders),
            // Somebody told it to leave.
            State::Ready if end == Ended::Code(0) => (),
            State::Ready if !member.worked && now - member.since < SHORT_LIFE => {
                self.back_off(member.since, now);
            }
            State::Ready => self.failures = 0,
            State::Retiring | State::Stuck | State::Leaving | State::Aborted => (),
        }
        let gone = |generation| !self.members.values().any(|it| it.generation == generation);
        if let Some((_, reason)) = self.given_up.take_if(|(generation, _)| gone(*generation)) {
            let serves = self.members.values().any(|it| it.state == State::Ready);
            let who =
                if serves { "the old workers serve on" } else { "and there are no old workers" };
            let message = format!("Reload failed, {who}. Reason: {reason}");
            orders.push(Order::Say(Level::Error, message));
        }
    }

    pub(super) fn stop(&mut self, patience: Duration, now: Instant, orders: &mut Vec<Order>) {
        if !matches!(self.phase, Phase::Stopping { .. } | Phase::Failing { .. }) {
            orders.push(Order::StopListening);
        }
        self.phase = Phase::Stopping { since: now, patience };
    }

    /// Nobody is waited for without end.
    pub(super) fn enforce_patience(&mut self, now: Instant, orders: &mut Vec<Order>) {
        let stopping = match &self.phase {
            Phase::Stopping { since, patience } => now - *since >= *patience,
            Phase::Starting | Phase::Serving | Phase::Failing { .. } => false,
        };
        let workers: Vec<WorkerId> = self.members.keys().copied().collect();
        for worker in workers {
            let member = &self.members[&worker];
            let patience = match member.state {
                State::Booting | State::Ready => Duration::MAX,
                State::Retiring | State::Stuck | State::Leaving => self.graceful,
                State::Aborted => LAST_WORDS,
            };
            let is_over = now - member.since >= patience;
            if is_over && member.state == State::Stuck && !stopping {
                self.abort(worker, now, orders);
            } else if stopping || is_over {
                // Once is enough, unless the kernel takes its time.
                self.tell(worker, Signal::SIGKILL, now, orders);
            }
        }
        if stopping {
            self.phase = Phase::Stopping { since: now, patience: LAST_WORDS };
        }
    }

    pub(super) fn leave(&mut self, orders: &mut Vec<Order>) {
        if !self.members.is_empty() {
            return;
        }
        match &self.phase {
            Phase::Failing { code, reason } => {
                let what = match code {
                    4 => "App failed to load",
                    _ => "Worker failed to boot",
                };
                orders.push(Order::Goodbye);
                orders.push(Order::Say(Level::Error, format!("Reason: {what}: {reason}")));
                orders.push(Order::Exit(*code));
            }
            Phase::Stopping { .. } => orders.extend([Order::Goodbye, Order::Exit(0)]),
            Phase::Starting | Phase::Serving => (),
        }
    }
}
