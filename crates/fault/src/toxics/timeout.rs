//! `timeout`: nothing gets through; what is sent is lost. The connection is closed after the time, or,
//! with 0, when the toxic is removed: with bytes missing it can not go on.

use serde::{Deserialize, Serialize};

use super::{Behaviour, Ending, Item, Moment, Queue, Step, milliseconds};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeout {
    /// Milliseconds from the moment the toxic came upon the connection.
    pub timeout: u64,
}

impl Behaviour for Timeout {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        while let Some(item) = queue.pop() {
            if let Item::End(_) = item {
                return Step::Emit(item);
            }
        }
        if self.timeout == 0 {
            return Step::Wait(None);
        }
        let due = moment.since + milliseconds(self.timeout);
        if moment.now < due {
            return Step::Wait(Some(due));
        }
        Step::Emit(Item::End(Ending::Close))
    }

    fn ending_when_removed(&self) -> Option<Ending> {
        Some(Ending::Close)
    }
}
