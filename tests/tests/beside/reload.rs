//! HUP with something broken: the old workers go on serving, and the log's last line says what is wrong.

use std::fs;

use anyhow::Result;
use e2e::load::{Habit, Load};
use nix::sys::signal::Signal;

use crate::stage::{Complaints, Side, Stage, losses, only_ours_holds};

const CONFIGURATION: &str = "workers = 2\n";

/// Breaks something, sends HUP under load, and looks what is left.
async fn hup(
    side: Side,
    prepare: impl FnOnce(&Stage) -> Result<()>,
    reason: &str,
) -> Result<Complaints> {
    let mut stage = Stage::start_with(side, &["--config", "conf.py"], |scratch| {
        Ok(fs::write(scratch.join("conf.py"), CONFIGURATION)?)
    })
    .await?;
    let mut load = Load::start(stage.posts("/version", 4, Habit::Close));
    load.goes_on_for(50).await;
    prepare(&stage)?;
    stage.signal(Signal::SIGHUP);
    let log = stage.log().clone();
    let mut complaints = Complaints::new();
    let gone = tokio::select! {
        line = log.line_with("Reload failed") => line.map(|_| None)?,
        status = stage.ended() => Some(status?),
    };
    complaints.extend(gone.map(|status| stage.gone(status)));
    load.goes_on_for(50).await;
    complaints.extend(losses(&load.stop().await));
    let text = log.text();
    let last = text.lines().last().unwrap_or_default();
    if !last.contains(reason) {
        complaints.push(format!("the last line does not say why: {last}"));
    }
    if gone.is_none() && stage.get("/version").await?.text() != "one" {
        complaints.push("it is not the old workers that serve".to_owned());
    }
    Ok(complaints)
}

#[tokio::test]
async fn code_that_does_not_import() -> Result<()> {
    only_ours_holds(1, "the server is gone", async |side| {
        let break_it =
            |stage: &Stage| stage.change("VERSION = ", "import no_such_module\nVERSION = ");
        hup(side, break_it, "No module named 'no_such_module'").await
    })
    .await
}

#[tokio::test]
async fn a_callable_that_is_no_longer_there() -> Result<()> {
    only_ours_holds(1, "the server is gone", async |side| {
        let break_it = |stage: &Stage| stage.change("def application(", "def renamed(");
        hup(side, break_it, "application").await
    })
    .await
}

/// Another text of the configuration than the one it was started with.
async fn hup_with_configuration(text: &'static str, reason: &'static str) -> Result<()> {
    only_ours_holds(1, "the server is gone", async |side| {
        let break_it = |stage: &Stage| Ok(fs::write(stage.scratch.join("conf.py"), text)?);
        hup(side, break_it, reason).await
    })
    .await
}

#[tokio::test]
async fn a_configuration_that_does_not_parse() -> Result<()> {
    hup_with_configuration("workers = = 2\n", "SyntaxError").await
}

#[tokio::test]
async fn a_configuration_that_raises() -> Result<()> {
    hup_with_configuration("workers = 1 // 0\n", "ZeroDivisionError").await
}

#[tokio::test]
async fn a_setting_that_can_not_be() -> Result<()> {
    hup_with_configuration("workers = 'many'\n", "many").await
}
