//! `limit_data`: the connection is closed after so many bytes of the stream.

use serde::{Deserialize, Serialize};

use super::{Behaviour, Ending, Item, Moment, Queue, Step};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitData {
    pub bytes: u64,
}

impl Behaviour for LimitData {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        let left = self.bytes.saturating_sub(moment.passed);
        // Of a connection on which nothing was sent, nothing has been too much.
        let begun = moment.passed > 0 || matches!(queue.front(), Some((Item::Data(_), _)));
        if left == 0 && begun {
            return Step::Emit(Item::End(Ending::Close));
        }
        if let Some(data) = queue.pop_data(usize::try_from(left).unwrap_or(usize::MAX)) {
            return Step::Emit(Item::Data(data));
        }
        queue.pop().map_or(Step::Wait(None), Step::Emit)
    }
}
