//! How an answer is held back to `limit_rate`: so much for each second that has begun since the
//! request came, and after each piece a pause as long as that piece should take.

use std::time::{Duration, Instant};

use super::{Client, ClientError};
use crate::{clock, exchange::Exchange};

pub(super) struct Pace {
    /// Bytes a second; never 0.
    rate: u64,
    /// What leaves before anything is held back.
    after: u64,
    /// The second in which the request came.
    start: u64,
    sent: u64,
    /// Nothing leaves before.
    pause: Option<Instant>,
}

/// What a clock says is asked for twice: how much may leave, and how long the rest must wait.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Send(u64),
    Wait(Duration),
}

impl Pace {
    /// `None`: the answer leaves as fast as it goes.
    pub(super) fn of(exchange: &Exchange) -> Option<Pace> {
        let limit = exchange.location.plan.limit_rate.as_ref();
        if limit.is_none() && exchange.limit_rate.is_none() {
            return None;
        }
        let said = exchange.limit_rate;
        let rate = said.or_else(|| Some(limit?.rate(exchange))).filter(|rate| *rate > 0)?;
        let after = limit.map_or(0, |limit| limit.after(exchange));
        let (second, milliseconds) = clock::now();
        let now = Duration::new(second, milliseconds * 1_000_000);
        let start = now.saturating_sub(exchange.story.age()).as_secs();
        Some(Pace { rate, after, start, sent: 0, pause: None })
    }

    /// How much may leave now, once something may. Ends early when the client does.
    pub(super) async fn allowed(&mut self, client: &Client) -> Result<u64, ClientError> {
        loop {
            if let Some(end) = self.pause.take() {
                client.pause(end).await?;
            }
            match self.step(clock::now().0) {
                Step::Send(bytes) => return Ok(bytes),
                Step::Wait(time) => self.pause = Some(Instant::now() + time),
            }
        }
    }

    fn step(&self, second: u64) -> Step {
        let seconds = second.saturating_sub(self.start) + 1;
        let earned = self.rate.saturating_mul(seconds).saturating_add(self.after);
        match earned.checked_sub(self.sent) {
            Some(bytes) if bytes > 0 => Step::Send(bytes),
            _ => Step::Wait(self.time(self.sent - earned) + Duration::from_millis(1)),
        }
    }

    /// So much has left.
    pub(super) fn sent(&mut self, bytes: u64) {
        let counted = |sent: u64| sent.saturating_sub(self.after);
        let time = self.time(counted(self.sent + bytes) - counted(self.sent));
        self.sent += bytes;
        if !time.is_zero() {
            self.pause = Some(Instant::now() + time);
        }
    }

    /// How long so much takes, in whole milliseconds.
    fn time(&self, bytes: u64) -> Duration {
        Duration::from_millis(bytes.saturating_mul(1000) / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_earns_its_bytes() {
        let mut pace = Pace { rate: 100, after: 30, start: 5, sent: 0, pause: None };
        assert_eq!(pace.step(5), Step::Send(130));
        assert_eq!(pace.step(4), Step::Send(130));
        pace.sent(30);
        assert_eq!(pace.pause, None);
        pace.sent(100);
        let pause = pace.pause.unwrap().saturating_duration_since(Instant::now());
        assert!(Duration::from_millis(900) < pause && pause <= Duration::from_secs(1));
        assert_eq!(pace.step(5), Step::Wait(Duration::from_millis(1)));
        assert_eq!(pace.step(7), Step::Send(200));
        pace.sent(250);
        assert_eq!(pace.step(7), Step::Wait(Duration::from_millis(501)));
        let fast = Pace { rate: u64::MAX, after: u64::MAX, start: 0, sent: 1, pause: None };
        assert_eq!(fast.step(9), Step::Send(u64::MAX - 1));
    }
}
