//! `bandwidth`: so many bytes in a millisecond. At rate 0 nothing passes, which users of Toxiproxy
//! use to cut a line without closing it.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Behaviour, Item, Moment, Queue, Step};

/// What is sent in one piece: as much as the rate allows in this time.
const PIECE: u64 = 20;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bandwidth {
    /// Kilobytes (1000 bytes) a second.
    pub rate: u64,
}

impl Bandwidth {
    pub(super) fn behaviour(&self) -> Metering {
        Metering { rate: self.rate, free_at: None }
    }
}

pub(super) struct Metering {
    rate: u64,
    /// When the line is done with what was sent last.
    free_at: Option<Instant>,
}

impl Behaviour for Metering {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        let Some((item, arrived)) = queue.front() else { return Step::Wait(None) };
        let Item::Data(data) = item else {
            return queue.pop().map_or(Step::Wait(None), Step::Emit);
        };
        if self.rate == 0 {
            return Step::Wait(None);
        }
        let piece = (data.len() as u64).min(self.rate.saturating_mul(PIECE));
        let needs = Duration::from_micros(piece.saturating_mul(1000) / self.rate);
        let due = self.free_at.map_or(arrived, |free| free.max(arrived)) + needs;
        if moment.now < due {
            return Step::Wait(Some(due));
        }
        self.free_at = Some(due);
        queue.pop_data(piece as usize).map_or(Step::Wait(None), |data| Step::Emit(Item::Data(data)))
    }
}
