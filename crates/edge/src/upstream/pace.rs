//! `proxy_limit_rate`: how fast a body is taken from a peer. So many bytes in each second that has
//! begun, counted over the whole body, as nginx counts them.

use std::time::{Duration, Instant};

use super::Limits;
use crate::{exchange::Exchange, load::parse_size};

pub struct Pace {
    /// Bytes a second.
    rate: u64,
    begun: Instant,
    taken: u64,
}

impl Limits {
    /// `None`: as fast as it comes.
    pub fn pace(&self, exchange: &Exchange) -> Option<Pace> {
        let rate = self.rate.as_ref()?.render(exchange);
        let rate = std::str::from_utf8(&rate).ok().and_then(parse_size).filter(|rate| *rate > 0)?;
        Some(Pace { rate, begun: Instant::now(), taken: 0 })
    }
}

impl Pace {
    /// How much may be taken now; `Err`: nothing before that moment.
    pub(super) fn allowed(&self) -> Result<usize, Instant> {
        let allowed = (self.begun.elapsed().as_secs() + 1).saturating_mul(self.rate);
        match allowed.checked_sub(self.taken) {
            None | Some(0) => {
                let seconds = self.taken as f64 / self.rate as f64;
                // The seconds that have begun are counted: the next must have.
                Err(self.begun + Duration::from_secs(seconds.floor() as u64))
            }
            Some(allowed) => Ok(usize::try_from(allowed).unwrap_or(usize::MAX)),
        }
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }
}
