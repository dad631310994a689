//! One running hop: its process tree, its signals, its end. Whatever a test does, the tree is gone when
//! the `Hop` is: by `Drop`, and by the kernel (`PDEATHSIG`) should the test process itself be killed.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::probe::Address;
use crate::process::Process;
use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::process::Child;

use crate::sys;
use crate::wire::PATIENCE;

pub struct Hop {
    name: &'static str,
    child: Child,
    pub process: Process,
    output: PathBuf,
}

impl Hop {
    /// Starts it in a process group of its own, with its standard output and errors in a file.
    pub fn start(name: &'static str, mut command: Command, output: &Path) -> Result<Hop> {
        let log = File::options().create(true).append(true).open(output)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        sys::die_with_parent(&mut command);
        let shown = format!("{command:?}");
        let child = tokio::process::Command::from(command).spawn();
        let child = child.with_context(|| format!("cannot start {name}: {shown}"))?;
        let pid = child.id().context("it was not waited for yet")?;
        let process = Process::of(pid as i32).with_context(|| format!("{name} ended at once"))?;
        Ok(Hop { name, child, process, output: output.to_owned() })
    }

    /// Until it answers; at once an error when it exits instead, with what it said.
    pub async fn ready(&mut self, address: &Address, path: &str) -> Result<()> {
        let mut last = String::new();
        let answering = tokio::time::timeout(PATIENCE, address.until_it_answers(path, &mut last));
        let outcome = tokio::select! {
            answered = answering => answered.map_err(|_| "does not answer".to_owned()),
            status = self.child.wait() => Err(format!("ended: {:?}", status?)),
        };
        if let Err(what) = outcome {
            let said = std::fs::read_to_string(&self.output).unwrap_or_default();
            bail!("{} {what} at {address}, last: \"{last}\"; it said:\n{said}", self.name);
        }
        Ok(())
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends a signal and waits for the end it brings.
    pub async fn stop(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.signal(signal);
        self.ended().await
    }

    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Ok(ended.with_context(|| format!("{} does not end", self.name))??)
    }

    /// The processes it started that live now, and answer requests.
    pub fn workers(&self) -> Vec<Process> {
        let is_worker = |process: &Process| process.name().is_some_and(|name| name != "nursery");
        self.process.children().into_iter().filter(is_worker).collect()
    }

    /// Waits until its living workers are as the test wants them.
    pub async fn workers_are(&self, wanted: impl Fn(&[Process]) -> bool) -> Result<Vec<Process>> {
        let waiting = async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            loop {
                tick.tick().await;
                let workers = self.workers();
                if wanted(&workers) {
                    return workers;
                }
            }
        };
        let changed = tokio::time::timeout(PATIENCE, waiting).await;
        changed.with_context(|| format!("{} keeps its workers {:?}", self.name, self.workers()))
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        let tree = self.process.tree();
        // The group too: a worker may have been started since the tree was read.
        let _ = nix::sys::signal::killpg(Pid::from_raw(self.process.pid), Signal::SIGKILL);
        for process in tree {
            process.signal(Signal::SIGKILL);
        }
    }
}
