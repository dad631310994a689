//! The processes of this gateway: workers that are forked, told things and mourned, and the nurseries
//! they come from.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{
    Supervisor, census,
    child::{self, Started},
    fleet::{Ended, Event, WorkerId},
    hook,
    inbox::Notice,
    kill,
    reload::Candidate,
};
use crate::{pool::Worker, settings::Settings};

/// A worker's last words are in its pipe already, unless a child of its own holds the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);

pub(super) type Children = HashMap<WorkerId, Child>;

/// A worker's process.
pub(super) struct Child {
    pub(super) generation: u64,
    /// Once it has said so.
    pub(super) pid: Option<u32>,
    /// What it was to be told before it had a process.
    pub(super) told: Option<Signal>,
    /// Until it has one.
    pub(super) socket: Option<OwnedFd>,
    pub(super) settings: Rc<Settings>,
    pub(super) heard: JoinHandle<()>,
    /// Held open for as long as this process lives. What is written to it is an order.
    pub(super) lifeline: OwnedFd,
    /// The last signal it was sent by us.
    pub(super) sent: Option<Signal>,
    /// It does not answer: signals alone reach it.
    pub(super) is_deaf: bool,
}

impl Child {
    /// Never waits: there are fewer orders than its pipe can hold.
    pub(super) fn order(&self, order: &str) {
        // It may have gone a moment ago.
        let _ = nix::unistd::write(&self.lifeline, format!("{order}\n").as_bytes());
    }

    pub(super) fn send(&mut self, signal: Signal) {
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

impl Supervisor {
    pub(super) fn pid(&self, worker: WorkerId) -> Option<u32> {
        self.children.get(&worker)?.pid
    }

    pub(super) fn spawn(&mut self, worker: WorkerId) {
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
    pub(super) fn forked(&mut self, worker: WorkerId, pid: u32) {
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

    pub(super) fn reaped(&mut self, pid: u32, end: Ended) {
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
    pub(super) fn replace(&self, generation: u64, delay: Duration) {
        let (recipe, inbox) = (self.recipe.clone(), Rc::clone(&self.gateway.inbox));
        tokio::task::spawn_local(async move {
            tokio::time::sleep(delay).await;
            let with = recipe.prepare().await;
            inbox.put_notice(Notice::Replaced { generation, with });
        });
    }

    pub(super) fn replaced(&mut self, generation: u64, with: Result<Box<Candidate>, String>) {
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
