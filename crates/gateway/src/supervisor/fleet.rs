//! Who should live: a pure function from what happened to what must be done. No processes, no clocks,
//! no sockets: `on` is told the time, so a test is a sequence of events.
//!
//! The rules are gunicorn's, but for three. New workers come before old ones go, always: on reload,
//! on recycling, on scale-down. A reload whose workers can not boot is given up, and the old ones
//! serve on. And once the gateway has served, a worker that can not boot never ends it: it is tried
//! again, later and later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{listen::Doors, settings::Level};

pub(crate) type WorkerId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Everything listens.
    Start,
    /// It has imported the application and waits for requests.
    Ready(WorkerId),
    /// Its own word on why it will not; it exits next.
    Refused {
        worker: WorkerId,
        code: u8,
        reason: String,
    },
    Exited {
        worker: WorkerId,
        end: Ended,
    },
    /// Asked to retire, and nothing is in hand any more.
    Drained(WorkerId),
    /// It has answered as many requests as it may.
    Used(WorkerId),
    /// Somebody wants another one in its place.
    Dismissed(WorkerId),
    /// It has been silent over a request for too long.
    Stuck(WorkerId),
    /// No client connection is left. Only said once we have stopped listening.
    Quiet,
    Terminate,
    Quit,
    Hangup,
    More,
    Fewer,
    Reopen,
    /// Another master is to be started. Not for the fleet to do.
    Upgrade,
    /// No workers until HUP or TTIN; another master has the same sockets.
    Withdraw,
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Spawn(WorkerId),
    /// It gets no more requests; say when the ones it has are done.
    Retire(WorkerId),
    Kill(WorkerId, Signal),
    StopListening,
    /// Nobody is let in any more, or is again.
    SetDoors(Doors),
    Reopen,
    /// Nobody can answer, and this is why; with none, somebody can again.
    Unavailable(Option<String>),
    Say(Level, String),
    Exit(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Booting,
    Ready,
    /// Finishes what it has.
    Retiring,
    /// Was told to go.
    Leaving,
    /// Was aborted over a request.
    Aborted,
}

#[derive(Debug)]
struct Member {
    state: State,
    /// When it got into that state.
    since: Instant,
    /// Which reload it belongs to.
    generation: u64,
    /// To be replaced as soon as there is a replacement.
    used: bool,
    refusal: Option<(u8, String)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// No worker has been ready yet. A boot failure now ends everything.
    Starting,
    Serving,
    /// Everybody leaves, then we do.
    Failing {
        code: u8,
        reason: String,
    },
    Stopping {
        since: Instant,
        patience: Duration,
    },
}

pub(crate) struct Fleet {
    target: usize,
    /// What `target` is again after HUP.
    configured: usize,
    /// Told to do without workers, and since when those who are here are waited for.
    withdrawn: Option<Instant>,
    graceful: Duration,
    members: BTreeMap<WorkerId, Member>,
    next: WorkerId,
    generation: u64,
    /// The one to go back to while a reload is under way.
    proven: u64,
    phase: Phase,
    /// A reload that failed: which one, and why. Said when its last worker has gone.
    given_up: Option<(u64, String)>,
    /// Asked to reload before there was anything to keep serving meanwhile.
    hung_up_early: bool,
    /// Workers in a row that did not live, and when the last of them ended.
    failures: u32,
    failed_at: Option<Instant>,
    not_before: Option<Instant>,
}

/// A worker that dies this soon after it was ready counts as one that did not live.
const SHORT_LIFE: Duration = Duration::from_secs(2);
/// So many workers in a row may be killed while they boot before it counts as a failure to boot.
const ACCIDENTS: u32 = 3;
/// Between abort and kill.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// INT and QUIT mean now.
const QUICK: Duration = Duration::from_secs(2);

impl Fleet {
    pub(crate) fn new(target: usize, graceful: Duration) -> Fleet {
        Fleet {
            target,
            configured: target,
            withdrawn: None,
            graceful,
            members: BTreeMap::new(),
            next: 1,
            generation: 0,
            proven: 0,
            phase: Phase::Starting,
            given_up: None,
            hung_up_early: false,
            failures: 0,
            failed_at: None,
            not_before: None,
        }
    }

    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        match event {
            Event::Start | Event::Upgrade | Event::Tick => (),
            Event::Ready(worker) => {
                if let Some(member) = self.members.get_mut(&worker)
                    && member.state == State::Booting
                {
                    (member.state, member.since) = (State::Ready, now);
                    orders.push(Order::Unavailable(None));
                    if self.phase == Phase::Starting {
                        self.phase = Phase::Serving;
                        if std::mem::take(&mut self.hung_up_early) {
                            self.hang_up(&mut orders);
                        }
                    }
                }
            }
            Event::Refused { worker, code, reason } => {
                if let Some(member) = self.members.get_mut(&worker) {
                    member.refusal = Some((code, reason));
                }
            }
            Event::Exited { worker, end } => self.exited(worker, end, now, &mut orders),
            Event::Drained(worker) => {
                if self.members.get(&worker).is_some_and(|it| it.state == State::Retiring) {
                    self.tell(worker, Signal::SIGTERM, now, &mut orders);
                }
            }
            Event::Used(worker) => {
                if let Some(member) = self.members.get_mut(&worker) {
                    member.used = true;
                }
            }
            Event::Dismissed(worker) => match self.members.get(&worker).map(|it| it.state) {
                Some(State::Ready) => self.retire(worker, now, &mut orders),
                Some(State::Booting) => self.tell(worker, Signal::SIGTERM, now, &mut orders),
                Some(State::Retiring | State::Leaving | State::Aborted) | None => (),
            },
            Event::Stuck(worker) => {
                if let Some(member) = self.members.get_mut(&worker)
                    && member.state != State::Aborted
                {
                    (member.state, member.since) = (State::Aborted, now);
                    orders.push(Order::Kill(worker, Signal::SIGABRT));
                }
            }
            Event::Quiet => {
                if matches!(self.phase, Phase::Stopping { .. }) {
                    self.tell_all(Signal::SIGTERM, now, &mut orders);
                } else if self.withdrawn.is_some() {
                    self.target = 0;
                }
            }
            Event::Terminate => self.stop(self.graceful, now, &mut orders),
            Event::Quit => {
                self.stop(QUICK, now, &mut orders);
                self.tell_all(Signal::SIGQUIT, now, &mut orders);
            }
            Event::Hangup => match self.phase {
                Phase::Serving => self.hang_up(&mut orders),
                Phase::Starting => self.hung_up_early = true,
                Phase::Failing { .. } | Phase::Stopping { .. } => (),
            },
            Event::More => {
                self.target += 1;
                self.come_back(&mut orders);
            }
            Event::Withdraw => {
                if matches!(self.phase, Phase::Starting | Phase::Serving)
                    && self.withdrawn.is_none()
                {
                    self.withdrawn = Some(now);
                    orders.push(Order::SetDoors(Doors::Shut));
                }
            }
            Event::Fewer => {
                // As gunicorn: the last one stays, and none stays none.
                if self.target > 1 {
                    self.target -= 1;
                }
            }
            Event::Reopen => orders.push(Order::Reopen),
        }
        if self.withdrawn.is_some_and(|since| now - since >= self.graceful) {
            self.target = 0;
        }
        self.enforce_patience(now, &mut orders);
        match self.phase {
            Phase::Starting | Phase::Serving => {
                self.retire_surplus(now, &mut orders);
                self.spawn_missing(now, &mut orders);
            }
            Phase::Failing { .. } | Phase::Stopping { .. } => self.leave(&mut orders),
        }
        orders
    }

    /// Whether time alone can make something happen.
    pub(crate) fn needs_ticks(&self) -> bool {
        self.not_before.is_some()
            || (self.withdrawn.is_some() && self.target > 0)
            || !matches!(self.phase, Phase::Serving)
            || self.members.values().any(|member| member.state != State::Ready)
    }

    /// How many there should be.
    pub(crate) fn target(&self) -> usize {
        self.target
    }

    fn come_back(&mut self, orders: &mut Vec<Order>) {
        if self.withdrawn.take().is_some() {
            orders.push(Order::SetDoors(Doors::Open));
        }
    }

    fn hang_up(&mut self, orders: &mut Vec<Order>) {
        self.target = self.configured;
        self.come_back(orders);
        orders.push(Order::Say(Level::Info, "Hang up: Master".to_owned()));
        self.generation += 1;
        self.not_before = None;
    }

    fn exited(&mut self, worker: WorkerId, end: Ended, now: Instant, orders: &mut Vec<Order>) {
        let Some(member) = self.members.remove(&worker) else { return };
        let expected = matches!(member.state, State::Retiring | State::Leaving | State::Aborted);
        if !expected {
            let was_booting = member.state == State::Booting;
            let killed = matches!(end, Ended::Signal(_)) && member.refusal.is_none();
            let reason = member.refusal.unwrap_or_else(|| (3, how_it_ended(end)));
            if was_booting && killed && self.phase == Phase::Serving && self.failures < ACCIDENTS {
                // Whoever killed it says nothing about the application, whose next worker may boot.
                self.back_off(now);
                orders.push(Order::Say(Level::Error, format!("Worker lost: {}", reason.1)));
            } else if was_booting {
                self.boot_failed(member.generation, reason, now, orders);
            } else if now - member.since < SHORT_LIFE {
                self.back_off(now);
            } else {
                self.failures = 0;
            }
        }
        let gone = |generation| !self.members.values().any(|it| it.generation == generation);
        if let Some((_, reason)) = self.given_up.take_if(|(generation, _)| gone(*generation)) {
            let message = format!("Reload failed, the old workers serve on. Reason: {reason}");
            orders.push(Order::Say(Level::Error, message));
        }
    }

    fn boot_failed(
        &mut self,
        generation: u64,
        (code, reason): (u8, String),
        now: Instant,
        orders: &mut Vec<Order>,
    ) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Failing { code, reason };
            orders.push(Order::StopListening);
            self.tell_all(Signal::SIGTERM, now, orders);
        } else if generation != self.proven && generation == self.generation {
            let new: Vec<WorkerId> = self.of(|it| it.generation == generation);
            for worker in new {
                match self.members[&worker].state {
                    State::Ready => self.retire(worker, now, orders),
                    State::Booting => self.tell(worker, Signal::SIGTERM, now, orders),
                    State::Retiring | State::Leaving | State::Aborted => (),
                }
            }
            self.generation = self.proven;
            self.given_up = Some((generation, reason));
        } else if self.phase == Phase::Serving {
            self.back_off(now);
            let wait = self.not_before.map_or(0.0, |then| (then - now).as_secs_f64());
            let message =
                format!("Worker failed to boot, next try in {wait:.1}s. Reason: {reason}");
            orders.push(Order::Say(Level::Error, message));
            if !self.members.values().any(|it| it.state == State::Ready) {
                orders.push(Order::Unavailable(Some(reason)));
            }
        }
    }

    fn back_off(&mut self, now: Instant) {
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

    fn of(&self, wanted: impl Fn(&Member) -> bool) -> Vec<WorkerId> {
        self.members.iter().filter(|(_, it)| wanted(it)).map(|(worker, _)| *worker).collect()
    }

    fn tell(&mut self, worker: WorkerId, signal: Signal, now: Instant, orders: &mut Vec<Order>) {
        let member = self.members.get_mut(&worker).expect("it was found among the members");
        (member.state, member.since) = (State::Leaving, now);
        orders.push(Order::Kill(worker, signal));
    }

    fn tell_all(&mut self, signal: Signal, now: Instant, orders: &mut Vec<Order>) {
        let quick = signal == Signal::SIGQUIT;
        for worker in self.of(|it| quick || it.state != State::Leaving) {
            self.tell(worker, signal, now, orders);
        }
    }

    fn retire(&mut self, worker: WorkerId, now: Instant, orders: &mut Vec<Order>) {
        let member = self.members.get_mut(&worker).expect("it was found among the members");
        (member.state, member.since) = (State::Retiring, now);
        orders.push(Order::Retire(worker));
    }

    fn stop(&mut self, patience: Duration, now: Instant, orders: &mut Vec<Order>) {
        if !matches!(self.phase, Phase::Stopping { .. } | Phase::Failing { .. }) {
            orders.push(Order::StopListening);
        }
        self.phase = Phase::Stopping { since: now, patience };
    }

    /// Nobody is waited for without end.
    fn enforce_patience(&mut self, now: Instant, orders: &mut Vec<Order>) {
        let stopping = match &self.phase {
            Phase::Stopping { since, patience } => now - *since >= *patience,
            Phase::Starting | Phase::Serving | Phase::Failing { .. } => false,
        };
        for (worker, member) in &mut self.members {
            let patience = match member.state {
                State::Booting | State::Ready => Duration::MAX,
                State::Retiring | State::Leaving => self.graceful,
                State::Aborted => LAST_WORDS,
            };
            if stopping || now - member.since >= patience {
                orders.push(Order::Kill(*worker, Signal::SIGKILL));
                // Once is enough, unless the kernel takes its time.
                (member.state, member.since) = (State::Leaving, now);
            }
        }
        if stopping {
            self.phase = Phase::Stopping { since: now, patience: LAST_WORDS };
        }
    }

    fn retire_surplus(&mut self, now: Instant, orders: &mut Vec<Order>) {
        let generation = self.generation;
        let ready = |it: &Member| it.state == State::Ready;
        let current = self.of(|it| ready(it) && it.generation == generation);
        if current.len() >= self.target {
            self.proven = generation;
            for old in self.of(|it| it.generation != generation) {
                match self.members[&old].state {
                    State::Ready => self.retire(old, now, orders),
                    State::Booting => self.tell(old, Signal::SIGTERM, now, orders),
                    State::Retiring | State::Leaving | State::Aborted => (),
                }
            }
        }
        let mut surplus = current;
        // Those that have served their time go first, then the oldest.
        surplus.sort_by_key(|worker| (!self.members[worker].used, *worker));
        let excess = surplus.len().saturating_sub(self.target);
        for worker in surplus.into_iter().take(excess) {
            self.retire(worker, now, orders);
        }
    }

    fn spawn_missing(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if self.not_before.is_some_and(|then| now < then) {
            return;
        }
        self.not_before = None;
        let generation = self.generation;
        let have = self.of(|it| {
            it.generation == generation
                && !it.used
                && matches!(it.state, State::Booting | State::Ready)
        });
        for _ in have.len()..self.target {
            let worker = self.next;
            self.next += 1;
            let state = State::Booting;
            let member = Member { state, since: now, generation, used: false, refusal: None };
            self.members.insert(worker, member);
            orders.push(Order::Spawn(worker));
        }
    }

    fn leave(&mut self, orders: &mut Vec<Order>) {
        if !self.members.is_empty() {
            return;
        }
        match &self.phase {
            Phase::Failing { code, reason } => {
                let what = match code {
                    4 => "App failed to load",
                    _ => "Worker failed to boot",
                };
                orders.push(Order::Say(Level::Info, "Shutting down: Master".to_owned()));
                orders.push(Order::Say(Level::Error, format!("Reason: {what}: {reason}")));
                orders.push(Order::Exit(*code));
            }
            Phase::Stopping { .. } => {
                orders.push(Order::Say(Level::Info, "Shutting down: Master".to_owned()));
                orders.push(Order::Exit(0));
            }
            Phase::Starting | Phase::Serving => (),
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

#[cfg(test)]
mod tests;
