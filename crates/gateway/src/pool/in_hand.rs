//! What workers have in hand, as the log tells it: those that have had it longest first, and not more
//! of them than a line can hold.

use std::fmt;

use super::{Held, Slot};

const MOST: usize = 5;

#[derive(Debug)]
pub(crate) struct InHand {
    count: usize,
    oldest: Vec<String>,
}

impl InHand {
    pub(super) fn of<'a>(slots: impl IntoIterator<Item = &'a Slot>) -> InHand {
        let held = slots.into_iter().map(|slot| slot.held.borrow());
        let mut held: Vec<_> = held.filter(|held| held.is_some()).collect();
        let held_of = |slot: &Option<Held>| slot.as_ref().map(|held| held.since);
        held.sort_by_key(|slot| held_of(slot));
        let oldest = held.iter().take(MOST).filter_map(|held| held.as_ref().map(Held::to_string));
        InHand { count: held.len(), oldest: oldest.collect() }
    }

    #[cfg(test)]
    pub(crate) fn told(count: usize, oldest: &[&str]) -> InHand {
        InHand { count, oldest: oldest.iter().map(ToString::to_string).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for InHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.oldest.join(", "))?;
        match self.count - self.oldest.len() {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
