//! What happens to workers while they are soaked. Reloads replace them all, so they come in the first
//! third only: the processes that are there then are to live to the end, since only what lives long
//! shows whether it grows. KILL and TERM strike the youngest worker, all the time.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use xtask::server::Server;

/// Seconds between two faults.
const APART: u64 = 7;

pub(super) struct Faults {
    /// When no more reloads come.
    calm: Duration,
    next: Duration,
    pub(super) kills: usize,
    terms: usize,
    reloads: usize,
}

impl Faults {
    pub(super) fn new(length: Duration) -> Faults {
        // The last reload has a while to be done with before the middle third begins.
        let calm = length / 4;
        Faults { calm, next: Duration::from_secs(APART), kills: 0, terms: 0, reloads: 0 }
    }

    /// The next one, if it is time.
    pub(super) fn strike(&mut self, now: Duration, server: &Server) {
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_secs(APART);
        let youngest = server.workers().pop();
        let turn = self.kills + self.terms + self.reloads;
        if now < self.calm && turn % 3 == 2 {
            server.hop.signal(Signal::SIGHUP);
            self.reloads += 1;
        } else if let Some(youngest) = youngest {
            let signal = if turn.is_multiple_of(2) { Signal::SIGKILL } else { Signal::SIGTERM };
            youngest.signal(signal);
            *(if signal == Signal::SIGKILL { &mut self.kills } else { &mut self.terms }) += 1;
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults { kills, terms, reloads, .. } = self;
        write!(out, "workers killed: {kills}, told TERM: {terms}; reloads: {reloads}")
    }
}
