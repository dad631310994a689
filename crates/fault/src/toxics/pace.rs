//! The first stage of every stream, and no toxic: it keeps the pauses that HTTP toxics put between
//! the bytes.

use std::time::Instant;

use super::{Behaviour, Item, Moment, Queue, Step};

#[derive(Default)]
pub(crate) struct Pace {
    /// When the pause in front came there.
    paused_at: Option<Instant>,
}

impl Behaviour for Pace {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        while let Some((Item::Hold { time, .. }, _)) = queue.front() {
            let paused_at = *self.paused_at.get_or_insert(moment.now);
            let due = time.map(|time| paused_at + time);
            if due.is_none_or(|due| moment.now < due) {
                return Step::Wait(due);
            }
            self.paused_at = None;
            queue.pop();
        }
        self.paused_at = None;
        queue.pop().map_or(Step::Wait(None), Step::Emit)
    }
}
