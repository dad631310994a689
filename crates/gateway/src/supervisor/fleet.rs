//! Who should live: a pure function from what happened to what must be done. No processes, no clocks,
//! no sockets: `on` is told the time, so a test is a sequence of events.
//!
//! The rules are gunicorn's, but for four. New workers come before old ones go, always: on reload,
//! on recycling, on scale-down. A reload whose workers can not boot is given up, and the old ones
//! serve on. A worker that can not boot ends nothing, unless the operator asked for that: it is tried
//! again, later and later. And a worker with a request over its time is replaced at once, but finishes
//! what else it has before it goes.

mod boot; // workers come
mod replace; // workers take each other's place
mod stop; // workers leave, and then we do

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{listen::Doors, settings::Level};

pub(crate) type WorkerId = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Everything listens, and there is a nursery to fork from.
    Start,
    /// With `--preload`: the application can not be imported.
    NotPreloaded {
        code: u8,
        reason: String,
    },
    /// New settings, and a nursery to try them with.
    Reload {
        target: usize,
        graceful: Duration,
    },
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
    /// It has more memory than it may.
    Grown(WorkerId),
    /// Somebody wants another one in its place.
    Dismissed(WorkerId),
    /// A request in it is over its time.
    Stuck(WorkerId),
    /// Asked where it is over such a request, it says so. Nothing is decided by it.
    Explained {
        worker: WorkerId,
        connection: String,
        stack: String,
    },
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

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Code(code) => write!(f, "exited with code {code}"),
            Ended::Signal(number) => {
                let name = Signal::try_from(*number).map_or("an unknown signal", Signal::as_str);
                write!(f, "was killed by {name}")
            }
        }
    }
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
    /// The workers of the last reload stand.
    Adopt,
    /// They do not, and will not be tried again.
    Abandon,
    /// A new nursery for the generation in force, after so long: this one can not preload.
    Replant(Duration),
    Say(Level, String),
    /// Everybody has gone, and we go.
    Goodbye,
    Exit(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Booting,
    Ready,
    /// Finishes what it has.
    Retiring,
    /// Finishes what it has but for a request over its time.
    Stuck,
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
    /// It has been given a request: what it dies of later is not its boot.
    worked: bool,
    refusal: Option<(u8, String)>,
}

/// What happens when the first workers can not boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BootFailure {
    /// gunicorn's way: everything ends.
    Ends,
    IsTriedAgain,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// No worker has been ready yet, and none has failed.
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
    /// To do without workers, as soon as nobody is connected any more; asked for then.
    withdrawing: Option<Instant>,
    doors: Doors,
    graceful: Duration,
    boot_failure: BootFailure,
    members: BTreeMap<WorkerId, Member>,
    next: WorkerId,
    generation: u64,
    /// The last there was, given up or not.
    latest: u64,
    /// The one to go back to while a reload is under way.
    proven: u64,
    /// As many as that one has, and its patience.
    proven_target: usize,
    proven_graceful: Duration,
    phase: Phase,
    /// Whether there is anything to fork workers from.
    started: bool,
    /// A reload that failed: which one, and why. Said when its last worker has gone.
    given_up: Option<(u64, String)>,
    /// The last to boot failed, and nobody serves: one alone tries, until it can.
    scouting: bool,
    /// Workers in a row that did not live, and when the last of them ended.
    failures: u32,
    failed_at: Option<Instant>,
    not_before: Option<Instant>,
}

/// INT and QUIT mean now.
const QUICK: Duration = Duration::from_secs(2);

impl Fleet {
    pub(crate) fn new(target: usize, graceful: Duration, boot_failure: BootFailure) -> Fleet {
        Fleet {
            target,
            withdrawing: None,
            doors: Doors::Open,
            graceful,
            boot_failure,
            members: BTreeMap::new(),
            next: 1,
            generation: 0,
            latest: 0,
            proven: 0,
            proven_target: target,
            proven_graceful: graceful,
            phase: Phase::Starting,
            started: false,
            given_up: None,
            scouting: false,
            failures: 0,
            failed_at: None,
            not_before: None,
        }
    }

    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Order> {
        let mut orders = Vec::new();
        match event {
            Event::Start => self.started = true,
            Event::Tick | Event::Upgrade | Event::Explained { .. } => (),
            Event::NotPreloaded { code, reason } => {
                self.not_preloaded(code, reason, now, &mut orders);
            }
            Event::Reload { target, graceful } => {
                if matches!(self.phase, Phase::Starting | Phase::Serving) {
                    self.reload(target, graceful);
                }
            }
            Event::Ready(worker) => {
                if let Some(member) = self.members.get_mut(&worker)
                    && member.state == State::Booting
                {
                    (member.state, member.since) = (State::Ready, now);
                    self.scouting = false;
                    orders.push(Order::Unavailable(None));
                    if self.phase == Phase::Starting {
                        self.phase = Phase::Serving;
                    }
                }
            }
            Event::Refused { worker, code, reason } => {
                if let Some(member) = self.members.get_mut(&worker) {
                    member.refusal = Some((code, reason));
                }
            }
            Event::Exited { worker, end } => self.exited(worker, end, now, &mut orders),
            Event::Drained(worker) => match self.members.get(&worker).map(|it| it.state) {
                Some(State::Retiring) => self.tell(worker, Signal::SIGTERM, now, &mut orders),
                Some(State::Stuck) => self.abort(worker, now, &mut orders),
                _ => (),
            },
            Event::Used(worker) | Event::Grown(worker) => {
                if let Some(member) = self.members.get_mut(&worker) {
                    member.used = true;
                }
            }
            Event::Dismissed(worker) => match self.members.get(&worker).map(|it| it.state) {
                Some(State::Ready) => self.retire(worker, now, &mut orders),
                Some(State::Booting) => self.tell(worker, Signal::SIGTERM, now, &mut orders),
                Some(State::Retiring | State::Stuck | State::Leaving | State::Aborted) | None => (),
            },
            Event::Stuck(worker) => {
                if let Some(member) = self.members.get_mut(&worker)
                    && matches!(member.state, State::Ready | State::Retiring)
                {
                    (member.state, member.since) = (State::Stuck, now);
                    orders.push(Order::Retire(worker));
                }
            }
            Event::Quiet => {
                if matches!(self.phase, Phase::Stopping { .. }) {
                    self.tell_all(Signal::SIGTERM, now, &mut orders);
                } else if self.withdrawing.take().is_some() {
                    self.target = 0;
                }
            }
            Event::Terminate => self.stop(self.graceful, now, &mut orders),
            Event::Quit => {
                self.stop(QUICK, now, &mut orders);
                self.tell_all(Signal::SIGQUIT, now, &mut orders);
            }
            // Its settings are read first.
            Event::Hangup => (),
            Event::More => {
                self.target += 1;
                self.withdrawing = None;
                self.set_doors(Doors::Open, &mut orders);
            }
            Event::Withdraw => {
                if !self.is_leaving() && self.doors == Doors::Open {
                    self.withdrawing = Some(now);
                    self.set_doors(Doors::Shut, &mut orders);
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
        if self.withdrawing.is_some_and(|since| now - since >= self.graceful) {
            self.withdrawing = None;
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
            || self.withdrawing.is_some()
            || !matches!(self.phase, Phase::Serving)
            || self.members.values().any(|member| member.state != State::Ready)
    }

    /// That it dies young says nothing about the next one: it was a request's doing.
    pub(crate) fn has_worked(&mut self, worker: WorkerId) {
        if let Some(member) = self.members.get_mut(&worker) {
            member.worked = true;
        }
    }

    /// Whether there has been anything to fork workers from.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    fn set_doors(&mut self, doors: Doors, orders: &mut Vec<Order>) {
        if self.doors != doors {
            self.doors = doors;
            orders.push(Order::SetDoors(doors));
        }
    }

    /// Why everybody leaves, if it is because something failed.
    pub(crate) fn failure(&self) -> Option<&str> {
        match &self.phase {
            Phase::Failing { reason, .. } => Some(reason),
            Phase::Starting | Phase::Serving | Phase::Stopping { .. } => None,
        }
    }

    pub(crate) fn target(&self) -> usize {
        self.target
    }

    /// The one workers are started in.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn proven(&self) -> u64 {
        self.proven
    }

    /// The one the next reload will have.
    pub(crate) fn next_generation(&self) -> u64 {
        self.latest + 1
    }

    pub(crate) fn generation_of(&self, worker: WorkerId) -> u64 {
        self.members.get(&worker).map_or(self.generation, |member| member.generation)
    }

    /// Whether workers of it may be wanted yet.
    pub(crate) fn may_spawn(&self, generation: u64) -> bool {
        generation == self.generation || generation == self.proven
    }

    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Failing { .. } | Phase::Stopping { .. })
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
        let told = |it: &Member| matches!(it.state, State::Leaving | State::Aborted);
        for worker in self.of(|it| quick || !told(it)) {
            self.tell(worker, signal, now, orders);
        }
    }

    fn abort(&mut self, worker: WorkerId, now: Instant, orders: &mut Vec<Order>) {
        self.tell(worker, Signal::SIGABRT, now, orders);
        self.members.get_mut(&worker).expect("it was told just now").state = State::Aborted;
    }

    fn retire(&mut self, worker: WorkerId, now: Instant, orders: &mut Vec<Order>) {
        let member = self.members.get_mut(&worker).expect("it was found among the members");
        (member.state, member.since) = (State::Retiring, now);
        orders.push(Order::Retire(worker));
    }
}

#[cfg(test)]
mod tests;
