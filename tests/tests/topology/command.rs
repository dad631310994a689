//! `causeway-topology test` and `diff` as somebody types them: in a folder of the test's own, with the
//! exit code, what was printed, and the reports.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::binary;
use e2e::scratch::Scratch;
use tokio::process::Command;

/// Two deployments are started one after the other on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// A folder with a user's own files in it.
pub(crate) struct Desk {
    pub(crate) scratch: Scratch,
}

/// A command that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk { scratch: Scratch::new() }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<str>) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        std::fs::create_dir_all(path.parent().context("it lies in a folder")?)?;
        std::fs::write(&path, text.as_ref())?;
        Ok(path)
    }

    pub(crate) fn read(&self, name: &str) -> Result<String> {
        std::fs::read_to_string(self.scratch.join(name)).with_context(|| name.to_owned())
    }

    pub(crate) fn json(&self, name: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.read(name)?)?)
    }

    /// From within the folder. What is made once and kept is the repository's.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let mut command = Command::new(binary::program("causeway-topology")?);
        command.args(arguments).current_dir(self.scratch.path()).kill_on_drop(true);
        command.env("CAUSEWAY_STATE", xtask::workspace::state());
        let output = tokio::time::timeout(PATIENCE, command.output());
        let output = output.await.context("it does not end")??;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ended {
            code: output.status.code(),
            out: text(output.stdout),
            errors: text(output.stderr),
        })
    }
}

impl Ended {
    /// Everything it said, for a test that fails.
    pub(crate) fn told(&self) -> String {
        format!("exit code {:?}\n{}\n{}", self.code, self.out, self.errors)
    }
}

pub(crate) fn root() -> PathBuf {
    xtask::workspace::root()
}

/// A topology of the repository.
pub(crate) fn shipped(name: &str) -> String {
    root().join(format!("topologies/{name}.toml")).display().to_string()
}
