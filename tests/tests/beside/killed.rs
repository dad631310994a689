//! kill -9 of a worker: the request it had begun gets 502 at once, what it had not begun another worker
//! answers, and the log says which signal it was, guesses nothing, and tells what the worker was doing.

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use xtask::process::Process;

use crate::stage::{Complaints, Side, Stage, only_ours_holds};

/// So many that the worker to be killed has accepted some, where workers accept.
const WAITING: usize = 24;

async fn kill(side: Side) -> Result<Complaints> {
    let flags = ["--workers", "2", "--worker-class", "gthread", "--threads", "1"];
    let stage = Stage::start(side, &flags).await?;
    let gate = stage.gate("gate")?;
    let mut held = stage.begin(&format!("/held?gate={}", gate.path())).await?;
    let line = stage.log().line_with("held by ").await?;
    let (_, victim) = line.split_once("held by ").context("it was asked for")?;
    let victim: i32 = victim.split(':').next().unwrap_or_default().parse()?;
    let mut waiting = Vec::new();
    for number in 0..WAITING {
        waiting.push(stage.begin(&format!("/seen?number={number}")).await?);
    }
    Process::of(victim).context("it holds a request")?.signal(Signal::SIGKILL);

    let mut complaints = Complaints::new();
    match held.answer("GET").await {
        Ok(answer) if answer.status() == 502 => (),
        Ok(answer) => complaints.push(format!("begun, and answered {}", answer.status())),
        Err(error) => complaints.push(format!("begun, and no answer: {error:#}")),
    }
    for wire in &mut waiting {
        match wire.answer("GET").await {
            Ok(answer) if answer.status() == 200 => (),
            Ok(answer) => complaints.push(format!("not begun, and answered {}", answer.status())),
            Err(error) => complaints.push(format!("not begun, and lost: {error:#}")),
        }
    }
    let line = stage.log().line_with(&format!("Worker (pid:{victim}) was sent SIGKILL!")).await?;
    if !line.contains("GET /held?gate=") {
        complaints.push(format!("the log does not say what the worker was doing: {line}"));
    }
    if line.contains("Perhaps out of memory") {
        complaints.push(format!("the log guesses: {line}"));
    }
    if stage.get("/worker").await?.status() != 200 {
        complaints.push("the others do not serve on".to_owned());
    }
    Ok(complaints)
}

#[tokio::test]
async fn the_request_in_hand_gets_an_answer() -> Result<()> {
    only_ours_holds(1, "begun, and no answer", kill).await
}

#[tokio::test]
async fn the_log_tells_what_the_worker_was_doing() -> Result<()> {
    only_ours_holds(1, "the log does not say what the worker was doing", kill).await
}

#[tokio::test]
async fn what_was_not_begun_goes_to_another_worker() -> Result<()> {
    // In every second round or so the killed worker had accepted none of them.
    only_ours_holds(15, "not begun, and lost", kill).await
}
