//! `latency`: everything arrives later by the same time, give or take the jitter, and in order.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Behaviour, Item, Moment, Queue, Step, milliseconds};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// Milliseconds.
    pub latency: u64,
    /// Milliseconds, taken off or added at random.
    pub jitter: u64,
}

impl Latency {
    pub(super) fn behaviour(&self) -> Delaying {
        Delaying { latency: self.clone(), delay: None }
    }

    fn delay(&self) -> Duration {
        let least = self.latency.saturating_sub(self.jitter);
        let spread = self.latency.saturating_add(self.jitter) - least;
        milliseconds(least) + milliseconds(spread).mul_f64(fastrand::f64())
    }
}

pub(super) struct Delaying {
    latency: Latency,
    /// Of what is in front, drawn when it came there.
    delay: Option<Duration>,
}

impl Behaviour for Delaying {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        let Some((item, arrived)) = queue.front() else { return Step::Wait(None) };
        if matches!(item, Item::Data(_)) {
            let due = arrived + *self.delay.get_or_insert_with(|| self.latency.delay());
            if moment.now < due {
                return Step::Wait(Some(due));
            }
            self.delay = None;
        }
        queue.pop().map_or(Step::Wait(None), Step::Emit)
    }

    /// A long way holds much: with less room this would be a limit of bandwidth as well.
    fn room(&self) -> usize {
        8 * 1024 * 1024
    }
}
