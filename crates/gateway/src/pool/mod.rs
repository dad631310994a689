//! The workers' connections, who holds one, and who waits for one.
//!
//! A worker has as many connections as threads, and a connection carries one request at a time, so
//! this knows exactly which worker is idle: nobody waits behind a busy one while another has nothing
//! to do. Must not know what is sent over a connection, nor why a worker comes or goes.

mod in_hand; // who holds the workers
mod lease; // the right to one connection, for one request
mod worker_conn; // that connection

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

pub(crate) use in_hand::InHand;
pub(crate) use lease::Lease;
pub(crate) use worker_conn::{REQUEST, WireError, WorkerConn};

use crate::{
    story::{Age, Peer},
    supervisor::{Ended, Event, Inbox, WorkerId},
};

/// What a request is called while a worker has it.
pub(crate) struct Held {
    /// `METHOD TARGET`.
    pub(crate) title: Bytes,
    pub(crate) since: Instant,
    pub(crate) peer: Peer,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.title.escape_ascii();
        write!(f, "{title} ({}, client {})", Age(self.since.elapsed()), self.peer)
    }
}

pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) pid: u32,
    /// The inode of its socket. It has no name any more, so nobody else can connect.
    socket: OwnedFd,
    slots: Vec<Slot>,
    state: Cell<State>,
    served: Cell<u64>,
    /// Bytes resident, as the supervisor last saw them.
    memory: Cell<Option<u64>>,
    /// When it has served so many, its replacement is asked for.
    most: Option<u64>,
    ended: Cell<Option<Ended>>,
    changed: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Booting,
    Ready,
    Retired,
    Gone,
}

/// One thread of a worker.
struct Slot {
    connection: Cell<Option<WorkerConn>>,
    /// What the worker knows that connection by.
    name: RefCell<Rc<str>>,
    held: RefCell<Option<Held>>,
    /// Since when the worker owes us something. None while it is we who keep it waiting.
    silent_since: Cell<Option<Instant>>,
    patience: Cell<Patience>,
    /// Who is to hear that it is over.
    waker: RefCell<Option<Waker>>,
}

/// How we stand with a request in a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Left,
    /// Its client has been told. The thread is still in it, and was asked where.
    Over,
    /// It has said so, or will not.
    Explained,
}

/// A request whose time is over, and the worker that is stuck in it.
pub(crate) struct Overdue {
    pub(crate) worker: Rc<Worker>,
    /// What the worker knows the request's connection by.
    pub(crate) connection: Rc<str>,
    /// `METHOD TARGET`.
    pub(crate) title: Bytes,
    /// The same, with age and client.
    pub(crate) request: String,
}

struct Waiter {
    held: Held,
    lease: oneshot::Sender<Lease>,
}

struct Inner {
    workers: RefCell<Vec<Rc<Worker>>>,
    waiting: RefCell<VecDeque<Waiter>>,
    /// Why nobody can answer, as the supervisor knows it.
    unavailable: RefCell<Option<String>>,
    inbox: Rc<Inbox>,
}

#[derive(Clone)]
pub(crate) struct Pool {
    inner: Rc<Inner>,
}

impl Pool {
    pub(crate) fn new(inbox: Rc<Inbox>) -> Pool {
        Pool {
            inner: Rc::new(Inner {
                workers: RefCell::default(),
                waiting: RefCell::default(),
                unavailable: RefCell::default(),
                inbox,
            }),
        }
    }

    /// An idle worker's thread, the least busy worker's first. `Err`: there is none now.
    pub(crate) fn lease(&self, held: Held) -> Result<Lease, Held> {
        let workers = self.inner.workers.borrow();
        let idle = workers
            .iter()
            .filter(|worker| worker.state.get() == State::Ready)
            .map(|worker| (worker.busy(), worker))
            .filter(|(busy, worker)| *busy < worker.slots.len())
            .min_by_key(|(busy, _)| *busy);
        match idle {
            Some((_, worker)) => Ok(Lease::take(self, worker, held)),
            None => Err(held),
        }
    }

    /// A place in the queue. Dropping the receiver gives it up.
    pub(crate) fn wait(&self, held: Held) -> oneshot::Receiver<Lease> {
        let (lease, waiter) = oneshot::channel();
        self.inner.waiting.borrow_mut().push_back(Waiter { held, lease });
        waiter
    }

    /// How many wait. Those that have left are counted out if there seem to be more than `bound`.
    pub(crate) fn waiting(&self, bound: usize) -> usize {
        let mut waiting = self.inner.waiting.borrow_mut();
        if waiting.len() >= bound {
            waiting.retain(|waiter| !waiter.lease.is_closed());
        }
        waiting.len()
    }

    /// Whoever waits gets what is idle.
    fn hand_over(&self) {
        loop {
            let waiter = {
                let mut waiting = self.inner.waiting.borrow_mut();
                loop {
                    match waiting.pop_front() {
                        None => return,
                        Some(gone) if gone.lease.is_closed() => (),
                        Some(waiter) => break waiter,
                    }
                }
            };
            match self.lease(waiter.held) {
                // It can not have left since: nothing else runs meanwhile.
                Ok(lease) => drop(waiter.lease.send(lease)),
                Err(held) => {
                    let waiter = Waiter { held, lease: waiter.lease };
                    self.inner.waiting.borrow_mut().push_front(waiter);
                    return;
                }
            }
        }
    }

    pub(crate) fn add(&self, worker: Rc<Worker>) {
        self.inner.workers.borrow_mut().push(worker);
    }

    pub(crate) fn find(&self, id: WorkerId) -> Option<Rc<Worker>> {
        self.inner.workers.borrow().iter().find(|worker| worker.id == id).cloned()
    }

    pub(crate) fn ready(&self, id: WorkerId) {
        if let Some(worker) = self.find(id).filter(|worker| worker.state.get() == State::Booting) {
            worker.state.set(State::Ready);
            self.hand_over();
        }
    }

    pub(crate) fn retire(&self, id: WorkerId) {
        let Some(worker) = self.find(id) else { return };
        worker.state.set(State::Retired);
        self.tell_if_drained(&worker);
    }

    fn tell_if_drained(&self, worker: &Worker) {
        if worker.state.get() == State::Retired && worker.is_drained() {
            self.inner.inbox.put(Event::Drained(worker.id));
        }
    }

    /// The worker has said where it is over a request, or nobody asks any more.
    pub(crate) fn explained(&self, id: WorkerId, connection: &str) {
        let Some(worker) = self.find(id) else { return };
        for slot in &worker.slots {
            if slot.patience.get() == Patience::Over && **slot.name.borrow() == *connection {
                slot.patience.set(Patience::Explained);
            }
        }
        self.tell_if_drained(&worker);
    }

    /// It has exited. Those whose requests it held can now say how.
    pub(crate) fn remove(&self, id: WorkerId, ended: Ended) {
        self.inner.workers.borrow_mut().retain(|worker| {
            let is_it = worker.id == id;
            if is_it {
                worker.state.set(State::Gone);
                worker.ended.set(Some(ended));
                worker.changed.notify_waiters();
            }
            !is_it
        });
    }

    pub(crate) fn set_unavailable(&self, reason: Option<String>) {
        let is_so = reason.is_some();
        *self.inner.unavailable.borrow_mut() = reason;
        if is_so {
            // Dropping the senders tells them.
            self.inner.waiting.borrow_mut().clear();
        }
    }

    pub(crate) fn unavailable(&self) -> Option<String> {
        self.inner.unavailable.borrow().clone()
    }

    /// Requests a worker has been silent over for as long as it may. Each is told once, here and to
    /// whoever waits for its answer.
    pub(crate) fn overdue(&self, timeout: Duration, now: Instant) -> Vec<Overdue> {
        let workers = self.inner.workers.borrow();
        let mut overdue = Vec::new();
        for worker in workers.iter() {
            for slot in &worker.slots {
                let silent = slot.silent_since.get().map(|since| now.duration_since(since));
                if slot.patience.get() != Patience::Left || silent.is_none_or(|it| it < timeout) {
                    continue;
                }
                let held = slot.held.borrow();
                let Some(held) = held.as_ref() else { continue };
                slot.patience.set(Patience::Over);
                overdue.push(Overdue {
                    worker: Rc::clone(worker),
                    connection: Rc::clone(&slot.name.borrow()),
                    title: held.title.clone(),
                    request: held.to_string(),
                });
                if let Some(waker) = slot.waker.borrow_mut().take() {
                    waker.wake();
                }
            }
        }
        overdue
    }

    pub(crate) fn workers(&self) -> Vec<Rc<Worker>> {
        self.inner.workers.borrow().clone()
    }

    /// What is in workers' hands, for lines that have to say who holds them.
    pub(crate) fn in_hand(&self) -> InHand {
        let workers = self.inner.workers.borrow();
        InHand::of(workers.iter().flat_map(|worker| &worker.slots))
    }
}

impl Worker {
    pub(crate) fn new(
        id: WorkerId,
        pid: u32,
        socket: OwnedFd,
        threads: usize,
        most: Option<u64>,
    ) -> Worker {
        let slot = || Slot {
            connection: Cell::new(None),
            name: RefCell::new(Rc::from("")),
            held: RefCell::new(None),
            silent_since: Cell::new(None),
            patience: Cell::new(Patience::Left),
            waker: RefCell::new(None),
        };
        Worker {
            id,
            pid,
            socket,
            slots: std::iter::repeat_with(slot).take(threads).collect(),
            state: Cell::new(State::Booting),
            served: Cell::new(0),
            memory: Cell::new(None),
            most,
            ended: Cell::new(None),
            changed: Notify::new(),
        }
    }

    fn busy(&self) -> usize {
        self.slots.iter().filter(|slot| slot.held.borrow().is_some()).count()
    }

    /// Nothing is in hand but what is given up, and that is explained.
    fn is_drained(&self) -> bool {
        let is_done = |slot: &Slot| {
            slot.held.borrow().is_none() || slot.patience.get() == Patience::Explained
        };
        self.slots.iter().all(is_done)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state.get() == State::Ready
    }

    pub(crate) fn in_hand(&self) -> InHand {
        InHand::of(&self.slots)
    }

    /// Requests it was given so far.
    pub(crate) fn served(&self) -> u64 {
        self.served.get()
    }

    /// Bytes resident, at the last look.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.memory.get()
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.set(Some(bytes));
    }

    pub(crate) fn each_held(&self, mut each: impl FnMut(&Held)) {
        for slot in &self.slots {
            slot.held.borrow().as_ref().into_iter().for_each(&mut each);
        }
    }

    pub(crate) fn has_booted(&self) -> bool {
        self.state.get() != State::Booting
    }

    /// Whether a request in it is over its time, so that it has to go.
    pub(crate) fn is_aborted(&self) -> bool {
        self.slots.iter().any(|slot| slot.patience.get() != Patience::Left)
    }

    /// How long it has said nothing although it should.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        let since = self.slots.iter().filter_map(|slot| slot.silent_since.get()).min()?;
        Some(now.saturating_duration_since(since))
    }

    /// They were closed on the other side. Whoever leases one makes it anew.
    pub(crate) fn forget_connections(&self) {
        self.slots.iter().for_each(|slot| drop(slot.connection.take()));
    }

    /// Nobody listens on its socket any more: it is about to exit, and gets nothing until it does.
    pub(crate) fn shun(&self) {
        self.state.set(State::Gone);
    }

    /// Its socket has no name, but while it is open here it can be reached through it.
    fn address(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.socket.as_raw_fd()))
    }

    /// How it ended, once it has. Asked after its connection broke, which the kernel does a moment
    /// before the process can be waited for.
    pub(crate) async fn ended(&self) -> Option<Ended> {
        const MOMENT: Duration = Duration::from_secs(1);
        let changed = self.changed.notified();
        if let Some(ended) = self.ended.get() {
            return Some(ended);
        }
        let _ = tokio::time::timeout(MOMENT, changed).await;
        self.ended.get()
    }
}
