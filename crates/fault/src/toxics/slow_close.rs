//! `slow_close`: the end of the stream comes late.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Behaviour, Ending, Item, Moment, Queue, Step, milliseconds};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlowClose {
    /// Milliseconds.
    pub delay: u64,
}

impl SlowClose {
    pub(super) fn behaviour(&self) -> Lingering {
        Lingering { delay: milliseconds(self.delay) }
    }
}

pub(super) struct Lingering {
    delay: Duration,
}

impl Behaviour for Lingering {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        if let Some((Item::End(Ending::Eof | Ending::Close), arrived)) = queue.front() {
            let due = arrived + self.delay;
            if moment.now < due {
                return Step::Wait(Some(due));
            }
        }
        queue.pop().map_or(Step::Wait(None), Step::Emit)
    }
}
