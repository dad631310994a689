//! The bucket that `limit_req` has for each key: it runs out at its zone's rate, and each request adds
//! a thousand thousandths to it.

use super::Keyed;
use crate::zone::{Page, Place};

/// A zone and its rate.
pub(super) struct Rated {
    pub(super) keyed: Keyed,
    /// Thousandths of a request a second.
    pub(super) rate: i64,
}

/// Whether a zone counts the request as it is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Now,
    Later,
}

/// After this, a bucket that has run out may be forgotten.
const FORGET: u64 = 60_000;

impl Rated {
    /// What would be in the bucket with this request; `Err`: too much.
    pub(super) fn ask(&self, hash: u64, burst: i64, now: u64, count: Count) -> Result<i64, i64> {
        let mut page = self.keyed.zone.page(hash);
        let Some(place) = page.find(|_| true) else {
            let since = if count == Count::Now { now } else { 0 };
            self.add(&mut page, Bucket { since, excess: 0 }, now);
            return Ok(0);
        };
        let bucket = Bucket::at(&page, place).with_one_more(now, self.rate);
        if bucket.excess > burst {
            return Err(bucket.excess);
        }
        if count == Count::Now {
            page.set(place, bucket.into());
        }
        Ok(bucket.excess)
    }

    /// Counts a request that was asked about before.
    pub(super) fn count(&self, hash: u64, now: u64) -> i64 {
        let mut page = self.keyed.zone.page(hash);
        let Some(place) = page.find(|_| true) else {
            self.add(&mut page, Bucket { since: now, excess: 0 }, now);
            return 0;
        };
        let bucket = Bucket::at(&page, place).with_one_more(now, self.rate);
        page.set(place, bucket.into());
        bucket.excess
    }

    /// Another key, in the place of one that can be forgotten, or else of the one that has not asked
    /// for longest.
    fn add(&self, page: &mut Page<'_>, bucket: Bucket, now: u64) {
        let forgotten = page.places().find(|place| {
            let known = Bucket::at(page, *place);
            now.saturating_sub(known.since) >= FORGET && known.left(now, self.rate) <= 0
        });
        if let Some(place) = forgotten {
            page.replace(place, bucket.into());
        } else if !page.insert(bucket.into())
            && let Some(oldest) = page.places().min_by_key(|place| Bucket::at(page, *place).since)
        {
            page.replace(oldest, bucket.into());
        }
    }
}

/// What a zone knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// When it was looked at last, in milliseconds of the clock; 0 is long ago.
    since: u64,
    excess: i64,
}

impl Bucket {
    fn at(page: &Page<'_>, place: Place) -> Bucket {
        let [since, excess] = page.get(place);
        Bucket { since, excess: excess as i64 }
    }

    fn left(self, now: u64, rate: i64) -> i64 {
        let elapsed = i64::try_from(now.saturating_sub(self.since)).unwrap_or(i64::MAX);
        self.excess.saturating_sub(rate.saturating_mul(elapsed) / 1000)
    }

    fn with_one_more(self, now: u64, rate: i64) -> Bucket {
        let excess = self.left(now, rate).saturating_add(1000).max(0);
        Bucket { since: now.max(self.since), excess }
    }
}

impl From<Bucket> for [u64; 2] {
    fn from(bucket: Bucket) -> [u64; 2] {
        [bucket.since, bucket.excess as u64]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{vars::Template, zone::Zone};

    fn zone(name: &str, rate: i64) -> Rated {
        let zone = Zone::open("limit_req", name, Zone::SMALLEST, "$x").unwrap();
        Rated { keyed: Keyed { key: Template::default(), longest: 65535, zone }, rate }
    }

    #[test]
    fn a_bucket_runs_out_at_its_rate() {
        // Two requests a second, and a burst of one.
        let zone = zone("bucket", 2000);
        let ask = |now, expected| {
            assert_eq!(zone.ask(1, 1000, now, Count::Now), expected, "{now}");
        };
        ask(1000, Ok(0));
        ask(1000, Ok(1000));
        ask(1000, Err(2000));
        // The refused one did not count.
        ask(1001, Err(1998));
        ask(1499, Err(1002));
        ask(1500, Ok(1000));
        ask(2250, Ok(500));
        ask(9000, Ok(0));
        // A clock of another thread that is behind.
        ask(8999, Ok(1000));
    }

    #[test]
    fn asking_does_not_count() {
        let zone = zone("asking", 1000);
        for _ in 0..3 {
            assert_eq!(zone.ask(1, 0, 5_000_000, Count::Later), Ok(0));
        }
        assert_eq!(zone.count(1, 5_000_000), 0);
        assert_eq!(zone.ask(1, 0, 5_000_000, Count::Later), Err(1000));
    }

    #[test]
    fn of_too_many_keys_the_oldest_is_forgotten() {
        let zone = zone("full", 1000);
        // All of one page: the upper half of a hash chooses it.
        for number in 0..1000_u64 {
            assert_eq!(zone.ask(number, 0, 100_000 + number, Count::Now), Ok(0));
        }
        assert_eq!(zone.ask(999, 0, 101_000, Count::Now), Err(999));
        assert_eq!(zone.ask(0, 0, 101_000, Count::Now), Ok(0));
    }

    #[test]
    fn a_bucket_that_has_run_out_makes_room() {
        let zone = zone("room", 1000);
        for number in 0..100_u64 {
            zone.ask(number, 0, 100_000 + number * FORGET * 2, Count::Now).unwrap();
        }
        assert_eq!(zone.keyed.zone.page(0).places().count(), 1);
    }
}
