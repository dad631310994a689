//! What the supervisor has to hear of, from whoever saw it. One thread, so a plain queue: its length
//! is bounded by what there is to say of each worker, and by signals.

use std::{cell::RefCell, collections::VecDeque};

use tokio::sync::Notify;

use super::fleet::Event;

#[derive(Default)]
pub(crate) struct Inbox {
    events: RefCell<VecDeque<Event>>,
    arrived: Notify,
}

impl Inbox {
    pub(crate) fn put(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
        self.arrived.notify_one();
    }

    pub(crate) async fn take(&self) -> Event {
        loop {
            if let Some(event) = self.events.borrow_mut().pop_front() {
                return event;
            }
            self.arrived.notified().await;
        }
    }
}
