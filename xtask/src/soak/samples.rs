//! Memory and open descriptors of each process, once a second, and whether they grow. Judged is what lives
//! from the first third to the end: its median in the last third may be above that in the middle one by
//! what is stated here and by no more. The gateway's descriptors are counted twice more while nobody is
//! connected, after the first third and at the end: then only its connections to workers differ, of
//! which it has at most one for each of their threads.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use xtask::process::Process;
use xtask::server::Server;

use super::{THREADS, WORKERS};

/// Of memory, in parts of a hundred and in KiB: the allocators' breathing.
const MEMORY_PERCENT: u64 = 3;
const MEMORY_KIB: u64 = 1024;

/// Of descriptors: clients that are connected at a time differ by chance.
const DESCRIPTORS: u64 = 8;

/// How long nothing must change to be called quiet, and when it is given up.
const QUIET: Duration = Duration::from_secs(2);
const NEVER_QUIET: Duration = Duration::from_secs(30);

pub(super) struct Samples {
    begun: Instant,
    length: Duration,
    processes: BTreeMap<i32, Series>,
    /// Of the gateway, when nobody was connected.
    quiet: Vec<u64>,
}

struct Series {
    role: &'static str,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    kib: u64,
    descriptors: u64,
}

impl Samples {
    pub(super) fn new(length: Duration) -> Samples {
        Samples { begun: Instant::now(), length, processes: BTreeMap::new(), quiet: Vec::new() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// While no visitor is there.
    pub(super) async fn take_quiet(&mut self, server: &Server) {
        let mut last = (descriptors(server.hop.process), Instant::now());
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let begun = Instant::now();
        while last.1.elapsed() < QUIET && begun.elapsed() < NEVER_QUIET {
            tick.tick().await;
            let now = descriptors(server.hop.process);
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        self.quiet.push(last.0);
    }

    pub(super) fn take(&mut self, server: &Server) {
        let workers = server.workers();
        for process in server.hop.process.tree() {
            let role = if process == server.hop.process {
                "gateway"
            } else if workers.contains(&process) {
                "worker"
            } else {
                "nursery"
            };
            let sample = Sample {
                at: self.elapsed(),
                kib: process.memory_kib(),
                descriptors: descriptors(process),
            };
            // One that ended between the two looks has nothing any more.
            if sample.kib > 0 {
                let series = Series { role, samples: Vec::new() };
                let series = self.processes.entry(process.pid).or_insert(series);
                // A worker is known for one only a moment after it was forked.
                series.role = role;
                series.samples.push(sample);
            }
        }
    }

    /// What was there in the middle third and was there to the end.
    fn judged(&self) -> impl Iterator<Item = (&i32, &Series)> {
        self.processes.iter().filter(|(_, series)| {
            let first = series.samples.first().is_some_and(|sample| sample.at < self.length / 2);
            let last = series.samples.last();
            first && last.is_some_and(|sample| sample.at + Duration::from_secs(5) > self.length)
        })
    }

    fn median(&self, series: &Series, third: u32, value: fn(&Sample) -> u64) -> Option<u64> {
        let (from, to) = (self.length * third / 3, self.length * (third + 1) / 3);
        let within = series.samples.iter().filter(|sample| sample.at >= from && sample.at < to);
        let mut values: Vec<u64> = within.map(value).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (pid, series) in self.judged() {
            let who = format!("{} (pid {pid})", series.role);
            let thirds = |value| [1, 2].map(|third| self.median(series, third, value));
            if let [Some(middle), Some(last)] = thirds(|sample| sample.kib)
                && last > middle + middle * MEMORY_PERCENT / 100 + MEMORY_KIB
            {
                complaints.push(format!("{who} grows: {middle} KiB, then {last}"));
            }
            if let [Some(middle), Some(last)] = thirds(|sample| sample.descriptors)
                && last > middle + DESCRIPTORS
            {
                complaints.push(format!("{who} leaks descriptors: {middle}, then {last}"));
            }
        }
        for role in ["gateway", "nursery", "worker"] {
            if !self.judged().any(|(_, series)| series.role == role) {
                complaints.push(format!("no {role} lived long enough to be judged"));
            }
        }
        let to_workers = (WORKERS * THREADS) as u64;
        if self.quiet.windows(2).any(|pair| pair[1] > pair[0] + to_workers) {
            complaints.push(format!("descriptors stay open with nobody there: {:?}", self.quiet));
        }
        complaints
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["process", "lived", "PSS in MiB, by thirds", "descriptors, by thirds"]);
        for (pid, series) in self.judged() {
            let thirds = |value| [0, 1, 2].map(|third| self.median(series, third, value));
            table.add_row([
                format!("{} {pid}", series.role),
                lived(&series.samples),
                thirds(|sample| sample.kib).map(mebibytes).join(" → "),
                thirds(|sample| sample.descriptors).map(count).join(" → "),
            ]);
        }
        let judged: Vec<i32> = self.judged().map(|(pid, _)| *pid).collect();
        let others = self.processes.iter().filter(|(pid, _)| !judged.contains(pid));
        let others: Vec<&Series> = others.map(|(_, series)| series).collect();
        let samples = others.iter().flat_map(|series| &series.samples);
        let most = samples.clone().map(|sample| sample.kib).max();
        table.add_row([
            format!("{} that came and went", others.len()),
            String::new(),
            format!("{} at most", mebibytes(most)),
            format!("{} at most", count(samples.map(|sample| sample.descriptors).max())),
        ]);
        let quiet: Vec<String> = self.quiet.iter().map(u64::to_string).collect();
        table.add_row(["gateway, nobody there", "", "", &quiet.join(" → ")]);
        table
    }
}

fn lived(samples: &[Sample]) -> String {
    let at = |sample: Option<&Sample>| sample.map_or(0, |sample| sample.at.as_secs());
    format!("{}–{} s", at(samples.first()), at(samples.last()))
}

fn mebibytes(kib: Option<u64>) -> String {
    kib.map_or_else(|| "–".to_owned(), |kib| format!("{:.1}", kib as f64 / 1024.0))
}

fn count(number: Option<u64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| number.to_string())
}

fn descriptors(process: Process) -> u64 {
    fs::read_dir(format!("/proc/{}/fd", process.pid)).map_or(0, |entries| entries.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(kib: fn(u64) -> u64, descriptors: fn(u64) -> u64) -> Vec<String> {
        let mut samples = Samples::new(Duration::from_secs(90));
        for (pid, role) in [(1, "gateway"), (2, "nursery"), (3, "worker")] {
            let at = |second| Sample {
                at: Duration::from_secs(second),
                kib: kib(second),
                descriptors: descriptors(second),
            };
            let series = Series { role, samples: (0..90).map(at).collect() };
            samples.processes.insert(pid, series);
        }
        samples.complaints()
    }

    #[test]
    fn what_is_flat_and_what_grows() {
        assert_eq!(grown(|second| 10_000 + second % 7, |_| 20), [""; 0]);
        let leaking = grown(|second| 10_000 + 100 * second, |_| 20);
        assert_eq!(leaking.len(), 3);
        assert_eq!(leaking[0], "gateway (pid 1) grows: 14500 KiB, then 17500");
        let leaking = grown(|_| 10_000, |second| second);
        assert_eq!(leaking[2], "worker (pid 3) leaks descriptors: 45, then 75");
    }

    #[test]
    fn who_leaves_descriptors_open_is_named() {
        let mut samples = Samples::new(Duration::from_secs(90));
        samples.quiet = vec![20, 27];
        let last = samples.complaints().pop();
        assert_eq!(last.as_deref(), Some("descriptors stay open with nobody there: [20, 27]"));
    }
}
