//! More than the workers can take: what is over the queue's bound is told so at once, with a time to come
//! back, the log says who holds the workers, and who has left is not served any more.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, timeout_at};

use crate::stage::{Complaints, Side, Stage, only_ours_holds};

const BOUND: usize = 4;
const OVER: usize = 6;

/// How long clients over the bound wait. No claim: ours are answered in a millisecond, and without it
/// they would wait on gunicorn for ever.
const GIVES_UP: Duration = Duration::from_secs(10);

/// The bound in each one's own terms: gunicorn's queue is the kernel's.
fn bounded(side: Side) -> [&'static str; 4] {
    match side {
        Side::Ours => ["--workers", "1", "--queue", "4"],
        Side::Gunicorn => ["--workers", "1", "--backlog", "4"],
    }
}

async fn full(side: Side) -> Result<Complaints> {
    let stage = Stage::start(side, &bounded(side)).await?;
    let gate = stage.gate("gate")?;
    let mut held = stage.begin(&format!("/held?gate={}", gate.path())).await?;
    stage.log().line_with("held by ").await?;
    let mut complaints = Complaints::new();
    let mut waiting = Vec::new();
    let mut refused = 0;
    let deadline = Instant::now() + GIVES_UP;
    // One after the other, so that those over the bound are the last.
    for number in 0..BOUND + OVER {
        let path = format!("/seen?number={number}");
        match timeout_at(deadline, stage.begin(&path)).await {
            Ok(wire) => waiting.push(wire?),
            // A full backlog drops the packet that would connect.
            Err(_) => {
                complaints.push("one over the bound is told nothing: not connected".to_owned());
            }
        }
    }
    for mut wire in waiting.split_off(BOUND.min(waiting.len())) {
        match timeout_at(deadline, wire.answer("GET")).await {
            Ok(Ok(answer)) if answer.status() == 503 && answer.field("retry-after").is_some() => {
                refused += 1;
            }
            Ok(other) => complaints.push(format!("one over the bound got {other:?}")),
            Err(_) => complaints.push("one over the bound is told nothing".to_owned()),
        }
    }
    if refused != OVER {
        complaints.push(format!("{refused} of {OVER} were refused"));
    }
    let text = stage.log().text();
    if !text.lines().any(|line| line.contains("ueue") && line.contains("GET /held?gate=")) {
        complaints.push("the log does not say who holds the workers".to_owned());
    }
    gate.open().await?;
    held.answer("GET").await?;
    for wire in &mut waiting {
        match wire.answer("GET").await {
            Ok(answer) if answer.status() == 200 => (),
            other => complaints.push(format!("one within the bound got {other:?}")),
        }
    }
    Ok(complaints)
}

async fn left(side: Side) -> Result<Complaints> {
    let stage = Stage::start(side, &["--workers", "1"]).await?;
    let gate = stage.gate("gate")?;
    let mut held = stage.begin(&format!("/held?gate={}", gate.path())).await?;
    stage.log().line_with("held by ").await?;
    for number in 0..3 {
        drop(stage.begin(&format!("/seen?left={number}")).await?);
    }
    let mut stays = stage.begin("/seen?stays").await?;
    gate.open().await?;
    held.answer("GET").await?;
    stays.answer("GET").await?;
    // It waited longer than they did.
    Ok(match stage.log().lines_with("seen /seen?left=").len() {
        0 => Complaints::new(),
        served => vec![format!("{served} clients that had left were served")],
    })
}

#[tokio::test]
async fn that_is_full() -> Result<()> {
    only_ours_holds(1, "told nothing", full).await
}

#[tokio::test]
async fn whose_clients_have_left() -> Result<()> {
    only_ours_holds(1, "that had left were served", left).await
}
