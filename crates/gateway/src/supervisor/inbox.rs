//! What the supervisor has to hear of, from whoever saw it. One thread, so a plain queue: its length
//! is bounded by what there is to say of each worker, and by signals.

use std::{cell::RefCell, collections::VecDeque};

use tokio::sync::Notify;

use super::{
    fleet::{Ended, Event, WorkerId},
    reload::Candidate,
};
use crate::log::Outputs;

/// What the fleet has to know, and what only concerns its processes.
pub(crate) enum Notice {
    Event(Event),
    /// A worker has a process.
    Forked {
        worker: WorkerId,
        pid: u32,
    },
    /// A child of ours has ended, whoever it was.
    Reaped {
        pid: u32,
        end: Ended,
    },
    /// A reload that can be tried; or why it can not.
    Prepared(Result<(Box<Candidate>, Box<Outputs>), String>),
    /// In place of a nursery that has ended.
    Replaced {
        generation: u64,
        with: Result<Box<Candidate>, String>,
    },
}

#[derive(Default)]
pub(crate) struct Inbox {
    notices: RefCell<VecDeque<Notice>>,
    arrived: Notify,
}

impl Inbox {
    pub(crate) fn put(&self, event: Event) {
        self.put_notice(Notice::Event(event));
    }

    pub(super) fn put_notice(&self, notice: Notice) {
        self.notices.borrow_mut().push_back(notice);
        self.arrived.notify_one();
    }

    pub(super) async fn take(&self) -> Notice {
        loop {
            if let Some(notice) = self.notices.borrow_mut().pop_front() {
                return notice;
            }
            self.arrived.notified().await;
        }
    }
}
