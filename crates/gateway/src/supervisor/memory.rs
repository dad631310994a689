//! How much memory each worker has, looked at about once a second; and those that have more than
//! `--max-worker-memory` are replaced, one at a time, the largest first.
//!
//! Resident pages from `statm`, which the kernel has counted already. `smaps_rollup` would leave out
//! what a preloaded application shares with its siblings, but walks every page of the worker to know.

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

use nix::unistd::{SysconfVar, sysconf};

use super::{Event, WorkerId};
use crate::{gateway::Gateway, pool::Worker};

const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Memory {
    page: u64,
    looked: Option<Instant>,
    /// Its replacement is on its way, and the next is not chosen before it has gone.
    leaving: Option<WorkerId>,
}

impl Memory {
    pub(super) fn new() -> Memory {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        Memory { page: page.map_or(4096, |page| page as u64), looked: None, leaving: None }
    }

    /// Whether it was time to look.
    pub(super) fn look(&mut self, gateway: &Gateway, now: Instant) -> bool {
        if self.looked.is_some_and(|then| now - then < EVERY) {
            return false;
        }
        self.looked = Some(now);
        for worker in gateway.pool.workers() {
            self.look_at(&worker);
        }
        self.recycle(gateway);
        true
    }

    pub(super) fn look_at(&self, worker: &Worker) {
        if let Some(bytes) = self.resident(worker.pid) {
            worker.set_memory(bytes);
        }
    }

    fn recycle(&mut self, gateway: &Gateway) {
        let Some(limit) = gateway.settings().max_worker_memory else { return };
        self.leaving = self.leaving.filter(|worker| gateway.pool.find(*worker).is_some());
        if self.leaving.is_some() {
            return;
        }
        let workers = gateway.pool.workers().into_iter().filter(|worker| worker.is_ready());
        let sizes = workers.filter_map(|worker| Some((worker.memory()?, worker)));
        let Some((bytes, worker)) = sizes.max_by_key(|(bytes, _)| *bytes) else { return };
        if bytes > limit {
            gateway.log.info(format_args!(
                "Worker (pid:{}) has {} of memory after {} requests, more than \
                 --max-worker-memory, {}, and is replaced",
                worker.pid,
                Size(bytes),
                worker.served(),
                Size(limit)
            ));
            self.leaving = Some(worker.id);
            gateway.inbox.put(Event::Grown(worker.id));
        }
    }

    fn resident(&self, pid: u32) -> Option<u64> {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
        // One that has died and was not waited for has none left.
        (pages > 0).then_some(pages * self.page)
    }
}

/// `43.1 MiB`.
pub(super) struct Size(pub(super) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 as f64 / (1024.0 * 1024.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_and_one_that_is_not_there_has_none() {
        let memory = Memory::new();
        let bytes = memory.resident(std::process::id()).unwrap();
        assert!(bytes > 100_000, "{bytes}");
        assert_eq!(memory.resident(u32::MAX), None);
        assert_eq!(Size(45_200_000).to_string(), "43.1 MiB");
    }
}
