//! Workers come: as many as are wanted, and later and later where they do not live. While nobody
//! can boot, one alone tries, so that the log ends with the reason and the machine has peace.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{BootFailure, Ended, Fleet, Member, Order, Phase, State};
use crate::settings::Level;

/// A worker that dies this soon after it was ready counts as one that did not live.
pub(super) const SHORT_LIFE: Duration = Duration::from_secs(2);
/// So many workers in a row may be killed while they boot before it counts as a failure to boot.
const ACCIDENTS: u32 = 3;
/// Sent to a process by whoever wants it to leave.
const TOLD: [i32; 3] = [Signal::SIGTERM as i32, Signal::SIGQUIT as i32, Signal::SIGINT as i32];

impl Fleet {
    pub(super) fn spawn_missing(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if !self.started || self.not_before.is_some_and(|then| now < then) {
            return;
        }
        self.not_before = None;
        let generation = self.generation;
        let have = self.of(|it| {
            it.generation == generation
                && !it.used
                && matches!(it.state, State::Booting | State::Ready)
        });
        let wanted = if self.scouting { self.target.min(1) } else { self.target };
        for _ in have.len()..wanted {
            let worker = self.next;
            self.next += 1;
            let state = State::Booting;
            let member =
                Member { state, since: now, generation, used: false, worked: false, refusal: None };
            self.members.insert(worker, member);
            orders.push(Order::Spawn(worker));
        }
    }

    pub(super) fn died_booting(
        &mut self,
        member: Member,
        end: Ended,
        now: Instant,
        orders: &mut Vec<Order>,
    ) {
        // Whoever ended it says nothing about the application, whose next worker may boot.
        let is_accident = match end {
            _ if member.refusal.is_some() => false,
            Ended::Code(code) => code == 0,
            Ended::Signal(number) if TOLD.contains(&number) => true,
            Ended::Signal(_) => self.phase == Phase::Serving,
        };
        let reason = member.refusal.unwrap_or_else(|| (3, how_it_ended(end)));
        if is_accident && self.failures < ACCIDENTS {
            self.back_off(member.since, now);
            orders.push(Order::Say(Level::Error, format!("Worker lost: {}", reason.1)));
            return;
        }
        if self.phase == Phase::Starting && self.boot_failure == BootFailure::Ends {
            let (code, reason) = reason;
            self.phase = Phase::Failing { code, reason };
            orders.push(Order::StopListening);
            self.tell_all(Signal::SIGTERM, now, orders);
        } else if member.generation != self.proven && member.generation == self.generation {
            self.give_up_reload(reason.1, now, orders);
        } else if matches!(self.phase, Phase::Starting | Phase::Serving) {
            self.back_off(member.since, now);
            self.boot_failed(reason.1, now, orders);
        }
    }

    /// With `--preload`. Another nursery tries, as what this one has imported so far stays in it.
    pub(super) fn not_preloaded(
        &mut self,
        code: u8,
        reason: String,
        now: Instant,
        orders: &mut Vec<Order>,
    ) {
        if self.phase == Phase::Starting && self.boot_failure == BootFailure::Ends {
            self.phase = Phase::Failing { code, reason };
            orders.push(Order::StopListening);
        } else if !self.started && !self.is_leaving() {
            self.back_off(now, now);
            self.boot_failed(reason, now, orders);
            let wait = self.not_before.map_or(Duration::ZERO, |then| then - now);
            orders.push(Order::Replant(wait));
        }
    }

    /// The address stays open; whoever asks meanwhile is told.
    fn boot_failed(&mut self, reason: String, now: Instant, orders: &mut Vec<Order>) {
        self.phase = Phase::Serving;
        let wait = self.not_before.map_or(0.0, |then| (then - now).as_secs_f64());
        let message = format!("Worker failed to boot, next try in {wait:.1}s. Reason: {reason}");
        orders.push(Order::Say(Level::Error, message));
        if !self.members.values().any(|it| it.state == State::Ready) {
            self.scouting = true;
            orders.push(Order::Unavailable(Some(reason)));
        }
    }

    /// `since`: when it began what it did not live to do.
    pub(super) fn back_off(&mut self, since: Instant, now: Instant) {
        // Those that were on their way already when the last one failed fail with it, not after it.
        if self.failures > 0 && self.failed_at.is_some_and(|at| since < at) {
            return;
        }
        // One that came after the last failure and lives has ended the row.
        let lives = |it: &Member| it.state == State::Ready && now - it.since >= SHORT_LIFE;
        if self
            .members
            .values()
            .any(|it| lives(it) && self.failed_at.is_some_and(|at| it.since > at))
        {
            self.failures = 0;
        }
        self.failed_at = Some(now);
        self.failures += 1;
        // The first is replaced at once: it may have been an accident.
        if let Some(doublings) = self.failures.checked_sub(2) {
            let delay = Duration::from_millis(500 << doublings.min(6));
            self.not_before = Some(now + delay.min(Duration::from_secs(30)));
        }
    }
}

/// In words, for a worker that left none of its own.
fn how_it_ended(end: Ended) -> String {
    match end {
        Ended::Code(code) => format!("the worker exited with code {code} while it started"),
        Ended::Signal(number) => {
            let name = Signal::try_from(number).map_or("an unknown signal", Signal::as_str);
            format!("the worker was killed by {name} while it started")
        }
    }
}
