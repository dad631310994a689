//! How a thread learns that it should finish: no new connections, idle ones closed, the others
//! allowed to answer what they have. One per thread, so nothing is shared and nothing is locked.

use std::{cell::Cell, rc::Rc};

use tokio::sync::Notify;

#[derive(Clone, Default)]
pub struct Drain(Rc<State>);

#[derive(Default)]
struct State {
    begun: Cell<bool>,
    begin: Notify,
    busy: Cell<usize>,
    idle: Notify,
}

impl Drain {
    pub fn begin(&self) {
        self.0.begun.set(true);
        self.0.begin.notify_waiters();
    }

    pub fn has_begun(&self) -> bool {
        self.0.begun.get()
    }

    /// Waits until the drain begins.
    pub async fn begun(&self) {
        let begin = self.0.begin.notified();
        if !self.has_begun() {
            begin.await;
        }
    }

    /// A connection is being served, until this is dropped.
    pub fn busy(&self) -> Busy {
        self.0.busy.set(self.0.busy.get() + 1);
        Busy(Rc::clone(&self.0))
    }

    /// Waits until no connection is served any more.
    pub async fn finished(&self) {
        while self.0.busy.get() > 0 {
            self.0.idle.notified().await;
        }
    }
}

pub struct Busy(Rc<State>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        if self.0.busy.get() == 0 {
            self.0.idle.notify_one();
        }
    }
}
