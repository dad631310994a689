//! The right to one thread of one worker, for one request. Dropping it is the only way to give it
//! back, so none is ever lost.

use std::{io, rc::Rc, task::Waker, time::Instant};

use super::{Held, Patience, Pool, State, Worker, WorkerConn};
use crate::supervisor::Event;

pub(crate) struct Lease {
    pool: Pool,
    worker: Rc<Worker>,
    slot: usize,
    connection: Option<WorkerConn>,
}

impl Lease {
    pub(super) fn take(pool: &Pool, worker: &Rc<Worker>, held: Held) -> Lease {
        let slot = worker.slots.iter().position(|slot| slot.held.borrow().is_none());
        let slot = slot.expect("the caller saw a free one");
        worker.slots[slot].held.replace(Some(held));
        worker.slots[slot].silent_since.set(None);
        let served = worker.served.get() + 1;
        worker.served.set(served);
        if worker.most == Some(served) {
            pool.inner.inbox.put(Event::Used(worker.id));
        }
        let connection = worker.slots[slot].connection.take();
        Lease { pool: pool.clone(), worker: Rc::clone(worker), slot, connection }
    }

    pub(crate) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// The connection, made if there is none yet or the last one was not fit for another request.
    pub(crate) fn connection(&mut self) -> io::Result<&mut WorkerConn> {
        if self.connection.is_none() {
            let (connection, name) = WorkerConn::open(&self.worker.address())?;
            self.worker.slots[self.slot].name.replace(name);
            self.connection = Some(connection);
        }
        Ok(self.connection.as_mut().expect("it was made above"))
    }

    /// The connection can not carry another request.
    pub(crate) fn spoil(&mut self) {
        self.connection = None;
    }

    /// The worker owes us something from now on, or does not.
    pub(crate) fn expect_word(&self, since: Option<Instant>) {
        self.worker.slots[self.slot].silent_since.set(since);
    }

    /// The answer is waited for: who is to hear should the request's time be over before it comes.
    pub(crate) fn park(&self, waker: &Waker) {
        let slot = &self.worker.slots[self.slot];
        if slot.silent_since.get().is_none() {
            slot.silent_since.set(Some(Instant::now()));
        }
        let mut parked = slot.waker.borrow_mut();
        if !parked.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
            *parked = Some(waker.clone());
        }
    }

    /// The request's time is over.
    pub(crate) fn is_overdue(&self) -> bool {
        self.worker.slots[self.slot].patience.get() != Patience::Left
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let slot = &self.worker.slots[self.slot];
        slot.silent_since.set(None);
        slot.waker.replace(None);
        if self.is_overdue() {
            // The thread is still in it, and nobody else gets it: it leaves with its worker.
            return;
        }
        slot.connection.set(self.connection.take());
        slot.held.replace(None);
        match self.worker.state.get() {
            State::Ready => self.pool.hand_over(),
            State::Retired => self.pool.tell_if_drained(&self.worker),
            State::Booting | State::Gone => (),
        }
    }
}
