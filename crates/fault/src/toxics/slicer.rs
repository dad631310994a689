//! `slicer`: what came in one piece goes on in several, each in a write of its own, with a pause
//! between them if one is wanted.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Behaviour, Item, Moment, Queue, Step, milliseconds};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slicer {
    /// Bytes in a piece.
    pub average_size: u64,
    /// Bytes, taken off or added at random; less than the average.
    pub size_variation: u64,
    /// Microseconds.
    pub delay: u64,
}

impl Slicer {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.average_size == 0 {
            return Err("average_size is 0".to_owned());
        }
        if self.size_variation >= self.average_size {
            return Err("size_variation is not less than average_size".to_owned());
        }
        Ok(())
    }

    pub(super) fn behaviour(&self) -> Slicing {
        let delay = Duration::from_micros(self.delay).min(milliseconds(u64::MAX));
        Slicing { slicer: self.clone(), delay, next_at: None }
    }

    fn size(&self) -> usize {
        let least = self.average_size - self.size_variation;
        let most = self.average_size.saturating_add(self.size_variation);
        fastrand::u64(least..=most) as usize
    }
}

pub(super) struct Slicing {
    slicer: Slicer,
    delay: Duration,
    next_at: Option<Instant>,
}

impl Behaviour for Slicing {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        let Some((item, _)) = queue.front() else { return Step::Wait(None) };
        if let Some(next_at) = self.next_at
            && moment.now < next_at
        {
            return Step::Wait(Some(next_at));
        }
        if !matches!(item, Item::Data(_)) {
            return queue.pop().map_or(Step::Wait(None), Step::Emit);
        }
        self.next_at = (!self.delay.is_zero()).then(|| moment.now + self.delay);
        queue
            .pop_data(self.slicer.size())
            .map_or(Step::Wait(None), |data| Step::Emit(Item::Data(data)))
    }
}
