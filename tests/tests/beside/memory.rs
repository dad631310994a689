//! A worker whose memory grows is replaced when it is too large, and no request is lost by that. gunicorn
//! can count requests only.

use anyhow::Result;
use e2e::load::{Habit, Load};

use crate::stage::{Complaints, Side, Stage, losses, only_ours_holds};

/// Megabytes that are let leak before it is said that nobody looks.
const MOST: usize = 1000;

async fn leaking(side: Side) -> Result<Complaints> {
    let flags = ["--workers", "2", "--max-worker-memory", "80M"];
    let stage = match Stage::start(side, &flags).await {
        Ok(stage) => stage,
        Err(error) => return Ok(vec![format!("it does not even start: {error:#}")]),
    };
    let first = stage.workers();
    let mut load = Load::start(stage.posts("/leak", 4, Habit::KeepAlive));
    // Each request adds a megabyte: both are over the limit soon, and one after the other goes.
    let mut asked = 0;
    while first.iter().any(|worker| worker.alive()) && asked < MOST {
        load.goes_on_for(1).await;
        asked += 1;
    }
    load.goes_on_for(50).await;
    let mut complaints = losses(&load.stop().await);
    if asked == MOST {
        complaints.push(format!("{MOST} MB later the same workers serve"));
    }
    let log = stage.log();
    for worker in first {
        let lines = log.lines_with(&worker.pid.to_string());
        if !lines.iter().any(|line| line.contains("memory")) {
            complaints.push(format!("the log does not say why worker {} went", worker.pid));
        }
    }
    Ok(complaints)
}

#[tokio::test]
async fn that_grows() -> Result<()> {
    only_ours_holds(1, "unrecognized arguments: --max-worker-memory", leaking).await
}
