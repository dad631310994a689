//! A step of the preparation: a program that is run to its end, below a keeper like every other, so that
//! neither it nor what it started outlives us. It may take minutes, so it has a thread of its own where
//! somebody else goes on meanwhile.

use std::io;
use std::process::{Child, Command};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::signal::Signal;

use crate::keeper::{Keeper, Lifeline, When};
use crate::sys::{self, User};

/// Runs it; its output is shown only when it fails.
pub fn run(command: Command, failure: &str) -> Result<()> {
    run_as(command, None, failure)
}

/// The same, as somebody else.
pub(crate) fn run_as(mut command: Command, user: Option<User>, failure: &str) -> Result<()> {
    let shown = format!("{command:?}");
    let (keeper, lifeline) = Keeper::new(When::TheProgramEnds, Signal::SIGTERM, &[])?;
    sys::keep(&mut command, keeper, user);
    let output = command.output().with_context(|| format!("{failure}: {shown}"))?;
    drop(lifeline);
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{failure} ({}):\n{}", output.status, String::from_utf8_lossy(&said).trim_end())
}

/// A step that is under way, for those who follow it. Dropping it ends what is left of it.
#[derive(Debug)]
pub struct Step {
    pub child: Child,
    _lifeline: Lifeline,
}

/// Begins it.
pub fn begin(mut command: Command) -> io::Result<Step> {
    let (keeper, lifeline) = Keeper::new(When::TheProgramEnds, Signal::SIGTERM, &[])?;
    sys::keep(&mut command, keeper, None);
    Ok(Step { child: command.spawn()?, _lifeline: lifeline })
}

/// Does it on a thread of its own. Whoever no longer waits for it does not wait for its end either.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, waiting) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("preparation".to_owned()).spawn(move || {
        let _ = done.send(work());
    })?;
    waiting.await.unwrap_or_else(|_| Err(anyhow!("the preparation panicked")))
}
