//! How a worker ended, in one line: by what, by whom as far as that is known, with how much memory,
//! and over which requests.
//!
//! Whether it was the kernel's OOM killer is counted, never guessed: the kernel counts its kills for
//! each memory cgroup, and before it kills. Where it does not let us see that, the line says so.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::{Ended, memory::Size, processes::Child};
use crate::{
    pool::{InHand, Worker},
    settings::Level,
};

/// A process that is killed for its memory may take its time to go.
const LONGEST_DEATH: Duration = Duration::from_secs(10);

/// The kernel's count of processes killed for memory, here or, where that is not to be had, anywhere
/// on the machine.
pub(super) struct OomKills {
    file: Option<PathBuf>,
    seen: u64,
    /// When we learned of each that no death was put down to yet.
    unclaimed: Vec<Instant>,
}

impl OomKills {
    pub(super) fn watch() -> OomKills {
        let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        OomKills::of(candidates(&cgroups))
    }

    /// The first that counts.
    fn of(files: Vec<PathBuf>) -> OomKills {
        let found = files.into_iter().find_map(|file| Some((count(&file)?, file)));
        let (seen, file) = found.map_or((0, None), |(seen, file)| (seen, Some(file)));
        OomKills { file, seen, unclaimed: Vec::new() }
    }

    pub(super) fn look(&mut self, now: Instant) {
        let Some(count) = self.file.as_deref().and_then(count) else { return };
        for _ in self.seen..count {
            self.unclaimed.push(now);
        }
        self.seen = count;
        self.unclaimed.retain(|then| now - *then < LONGEST_DEATH);
    }

    /// Of a signal this gateway did not send.
    pub(super) fn by_whom(&mut self, end: Ended, now: Instant) -> String {
        match end {
            Ended::Signal(number) if number == Signal::SIGKILL as i32 => self.explain(now),
            Ended::Signal(_) | Ended::Code(_) => String::new(),
        }
    }

    /// Whether one of its kills may be the death that was just seen; of each kill, one is.
    fn explain(&mut self, now: Instant) -> String {
        self.look(now);
        match &self.file {
            None => " Whether it was the kernel's OOM killer can not be seen from here.".to_owned(),
            Some(file) if self.unclaimed.pop().is_some() => format!(
                " It was the kernel's OOM killer: \"{}\" counts {} of its kills now.",
                file.display(),
                self.seen
            ),
            Some(_) => {
                " It was not the kernel's OOM killer, and not this gateway: somebody sent it."
                    .to_owned()
            }
        }
    }
}

/// Where the kernel counts, most particular first. From `/proc/self/cgroup`: workers are where we
/// are.
fn candidates(cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            files.push(Path::new("/sys/fs/cgroup").join(path).join("memory.events"));
        } else if controllers.split(',').any(|controller| controller == "memory") {
            files.push(Path::new("/sys/fs/cgroup/memory").join(path).join("memory.oom_control"));
        }
    }
    files.push("/proc/vmstat".into());
    files
}

fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The line, and how loud it is.
pub(super) fn tell(
    child: &Child,
    worker: Option<&Worker>,
    end: Ended,
    oom_kills: &mut OomKills,
    now: Instant,
) -> (Level, String) {
    let pid = child.pid.unwrap_or(0);
    let held = worker.map(Worker::in_hand).filter(|held| !held.is_empty());
    let had = held.as_ref().map(|held: &InHand| format!(" It held {held}")).unwrap_or_default();
    let memory = || match worker.and_then(Worker::memory) {
        Some(bytes) => format!(" It had {} of memory at the last look.", Size(bytes)),
        None => String::new(),
    };
    match end {
        Ended::Code(0) if held.is_none() => (Level::Info, format!("Worker exiting (pid: {pid})")),
        Ended::Code(code) => {
            (Level::Error, format!("Worker (pid:{pid}) exited with code {code}.{had}"))
        }
        Ended::Signal(number) => {
            let signal = Signal::try_from(number);
            let name = signal.map_or_else(|_| number.to_string(), |signal| signal.to_string());
            let by_whom = match signal {
                Ok(signal) if child.sent == Some(signal) => {
                    " This gateway sent it, as it would not leave otherwise.".to_owned()
                }
                _ => oom_kills.by_whom(end, now),
            };
            let is_polite = matches!(signal, Ok(Signal::SIGTERM | Signal::SIGQUIT));
            if is_polite && held.is_none() {
                return (Level::Info, format!("Worker (pid:{pid}) was sent {name}!"));
            }
            let memory = memory();
            (Level::Error, format!("Worker (pid:{pid}) was sent {name}!{by_whom}{memory}{had}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_looked_for_where_we_are_then_on_the_whole_machine() {
        let shown = |cgroups: &str| -> Vec<String> {
            candidates(cgroups).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            shown("0::/system.slice/app.service\n"),
            ["/sys/fs/cgroup/system.slice/app.service/memory.events", "/proc/vmstat"]
        );
        assert_eq!(
            shown("9:name=systemd:/\n4:memory:/box\n3:cpu,cpuacct:/\n0::/\n"),
            [
                "/sys/fs/cgroup/memory/box/memory.oom_control",
                "/sys/fs/cgroup/memory.events",
                "/proc/vmstat"
            ]
        );
    }

    #[test]
    fn a_kill_that_was_counted_is_put_down_to_one_death_and_an_old_one_to_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("memory.events");
        let write = |count: u64| {
            fs::write(&file, format!("low 0\noom 9\noom_kill {count}\noom_group_kill 0\n"))
                .unwrap();
        };
        write(3);
        let now = Instant::now();
        let mut kills = OomKills::of(vec![folder.path().join("none"), file.clone()]);
        assert!(kills.explain(now).starts_with(" It was not the kernel's OOM killer"));
        write(4);
        // Seen before the death is: as it mostly is, since the kernel counts first.
        kills.look(now);
        assert!(kills.explain(now).starts_with(" It was the kernel's OOM killer: \""));
        assert!(kills.explain(now).starts_with(" It was not the kernel's OOM killer"));
        write(5);
        kills.look(now);
        let later = now + LONGEST_DEATH;
        assert!(kills.explain(later).starts_with(" It was not the kernel's OOM killer"));
    }

    #[test]
    fn where_nothing_counts_nothing_is_claimed() {
        let mut kills = OomKills::of(vec!["/nowhere".into()]);
        assert!(kills.explain(Instant::now()).contains("can not be seen"));
    }
}
