//! How many connections and requests there were and are, for `stub_status`.
//!
//! A thread counts in a row of its own, which no other writes, so that counting costs nothing; who
//! asks adds them up. The rows lie in memory that all workers share, so that what is counted for
//! good survives a reload; what a worker has open is its own, and ends with it.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Relaxed},
    },
};

use crate::zone::{Memory, is_alive, own_id};

/// Columns of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    // For good.
    Accepted = 1,
    Handled,
    Requests,
    // For now.
    Active,
    Reading,
    Writing,
    Waiting,
}

/// The column that says whose row it is: a process, or 0.
const OWNER: usize = 0;

/// A row is a line of the processor's cache.
const ROW: usize = 8;

/// Threads of all workers that are there at once.
const ROWS: usize = 1024;

static ROWS_OF_ALL: OnceLock<Option<Memory>> = OnceLock::new();

thread_local! {
    /// Where this thread's row begins; `None`: there was none left, and it is not counted.
    static OWN: Option<usize> = claim();
}

/// Makes the memory: before a worker is forked, which has to share it.
pub fn prepare() {
    // Without it, nothing is counted.
    ROWS_OF_ALL.get_or_init(|| Memory::new(ROWS * ROW).ok());
}

fn rows() -> &'static [AtomicU64] {
    match ROWS_OF_ALL.get() {
        Some(Some(memory)) => memory,
        _ => &[],
    }
}

/// A row that is nobody's, or that was a dead one's: what it counted for good stays counted.
fn claim() -> Option<usize> {
    let own = u64::from(own_id());
    let mut starts = (0..rows().len()).step_by(ROW);
    starts.find(|start| {
        let owner = &rows()[start + OWNER];
        let known = owner.load(Relaxed);
        let free = known == 0 || known != own && !is_alive(known as u32);
        let claimed = free && owner.compare_exchange(known, own, AcqRel, Relaxed).is_ok();
        if claimed {
            rows()[start + Count::Active as usize..start + ROW].iter().for_each(|column| {
                column.store(0, Relaxed);
            });
        }
        claimed
    })
}

fn add(count: Count, change: u64) {
    if let Some(start) = OWN.with(|own| *own) {
        let column = &rows()[start + count as usize];
        column.store(column.load(Relaxed).wrapping_add(change), Relaxed);
    }
}

/// One more, for good.
pub fn tally(count: Count) {
    add(count, 1);
}

/// One more, until this is dropped, on the same thread.
#[must_use]
pub struct Counted(Count);

impl Counted {
    pub fn one(count: Count) -> Counted {
        add(count, 1);
        Counted(count)
    }
}

impl Counted {
    /// From here on it is counted as something else.
    pub fn turn_into(&mut self, count: Count) {
        *self = Counted::one(count);
    }

    /// What has waited for a request has the beginning of one.
    pub fn begin_request(&mut self) {
        if self.0 == Count::Waiting {
            tally(Count::Requests);
            self.turn_into(Count::Reading);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        add(self.0, u64::MAX);
    }
}

/// The sum of a column.
pub fn sum(count: Count) -> u64 {
    let for_now = count as usize >= Count::Active as usize;
    let rows = rows().chunks_exact(ROW);
    let counted = rows.filter(|row| match row[OWNER].load(Relaxed) {
        0 => false,
        owner => !for_now || is_alive(owner as u32),
    });
    counted.map(|row| row[count as usize].load(Relaxed)).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_in_rows_of_their_own() {
        prepare();
        let before = (sum(Count::Requests), sum(Count::Writing));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let _here = Counted::one(Count::Writing);
                    (0..1000).for_each(|_| tally(Count::Requests));
                });
            }
        });
        assert_eq!(sum(Count::Requests), before.0 + 3000);
        assert_eq!(sum(Count::Writing), before.1);
        let here = Counted::one(Count::Writing);
        assert_eq!(sum(Count::Writing), before.1 + 1);
        drop(here);
    }
}
