//! The loop: what happens becomes an event, the fleet says what must be done, and it is done.
//!
//! It never reads a request and never waits for one. What there is to decide is decided in
//! `fleet.rs`; here are the processes, the listeners and the clock.

mod census; // what others may ask
mod child; // one worker process
mod fate; // how it ended, and by whom
pub(crate) mod fleet; // who should live
mod inbox; // what has to be heard of
mod lifecycle; // the process among others: systemd, a master before or after it, its files
mod listeners; // what connections come in by
mod memory; // how large a worker is
mod nursery; // the process workers are forked from
mod overdue; // what takes one too long
mod reap; // children that have ended
mod reexec; // another master, with our sockets
mod reload; // settings and a nursery that might follow
mod signals; // gunicorn's, as events
mod start; // from the command line to the loop

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

pub(crate) use census::Census;
use child::Started;
use fate::OomKills;
pub(crate) use fleet::{Ended, Event, WorkerId};
use fleet::{Fleet, Order};
pub(crate) use inbox::Inbox;
use inbox::Notice;
use lifecycle::Lifecycle;
use listeners::{Inherited, Listeners, Opened};
use memory::Memory;
use nursery::Nursery;
use overdue::Overdue;
use reload::{Candidate, Recipe};
pub use start::run;

use crate::{
    daemon::Terminal,
    gateway::Gateway,
    listen::Doors,
    log::{self, Outputs},
    pool::Worker,
    reloader,
    settings::Settings,
};

/// How often deadlines are looked at. No request sets a timer of its own.
const TICK: Duration = Duration::from_millis(250);
/// How often gunicorn tells how many connections wait to be accepted.
const BACKLOG_PERIOD: Duration = Duration::from_secs(1);
/// A worker's last words are in its pipe already, unless a child of its own holds the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The hook of the very end, which nobody may hold up for ever.
const FAREWELL: Duration = Duration::from_secs(30);

type Children = HashMap<WorkerId, Child>;

/// A worker's process.
struct Child {
    generation: u64,
    /// Once it has said so.
    pid: Option<u32>,
    /// What it was to be told before it had a process.
    told: Option<Signal>,
    /// Until it has one.
    socket: Option<OwnedFd>,
    settings: Rc<Settings>,
    heard: JoinHandle<()>,
    /// Held open for as long as this process lives. What is written to it is an order.
    lifeline: OwnedFd,
    /// The last signal it was sent by us.
    sent: Option<Signal>,
    /// It does not answer: signals alone reach it.
    is_deaf: bool,
}

impl Child {
    /// Never waits: there are fewer orders than its pipe can hold.
    fn order(&self, order: &str) {
        // It may have gone a moment ago.
        let _ = nix::unistd::write(&self.lifeline, format!("{order}\n").as_bytes());
    }

    fn send(&mut self, signal: Signal) {
        match self.pid {
            None => self.told = Some(signal),
            // Its own way out, with the hooks there are for it.
            Some(_) if signal == Signal::SIGABRT && !self.is_deaf => self.order("abort"),
            Some(pid) => {
                self.sent = Some(signal);
                kill(pid, signal);
            }
        }
    }
}

struct Supervisor {
    gateway: Rc<Gateway>,
    fleet: Fleet,
    recipe: Recipe,
    children: Children,
    listeners: Listeners,
    lifecycle: Lifecycle,
    /// By the fleet's generations: the one in force, a candidate, and those that still have workers.
    nurseries: HashMap<u64, Rc<Nursery>>,
    /// A reload whose workers are still to prove themselves.
    trial: Option<Trial>,
    /// Being made, and whether another was asked for meanwhile.
    preparing: Option<Again>,
    /// Workers that `nworkers_changed` has heard of.
    counted: Option<usize>,
    next_backlog: Instant,
    overdue: Overdue,
    memory: Memory,
    oom_kills: OomKills,
}

/// What takes the place of what is in force, once the workers stand.
struct Trial {
    settings: Rc<Settings>,
    /// The same, for those who ask.
    config: Value,
    outputs: Box<Outputs>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    Yes,
}

impl Supervisor {
    async fn run(mut self, inherited: Inherited, terminal: &Terminal) -> Result<u8, String> {
        let gateway = Rc::clone(&self.gateway);
        let watched = |error| format!("signals can not be watched: {error}");
        signals::watch(&gateway, &gateway.inbox).map_err(watched)?;
        reap::watch(&gateway.inbox).map_err(watched)?;
        let settings = gateway.settings();
        let opened = listeners::open(inherited, &settings, &gateway.log, &gateway.inbox).await;
        let listeners = match opened {
            Opened::All(listeners) => listeners,
            Opened::Failed => return Ok(1),
            Opened::Stopped => {
                gateway.log.info(format_args!("Shutting down: {}", self.lifecycle.name()));
                return Ok(0);
            }
        };
        let kind = if settings.threads > 1 { "gthread" } else { settings.worker_class.name() };
        gateway.log.info(format_args!("Using worker: {kind}"));
        self.lifecycle.opened(&gateway, &listeners)?;
        let kept = self.listeners.accept(&gateway, listeners);
        kept.map_err(|error| format!("sockets can not be kept: {error}"))?;
        self.lifecycle.listening(&gateway, &self.listeners);
        if terminal.tell(0, None) {
            // Its streams lead nowhere from here on.
            gateway.log.reopen();
        }
        tokio::task::spawn_local(reloader::watch(Rc::clone(&gateway)));
        tokio::task::spawn_local(log::keep_writing(Rc::clone(&gateway)));
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.begin(settings);
        loop {
            let notice = tokio::select! {
                biased;
                notice = gateway.inbox.take() => notice,
                () = gateway.connections.emptied() => Notice::Event(Event::Quiet),
                _ = ticks.tick() => {
                    self.sweep();
                    self.lifecycle.look_for_parent(&gateway, &mut self.listeners);
                    if !self.fleet.needs_ticks() {
                        continue;
                    }
                    Notice::Event(Event::Tick)
                }
            };
            let Some(event) = self.notice(notice) else { continue };
            self.see(&event);
            let orders = self.fleet.on(event, Instant::now());
            gateway.census.target.set(self.fleet.target());
            self.count();
            // The last worker of a generation may have gone.
            self.dismiss();
            for order in orders {
                if let Order::Exit(code) = order {
                    self.say_goodbye().await;
                    return Ok(code);
                }
                self.carry_out(order).await;
            }
            if !self.fleet.is_leaving() {
                // As gunicorn counts: what is replaced, and what replaces it, are one.
                gateway.log.count_workers(self.children.len().min(self.fleet.target()));
            }
        }
    }

    /// The nursery of the first generation has its settings; with `--preload` it needs the
    /// application too, which may take a while.
    fn begin(&mut self, settings: Rc<Settings>) {
        let nursery = Rc::clone(&self.nurseries[&0]);
        let inbox = Rc::clone(&self.gateway.inbox);
        tokio::task::spawn_local(async move {
            if settings.preload_app
                && let Err(refusal) = nursery.ask(json!({"do": "preload"})).await
            {
                let (code, reason) = (refusal.code, refusal.reason);
                return inbox.put(Event::NotPreloaded { code, reason });
            }
            // What it raises is in the log; nobody boots the less for it.
            let _ = nursery.ask(hook("when_ready", &[])).await;
            inbox.put(Event::Start);
        });
    }

    /// What the fleet has to know of it.
    fn notice(&mut self, notice: Notice) -> Option<Event> {
        let gateway = &self.gateway;
        match notice {
            Notice::Event(Event::Hangup) => {
                if self.fleet.is_leaving() {
                    return None;
                }
                gateway.log.info(format_args!("Hang up: {}", self.lifecycle.name()));
                census::count(&gateway.census.reloads);
                self.lifecycle.reloading(gateway);
                match &mut self.preparing {
                    Some(again) => *again = Again::Yes,
                    None => self.prepare(),
                }
                None
            }
            Notice::Event(event) => Some(event),
            Notice::Forked { worker, pid } => {
                self.forked(worker, pid);
                None
            }
            Notice::Reaped { pid, end } => {
                self.reaped(pid, end);
                None
            }
            Notice::Prepared(prepared) => self.prepared(prepared),
            Notice::Replaced { generation, with } => {
                self.replaced(generation, with);
                None
            }
        }
    }

    /// A candidate, aside.
    fn prepare(&mut self) {
        self.preparing = Some(Again::No);
        let (recipe, inbox) = (self.recipe.clone(), Rc::clone(&self.gateway.inbox));
        tokio::task::spawn_local(async move {
            inbox.put_notice(Notice::Prepared(recipe.prepare_with_logs().await));
        });
    }

    fn prepared(
        &mut self,
        prepared: Result<(Box<Candidate>, Box<Outputs>), String>,
    ) -> Option<Event> {
        let again = self.preparing.take() == Some(Again::Yes);
        if again && !self.fleet.is_leaving() {
            // What was prepared may be older than what was asked for last.
            if let Ok((_, outputs)) = prepared {
                log::close(*outputs);
            }
            self.prepare();
            return None;
        }
        match prepared {
            Ok((candidate, outputs)) => {
                let Candidate { settings, config, nursery } = *candidate;
                let possible = Lifecycle::may_become(&settings)
                    .and_then(|()| self.listeners.add(&self.gateway, &settings));
                if let Err(reason) = possible {
                    log::close(*outputs);
                    self.gave_up(&reason);
                    return None;
                }
                nursery.tell(hook("on_reload", &[]));
                let (target, graceful) = (settings.workers, settings.graceful_timeout);
                self.nurseries.insert(self.fleet.next_generation(), nursery);
                if let Some(before) = self.trial.replace(Trial { settings, config, outputs }) {
                    log::close(*before.outputs);
                }
                Some(Event::Reload { target, graceful })
            }
            Err(reason) => {
                self.gave_up(&reason);
                None
            }
        }
    }

    fn gave_up(&self, reason: &str) {
        self.lifecycle.reloaded(&self.gateway);
        self.gateway
            .log
            .error(format_args!("Reload failed, the old workers serve on. Reason: {reason}"));
    }

    /// The workers of a reload stand: its settings are the ones in force.
    fn adopt(&mut self) {
        let Some(Trial { settings, config, outputs }) = self.trial.take() else { return };
        let gateway = &self.gateway;
        if let Some(folder) = &settings.chdir
            && let Err(error) = std::env::set_current_dir(folder)
        {
            let folder = folder.display();
            gateway.log.error(format_args!("can't chdir to \"{folder}\": {error}"));
        }
        gateway.log.exchange(*outputs);
        gateway.tls.renew(&settings, &gateway.log);
        gateway.settings.replace(settings);
        gateway.census.set_config(config);
        self.lifecycle.move_pid_file(gateway);
        self.settle();
    }

    /// No listener and no nursery beyond what the settings in force ask for.
    fn settle(&mut self) {
        self.listeners.keep_only(&self.gateway.settings());
        lifecycle::publish(&self.gateway, &self.listeners);
        self.lifecycle.reloaded(&self.gateway);
        self.dismiss();
    }

    /// Nurseries of which nothing more is wanted.
    fn dismiss(&mut self) {
        let (fleet, children) = (&self.fleet, &self.children);
        self.nurseries.retain(|generation, _| {
            fleet.may_spawn(*generation)
                || children.values().any(|child| child.generation == *generation)
        });
    }

    /// Of a generation: to run hooks, and to fork from.
    fn nursery(&self, generation: u64) -> Option<&Rc<Nursery>> {
        self.nurseries.get(&generation)
    }

    fn tell(&self, generation: u64, message: Value) {
        if let Some(nursery) = self.nursery(generation)
            && !nursery.tell(message)
        {
            self.gateway.log.warning("a hook is left out: the nursery has too much to do");
        }
    }

    /// `nworkers_changed`, whenever there are to be more of them, or fewer.
    fn count(&mut self) {
        let target = self.fleet.target();
        if self.counted != Some(target) {
            self.gateway.connections.expect_workers(target);
            let old = self.counted.replace(target);
            self.tell(
                self.fleet.generation(),
                hook("nworkers_changed", &[json!(target), json!(old)]),
            );
        }
    }

    /// `on_exit`, and whatever else the nursery does at its end.
    async fn say_goodbye(&mut self) {
        let Some(nursery) = self.nurseries.remove(&self.fleet.generation()) else { return };
        self.nurseries.clear();
        let pid = nursery.pid;
        let goodbye = async {
            let _ = nursery.ask(hook("on_exit", &[])).await;
            drop(nursery);
            while !matches!(self.gateway.inbox.take().await, Notice::Reaped { pid: it, .. } if it == pid)
            {
            }
        };
        let _ = tokio::time::timeout(FAREWELL, goodbye).await;
    }

    fn sweep(&mut self) {
        let (gateway, now) = (&self.gateway, Instant::now());
        gateway.connections.sweep(now);
        gateway.log.look();
        if gateway.settings().enable_backlog_metric && now >= self.next_backlog {
            self.next_backlog = now + BACKLOG_PERIOD;
            self.count_backlog();
        }
        self.overdue.look(gateway, &mut self.children, now);
        if self.memory.look(gateway, now) {
            self.oom_kills.look(now);
        }
    }

    /// As gunicorn, only of sockets that tell.
    fn count_backlog(&self) {
        if let Some(waiting) = self.listeners.waiting() {
            self.gateway.log.count_backlog(waiting);
        }
    }

    /// What an event means to the pool and to the log.
    fn see(&mut self, event: &Event) {
        let gateway = &self.gateway;
        match event {
            Event::Ready(worker) => {
                if let Some(pid) = self.pid(*worker) {
                    gateway.log.debug(format_args!("Worker ready (pid: {pid})"));
                }
                gateway.pool.ready(*worker);
                self.lifecycle.serving(gateway, &self.listeners);
                if let Some(entry) = gateway.pool.find(*worker) {
                    self.memory.look_at(&entry);
                }
            }
            Event::Upgrade => {
                let nursery = self.nursery(self.fleet.generation()).cloned();
                self.lifecycle.upgrade(gateway, &self.listeners, nursery);
            }
            Event::Used(worker) => {
                if let Some(pid) = self.pid(*worker) {
                    gateway.log.info(format_args!(
                        "Autorestarting worker after current request. Worker (pid:{pid}) has \
                         answered --max-requests and is replaced"
                    ));
                }
            }
            Event::Exited { worker, end } => {
                let Some(child) = self.children.remove(worker) else { return };
                self.overdue.forget(*worker);
                // Without a process there is nothing to say: why there is none was said.
                let Some(pid) = child.pid else { return };
                let entry = gateway.pool.find(*worker);
                let now = Instant::now();
                let (level, line) =
                    fate::tell(&child, entry.as_deref(), *end, &mut self.oom_kills, now);
                gateway.log.say(level, line);
                if entry.is_some_and(|entry| entry.served() > 0) {
                    self.fleet.has_worked(*worker);
                }
                gateway.pool.remove(*worker, *end);
                self.tell(
                    child.generation,
                    json!({"do": "hook", "hook": "child_exit", "arguments": [], "worker": worker, "pid": pid}),
                );
            }
            Event::Explained { worker, connection, stack } => {
                self.overdue.heard(gateway, *worker, connection, stack);
            }
            _ => (),
        }
    }

    async fn carry_out(&mut self, order: Order) {
        let gateway = &self.gateway;
        match order {
            Order::Spawn(worker) => self.spawn(worker),
            Order::Retire(worker) => gateway.pool.retire(worker),
            Order::Kill(worker, signal) => {
                if matches!(signal, Signal::SIGKILL | Signal::SIGABRT) {
                    census::count(&gateway.census.killed);
                }
                if let Some(child) = self.children.get_mut(&worker) {
                    child.send(signal);
                }
            }
            Order::StopListening => {
                let queue = self.lifecycle.stopping(gateway, self.fleet.failure());
                self.listeners.close(queue).await;
                gateway.connections.stop(Instant::now());
            }
            Order::SetDoors(doors) => {
                self.listeners.set_doors(doors);
                match doors {
                    Doors::Open => gateway.connections.resume(),
                    Doors::Shut | Doors::Closed(_) => gateway.connections.stop(Instant::now()),
                }
            }
            Order::Reopen => {
                gateway.log.reopen();
                // Each writes to the error log by a descriptor of its own.
                for pid in self.children.values().filter_map(|child| child.pid) {
                    kill(pid, Signal::SIGUSR1);
                }
                for nursery in self.nurseries.values() {
                    nursery.tell(json!({"do": "reopen"}));
                }
            }
            Order::Adopt => self.adopt(),
            Order::Abandon => {
                if let Some(Trial { outputs, .. }) = self.trial.take() {
                    log::close(*outputs);
                }
                self.settle();
            }
            Order::Replant(delay) => self.replace(self.fleet.generation(), delay),
            Order::Unavailable(reason) => {
                if let Some(reason) = &reason {
                    self.lifecycle.say_status(gateway, reason);
                }
                gateway.pool.set_unavailable(reason);
            }
            Order::Say(level, message) => gateway.log.say(level, message),
            Order::Goodbye => {
                gateway.log.info(format_args!("Shutting down: {}", self.lifecycle.name()));
            }
            Order::Exit(_) => unreachable!("the loop ends with it"),
        }
    }

    fn pid(&self, worker: WorkerId) -> Option<u32> {
        self.children.get(&worker)?.pid
    }

    fn spawn(&mut self, worker: WorkerId) {
        let gateway = &self.gateway;
        let generation = self.fleet.generation_of(worker);
        let is_on_trial = generation != self.fleet.proven();
        let trial = self.trial.as_ref().filter(|_| is_on_trial);
        let settings = trial.map(|trial| Rc::clone(&trial.settings));
        let settings = settings.unwrap_or_else(|| gateway.settings());
        let started = match self.nursery(generation) {
            Some(nursery) => {
                let (inbox, reloader) = (&gateway.inbox, &gateway.reloader);
                child::start(worker, settings.threads, nursery, inbox, reloader)
                    .map_err(|error| error.to_string())
            }
            None => Err("the nursery is gone, and not replaced yet".to_owned()),
        };
        match started {
            Ok(Started { socket, lifeline, heard }) => {
                let child = Child {
                    generation,
                    pid: None,
                    told: None,
                    socket: Some(socket),
                    settings,
                    heard,
                    lifeline,
                    sent: None,
                    is_deaf: false,
                };
                self.children.insert(worker, child);
            }
            Err(reason) => {
                gateway.inbox.put(Event::Refused { worker, code: 3, reason });
                gateway.inbox.put(Event::Exited { worker, end: Ended::Code(3) });
            }
        }
    }

    /// From now on there is somebody to send requests and signals to.
    fn forked(&mut self, worker: WorkerId, pid: u32) {
        let gateway = &self.gateway;
        let Some(child) = self.children.get_mut(&worker) else { return };
        gateway.log.info(format_args!("Booting worker with pid: {pid}"));
        census::count(&gateway.census.spawned);
        child.pid = Some(pid);
        if let Some(signal) = child.told {
            child.send(signal);
        }
        let settings = &child.settings;
        let most = settings
            .max_requests
            .map(|most| most + fastrand::u64(0..=settings.max_requests_jitter));
        let socket = child.socket.take().expect("a worker is forked once");
        gateway.pool.add(Rc::new(Worker::new(worker, pid, socket, settings.threads, most)));
        let generation = child.generation;
        self.tell(generation, json!({"do": "forked", "worker": worker, "pid": pid}));
    }

    fn reaped(&mut self, pid: u32, end: Ended) {
        let worker = self.children.iter_mut().find(|(_, child)| child.pid == Some(pid));
        if let Some((worker, child)) = worker {
            let heard = std::mem::replace(&mut child.heard, tokio::task::spawn_local(async {}));
            let (worker, inbox) = (*worker, Rc::clone(&self.gateway.inbox));
            tokio::task::spawn_local(async move {
                let _ = tokio::time::timeout(LAST_WORDS, heard).await;
                inbox.put(Event::Exited { worker, end });
            });
            return;
        }
        if self.lifecycle.successor_ended(&self.gateway, pid, end) {
            return;
        }
        let lost = self.nurseries.iter().find(|(_, nursery)| nursery.pid == pid);
        if let Some(generation) = lost.map(|(generation, _)| *generation) {
            self.nurseries.remove(&generation);
            if self.fleet.may_spawn(generation) && !self.fleet.is_leaving() {
                let by_whom = self.oom_kills.by_whom(end, Instant::now());
                self.gateway.log.error(format_args!(
                    "Nursery (pid:{pid}) {end}; the workers serve on, and another is started.{by_whom}"
                ));
                self.replace(generation, Duration::ZERO);
            }
        }
    }

    /// Another nursery for a generation that has lost its own.
    fn replace(&self, generation: u64, delay: Duration) {
        let (recipe, inbox) = (self.recipe.clone(), Rc::clone(&self.gateway.inbox));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(delay).await;
            let with = recipe.prepare().await;
            inbox.put_notice(Notice::Replaced { generation, with });
        });
    }

    fn replaced(&mut self, generation: u64, with: Result<Box<Candidate>, String>) {
        /// Whatever is wrong with it takes somebody to mend it.
        const PAUSE: Duration = Duration::from_secs(5);
        if !self.fleet.may_spawn(generation) || self.fleet.is_leaving() {
            return;
        }
        match with {
            Ok(candidate) => {
                if !self.fleet.has_started() {
                    candidate.nursery.tell(hook("when_ready", &[]));
                    self.gateway.inbox.put(Event::Start);
                }
                self.nurseries.insert(generation, candidate.nursery);
            }
            Err(reason) if !self.fleet.has_started() => {
                self.gateway.inbox.put(Event::NotPreloaded { code: 3, reason });
            }
            Err(reason) => {
                self.gateway.log.error(format_args!("no nursery can be started: {reason}"));
                self.replace(generation, PAUSE);
            }
        }
    }
}

/// A hook of the master.
fn hook(name: &str, arguments: &[Value]) -> Value {
    json!({"do": "hook", "hook": name, "arguments": arguments})
}

fn kill(pid: u32, signal: Signal) {
    // It may have gone a moment ago.
    let _ = signal::kill(Pid::from_raw(pid.cast_signed()), signal);
}
