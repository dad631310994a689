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
mod processes; // workers forked, told and mourned
mod reap; // children that have ended
mod reexec; // another master, with our sockets
mod reload; // settings and a nursery that might follow
mod signals; // gunicorn's, as events
mod trial; // a reload, from HUP to its end
mod start; // from the command line to the loop

use std::{
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

pub(crate) use census::Census;
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
use processes::Children;
use reload::Recipe;
pub use start::run;
use trial::{Again, Trial};

use crate::{daemon::Terminal, gateway::Gateway, listen::Doors, log, reloader, settings::Settings};

/// How often deadlines are looked at. No request sets a timer of its own.
const TICK: Duration = Duration::from_millis(250);
/// How often gunicorn tells how many connections wait to be accepted.
const BACKLOG_PERIOD: Duration = Duration::from_secs(1);
/// The hook of the very end, which nobody may hold up for ever.
const FAREWELL: Duration = Duration::from_secs(30);

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
}

/// A hook of the master.
fn hook(name: &str, arguments: &[Value]) -> Value {
    json!({"do": "hook", "hook": name, "arguments": arguments})
}

fn kill(pid: u32, signal: Signal) {
    // It may have gone a moment ago.
    let _ = signal::kill(Pid::from_raw(pid.cast_signed()), signal);
}
