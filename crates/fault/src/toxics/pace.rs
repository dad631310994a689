//! The first stage of every stream, and no toxic: it keeps the pauses that HTTP toxics put between
//! the bytes.

use std::time::Instant;

use super::{Behaviour, Item, Moment, Queue, Step};

#[derive(Default)]
pub(crate) struct Pace {
    /// Whose pause is in front, and when it came there.
    paused: Option<(u64, Instant)>,
}

impl Behaviour for Pace {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        while let Some((Item::Hold { toxic, time }, _)) = queue.front() {
            // Another's, if the toxic of the one before it was removed.
            let paused = self.paused.filter(|(paused, _)| paused == toxic);
            let (_, since) = *self.paused.insert(paused.unwrap_or((*toxic, moment.now)));
            let due = time.map(|time| since + time);
            if due.is_none_or(|due| moment.now < due) {
                return Step::Wait(due);
            }
            self.paused = None;
            queue.pop();
        }
        self.paused = None;
        queue.pop().map_or(Step::Wait(None), Step::Emit)
    }
}
