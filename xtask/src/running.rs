//! Chains that `up` started, as `.causeway/run/APP/state.json` remembers them: for `status`, `logs` and
//! `down`, and for a second `up`. What the file says is believed only as far as the processes agree.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::probe::Address;
use crate::process::Process;
use crate::workspace;

/// How long a hop may take to finish its requests before it is told to end at once.
const GRACE: Duration = Duration::from_secs(35);

/// A chain that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    pub application: String,
    pub url: String,
    /// The browser's side last: the order in which they were started.
    pub hops: Vec<RunningHop>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunningHop {
    pub name: String,
    pub process: Process,
    pub address: Address,
    pub logs: Vec<PathBuf>,
}

/// The folder of an application's chain.
pub fn folder(application: &str) -> PathBuf {
    workspace::state().join("run").join(application)
}

fn file(application: &str) -> PathBuf {
    folder(application).join("state.json")
}

impl Running {
    /// What the file says, whether or not anything of it still lives.
    pub fn read(application: &str) -> Option<Running> {
        serde_json::from_str(&fs::read_to_string(file(application)).ok()?).ok()
    }

    /// All chains that left a file.
    pub fn all() -> Vec<Running> {
        let entries = fs::read_dir(workspace::state().join("run")).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names.iter().filter_map(|name| Running::read(name)).collect()
    }

    pub fn write(&self) -> Result<()> {
        let file = file(&self.application);
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&file, text).with_context(|| format!("cannot write \"{}\"", file.display()))
    }

    pub fn forget(&self) {
        let _ = fs::remove_file(file(&self.application));
    }

    pub fn alive(&self) -> bool {
        self.hops.iter().all(|hop| hop.process.alive())
    }

    pub fn dead(&self) -> bool {
        self.hops.iter().all(|hop| !hop.process.alive())
    }

    /// Stops it from the browser's side on: each hop has finished before the one it forwards to goes.
    pub async fn stop(&self) {
        for hop in self.hops.iter().rev() {
            hop.stop().await;
        }
        self.forget();
    }
}

impl RunningHop {
    /// The signal of its graceful stop: nginx's and gunicorn's differ.
    fn graceful(&self) -> Signal {
        if self.name == "edge" { Signal::SIGQUIT } else { Signal::SIGTERM }
    }

    async fn stop(&self) {
        let mut tree = self.process.tree();
        self.process.signal(self.graceful());
        if !self.process.gone_within(GRACE).await {
            self.process.signal(Signal::SIGTERM);
            self.process.gone_within(Duration::from_secs(2)).await;
        }
        // Workers whose master was killed are in its group still.
        tree.extend(self.process.group());
        for process in tree {
            if !process.gone_within(Duration::from_secs(2)).await {
                process.signal(Signal::SIGKILL);
            }
        }
        // After a kill nobody else unlinks it.
        if let Address::Unix(socket) = &self.address {
            let _ = fs::remove_file(socket);
        }
    }

    /// The last lines it wrote, for the one who asks why it died.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        self.logs.iter().flat_map(|log| last_lines(log, count)).collect()
    }
}

pub fn last_lines(log: &Path, count: usize) -> Vec<String> {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}
