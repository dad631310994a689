//! Processes as `/proc` tells them: alive or not, the same one as before or not, children, CPU time
//! and memory of a tree. A process id alone is not an identity: it is used again.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process that stays the same when its number is given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks after boot at which it started.
    pub started: u64,
}

/// One line of `/proc/PID/stat`, what we need of it.
#[derive(Clone, Debug)]
struct Stat {
    state: char,
    parent: i32,
    group: i32,
    /// utime + stime + cutime + cstime, in clock ticks.
    ticks: u64,
    started: u64,
}

impl Process {
    pub fn of(pid: i32) -> Option<Process> {
        let stat = stat(pid)?;
        (stat.state != 'Z').then_some(Process { pid, started: stat.started })
    }

    pub fn alive(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    /// As the kernel knows it, which is what the process calls itself.
    pub fn name(self) -> Option<String> {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(name.trim_end().to_owned())
    }

    /// Sends a signal, unless the process is gone.
    pub fn signal(self, signal: Signal) {
        if self.alive() {
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Waits until this signal would reach it: it is neither blocked nor ignored.
    pub async fn hears(self, signal: Signal) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while self.is_deaf_to(signal) {
            tick.tick().await;
        }
    }

    fn is_deaf_to(self, signal: Signal) -> bool {
        let status = fs::read_to_string(proc(self.pid, "status")).unwrap_or_default();
        let set = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
        };
        (set("SigBlk:") | set("SigIgn:")) >> (signal as i32 - 1) & 1 == 1
    }

    /// Waits until it is gone.
    pub async fn gone(self) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while self.alive() {
            tick.tick().await;
        }
    }

    /// The same; `false` when it is still there after `limit`.
    pub async fn gone_within(self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.gone()).await.is_ok()
    }

    pub fn children(self) -> Vec<Process> {
        let mut children: Vec<Process> = everyone()
            .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == self.pid))
            .filter_map(Process::of)
            .collect();
        children.sort_by_key(|child| (child.started, child.pid));
        children
    }

    /// It and all below it.
    pub fn tree(self) -> Vec<Process> {
        let mut tree = vec![self];
        let mut next = 0;
        while let Some(process) = tree.get(next) {
            tree.extend(process.children());
            next += 1;
        }
        tree
    }

    /// What is left of the process group it led, whoever its parent is now. A group that is older than
    /// its leader belonged to another.
    pub fn group(self) -> Vec<Process> {
        let members =
            everyone().filter(|pid| stat(*pid).is_some_and(|stat| stat.group == self.pid));
        members.filter_map(Process::of).filter(|member| member.started >= self.started).collect()
    }

    /// CPU seconds it used, those of its reaped children included.
    pub fn cpu_seconds(self) -> f64 {
        let second =
            nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        stat(self.pid).map_or(0.0, |stat| stat.ticks as f64 / second as f64)
    }

    /// Its share of the memory it uses, in KiB: shared pages are divided among their users.
    pub fn memory_kib(self) -> u64 {
        let Ok(rollup) = fs::read_to_string(proc(self.pid, "smaps_rollup")) else { return 0 };
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|value| value.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    pub fn command_line(self) -> String {
        let raw = fs::read(proc(self.pid, "cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&raw).replace('\0', " ").trim().to_owned()
    }
}

fn everyone() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn proc(pid: i32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(proc(pid, "stat")).ok()?;
    // The name, in brackets, may hold spaces and brackets itself.
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        started: number(19)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_knows_its_children_and_when_they_are_gone() {
        let me = Process::of(std::process::id() as i32).unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let known = Process::of(child.id() as i32).unwrap();
        assert!(known.alive());
        assert!(me.children().contains(&known));
        assert!(me.tree().contains(&known));
        assert!(me.memory_kib() > 0);
        assert!(known.command_line().starts_with("sleep"));
        assert!(!known.is_deaf_to(Signal::SIGTERM));
        // A runtime of Rust's ignores it.
        assert!(me.is_deaf_to(Signal::SIGPIPE));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!known.alive());
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let me = Process::of(std::process::id() as i32).unwrap();
        assert!(!Process { started: me.started + 1, ..me }.alive());
    }
}
