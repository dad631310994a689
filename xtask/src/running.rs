//! Chains that `up` started, as `.causeway/run/APP/state.json` remembers them: for `status`, `logs` and
//! `down`, and for a second `up`. What the file says is believed only as far as the processes agree.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::probe::Address;
use crate::process::Process;
use crate::workspace;

/// How long the hops, one after the other, may take to finish their requests.
const GRACE: Duration = Duration::from_mins(2);

/// A chain that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    pub application: String,
    pub url: String,
    /// The process that started them all, and ends them all.
    pub supervisor: Process,
    /// In the order in which a request meets them.
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
        self.supervisor.alive() && self.hops.iter().all(|hop| hop.process.alive())
    }

    pub fn dead(&self) -> bool {
        !self.supervisor.alive()
    }

    /// Tells the one that started it, without whom no hop lives, and waits for its end.
    pub async fn stop(&self) {
        self.supervisor.signal(Signal::SIGTERM);
        if !self.supervisor.gone_within(GRACE).await {
            self.supervisor.signal(Signal::SIGKILL);
            self.supervisor.gone().await;
        }
        self.forget();
    }
}
