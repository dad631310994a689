//! `reset_peer`: RST to both sides, so many milliseconds after the first byte of the stream. The byte
//! stays in the socket: a unix socket has no RST, but closing one over unread bytes gives its peer the
//! same ECONNRESET.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Behaviour, Ending, Item, Moment, Queue, Step, milliseconds};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResetPeer {
    /// Milliseconds.
    pub timeout: u64,
}

impl ResetPeer {
    pub(super) fn behaviour(&self) -> Resetting {
        Resetting { timeout: milliseconds(self.timeout), seen: None }
    }
}

pub(super) struct Resetting {
    timeout: Duration,
    seen: Option<Instant>,
}

impl Behaviour for Resetting {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step {
        // Bytes that were on their way when the toxic came.
        let seen = self.seen.or(queue.front().map(|(_, arrived)| arrived));
        let Some(seen) = seen else { return Step::Wait(None) };
        self.seen = Some(seen);
        let due = seen + self.timeout;
        if moment.now < due {
            return Step::Wait(Some(due));
        }
        Step::Emit(Item::End(Ending::Reset))
    }

    fn leaves_unread(&self) -> bool {
        true
    }

    fn unread_data(&mut self, now: Instant) {
        self.seen.get_or_insert(now);
    }
}
