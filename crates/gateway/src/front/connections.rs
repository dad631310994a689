//! All client connections, with their deadlines: one sweep a few times a second looks at all of
//! them, so that no request ever sets a timer.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{Gone, Socket};
use crate::settings::{Settings, WorkerClass};

/// What a connection is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its first request. When we stop, it gets a moment more: whoever just connected is about to
    /// send one.
    Fresh,
    /// The next request. When we stop, it ends at once.
    Idle,
    /// A request is being read or answered.
    Busy,
}

/// One connection's deadline.
pub(crate) struct Watch {
    pub(super) deadline: Cell<Option<Instant>>,
    pub(super) phase: Cell<Phase>,
    pub(super) waker: RefCell<Option<Waker>>,
    number: u64,
    all: Rc<All>,
}

impl Watch {
    fn is_over(&self) -> bool {
        self.deadline.get().is_some_and(|deadline| deadline <= self.all.now.get())
    }

    /// For a socket that has nothing to say now: why it is waited for no longer.
    pub(super) fn wait(&self, context: &Context<'_>) -> Poll<Gone> {
        if self.is_over() {
            return Poll::Ready(Gone::Silent);
        }
        self.park(context.waker());
        Poll::Pending
    }

    /// Wakes the task at its deadline, whatever the socket does.
    fn park(&self, waker: &Waker) {
        let mut parked = self.waker.borrow_mut();
        if !parked.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
            *parked = Some(waker.clone());
        }
    }

    /// From the last sweep's moment: near enough, and free.
    pub(super) fn expect_within(&self, patience: Duration) {
        self.deadline.set(Some(self.all.now.get() + patience));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.all.open.borrow_mut().remove(&self.number);
        self.all.tell_if_empty();
        self.all.tell_of_room();
    }
}

struct Entry {
    watch: std::rc::Weak<Watch>,
}

struct All {
    open: RefCell<HashMap<u64, Entry>>,
    next: Cell<u64>,
    now: Cell<Instant>,
    stopping: Cell<bool>,
    emptied: Notify,
    /// Who would accept another, once one has gone.
    waiting: RefCell<Vec<Waker>>,
    workers: Cell<usize>,
}

impl All {
    fn tell_of_room(&self) {
        self.waiting.borrow_mut().drain(..).for_each(Waker::wake);
    }

    fn tell_if_empty(&self) {
        if self.stopping.get() && self.open.borrow().is_empty() {
            self.emptied.notify_one();
        }
    }
}

pub(crate) struct Connections {
    all: Rc<All>,
}

/// What a connection gets that was accepted but had sent nothing when we stopped.
const LAST_PATIENCE: Duration = Duration::from_millis(500);

impl Connections {
    pub(crate) fn new() -> Connections {
        Connections {
            all: Rc::new(All {
                open: RefCell::default(),
                next: Cell::new(0),
                now: Cell::new(Instant::now()),
                stopping: Cell::new(false),
                emptied: Notify::new(),
                waiting: RefCell::default(),
                workers: Cell::new(0),
            }),
        }
    }

    pub(crate) fn enter(&self) -> Rc<Watch> {
        let number = self.all.next.get();
        self.all.next.set(number + 1);
        let watch = Rc::new(Watch {
            deadline: Cell::new(None),
            phase: Cell::new(Phase::Fresh),
            waker: RefCell::default(),
            number,
            all: Rc::clone(&self.all),
        });
        self.all.open.borrow_mut().insert(number, Entry { watch: Rc::downgrade(&watch) });
        watch
    }

    /// For how many workers connections are taken, where each takes so many.
    pub(crate) fn expect_workers(&self, workers: usize) {
        self.all.workers.set(workers);
        self.all.tell_of_room();
    }

    /// Whether there may be another. If not, the task is woken when there may.
    pub(crate) fn have_room(&self, settings: &Settings, context: &Context<'_>) -> bool {
        let has_room = self.all.open.borrow().len() < most(settings, self.all.workers.get());
        let mut waiting = self.all.waiting.borrow_mut();
        if !has_room && !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        has_room
    }

    /// The connection waits for something, at most this long.
    pub(crate) fn wait(&self, socket: &mut Socket, phase: Phase, patience: Duration) {
        let patience = match phase {
            Phase::Idle if self.is_stopping() => Duration::ZERO,
            Phase::Fresh if self.is_stopping() => patience.min(LAST_PATIENCE),
            Phase::Fresh | Phase::Idle | Phase::Busy => patience,
        };
        socket.set_phase(phase);
        socket.expect_within(patience);
    }

    pub(crate) fn count(&self) -> usize {
        self.all.open.borrow().len()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.all.stopping.get()
    }

    /// Returns once we have stopped and the last connection has gone.
    pub(crate) async fn emptied(&self) {
        self.all.emptied.notified().await;
    }

    /// No connection carries another request after the one it has.
    pub(crate) fn stop(&self, now: Instant) {
        self.all.stopping.set(true);
        for entry in self.all.open.borrow().values() {
            let Some(watch) = entry.watch.upgrade() else { continue };
            match watch.phase.get() {
                Phase::Idle => watch.deadline.set(Some(now)),
                Phase::Fresh => {
                    let last = now + LAST_PATIENCE;
                    let earlier = watch.deadline.get().is_some_and(|deadline| deadline < last);
                    if !earlier {
                        watch.deadline.set(Some(last));
                    }
                }
                Phase::Busy => (),
            }
        }
        self.sweep(now);
        self.all.tell_if_empty();
    }

    /// They do again.
    pub(crate) fn resume(&self) {
        self.all.stopping.set(false);
    }

    /// Wakes every connection whose deadline has passed.
    pub(crate) fn sweep(&self, now: Instant) {
        self.all.now.set(now);
        for entry in self.all.open.borrow().values() {
            let Some(watch) = entry.watch.upgrade() else { continue };
            if watch.is_over()
                && let Some(waker) = watch.waker.borrow_mut().take()
            {
                waker.wake();
            }
        }
    }
}

/// gunicorn's threaded workers have such a bound each; with more than one thread, that is what they
/// are, whatever they are called. Who is not accepted waits in the listening socket's queue.
fn most(settings: &Settings, workers: usize) -> usize {
    match settings.worker_class {
        WorkerClass::Sync if settings.threads == 1 => usize::MAX,
        // With no worker at all, requests wait for the one that TTIN brings.
        WorkerClass::Sync | WorkerClass::Gthread => {
            settings.worker_connections.saturating_mul(workers.max(1))
        }
    }
}
