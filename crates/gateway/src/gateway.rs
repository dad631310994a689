//! What every connection, request and worker of this process shares. One thread, so plain cells.

use std::{cell::Cell, cell::RefCell, rc::Rc};

use crate::{
    front::{Complaints, Connections, tls::Terms},
    log::Log,
    pool::Pool,
    reloader::Reloader,
    settings::{self, Request, Settings},
    supervisor::{Census, Inbox},
};

pub(crate) struct Gateway {
    /// Those in force: a reload puts others here.
    pub(crate) settings: RefCell<Rc<Settings>>,
    pub(crate) log: Log,
    /// What the supervisor has to hear of.
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) pool: Pool,
    pub(crate) connections: Connections,
    /// What those that begin now agree to, where TLS is spoken.
    pub(crate) tls: Terms,
    pub(crate) memory: Rc<Budget>,
    pub(crate) census: Census,
    pub(crate) reloader: Rc<Reloader>,
    /// What clients' heads were complained of for: one line each, not one for each request.
    pub(crate) complaints: RefCell<Complaints>,
}

impl Gateway {
    pub(crate) fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }
}

/// How many bytes of bodies all requests together may hold in memory. What does not fit goes to a
/// file (a request's body) or waits in the worker (a response's).
pub(crate) struct Budget {
    left: Cell<usize>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Budget {
        Budget { left: Cell::new(bytes) }
    }

    #[must_use]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().checked_sub(bytes);
        if let Some(left) = left {
            self.left.set(left);
        }
        left.is_some()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.left.set(self.left.get() + bytes);
    }
}

/// One that serves nothing, for those who only look at it: tests and benches.
pub(crate) fn idle(flags: &[&str]) -> Gateway {
    let arguments = ["causeway-gateway", "a:b"].iter().chain(flags).map(Into::into).collect();
    let Ok(Request::Run(sources)) = settings::read(arguments, &|_| None) else {
        panic!("{flags:?} are flags");
    };
    let settings = sources.settle(None, &|_| None).expect("flags have values").settings;
    let inbox = Rc::new(Inbox::default());
    Gateway {
        log: Log::plain(settings.log_level).expect("standard error is open"),
        pool: Pool::new(Rc::clone(&inbox)),
        inbox,
        connections: Connections::new(),
        tls: Terms::default(),
        memory: Rc::new(Budget::new(1024)),
        census: Census::default(),
        reloader: Rc::default(),
        complaints: RefCell::default(),
        settings: RefCell::new(Rc::new(settings)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_an_end() {
        let budget = Budget::new(10);
        assert!(budget.take(7));
        assert!(!budget.take(4));
        budget.give_back(7);
        assert!(budget.take(10));
    }
}
