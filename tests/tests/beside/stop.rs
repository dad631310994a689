//! TERM while clients wait: who had connected before is answered, though every worker was busy. gunicorn's
//! workers hold the listening socket until they leave, and reset whoever waits in it then.

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::stage::{Complaints, Side, Stage, only_ours_holds};

const WAITING: usize = 5;

async fn term(side: Side) -> Result<Complaints> {
    let stage = Stage::start(side, &["--workers", "1"]).await?;
    let gate = stage.gate("gate")?;
    let mut held = stage.begin(&format!("/held?gate={}", gate.path())).await?;
    stage.log().line_with("held by ").await?;
    let mut waiting = Vec::new();
    for number in 0..WAITING {
        waiting.push(stage.begin(&format!("/seen?number={number}")).await?);
    }
    stage.signal(Signal::SIGTERM);
    stage.log().line_with("Handling signal: term").await?;
    gate.open().await?;
    let mut complaints = Complaints::new();
    let begun = held.answer("GET").await;
    if !begun.as_ref().is_ok_and(|answer| answer.text() == "released") {
        complaints.push(format!("begun, and got {begun:?}"));
    }
    for wire in &mut waiting {
        match wire.answer("GET").await {
            Ok(answer) if answer.status() == 200 => (),
            Ok(answer) => complaints.push(format!("waited, and answered {}", answer.status())),
            Err(error) => complaints.push(format!("waited, and lost: {error:#}")),
        }
    }
    Ok(complaints)
}

#[tokio::test]
async fn while_clients_wait() -> Result<()> {
    only_ours_holds(1, "waited, and lost", term).await
}
