//! A request over `timeout` is killed, at its time and alone: with 504 for its client, with its method,
//! path, age and client and the place in its code in the log, and with nothing lost beside it.

use anyhow::Result;

use crate::stage::{Complaints, Side, Stage, only_ours_holds};

const LONG: &str = "/slow?seconds=12";

/// One request that takes far longer than it may, and one beside it that goes on and on, but is never
/// silent.
async fn too_long(side: Side, flags: &[&str]) -> Result<Complaints> {
    let flags = [&["--workers", "1", "--timeout", "3"], flags].concat();
    let stage = Stage::start(side, &flags).await?;
    let mut long = stage.begin(LONG).await?;
    stage.log().line_with("slow /slow").await?;
    let gate = stage.scratch.join("gate");
    let mut other = stage.begin(&format!("/moving?gate={}", gate.display())).await?;
    if flags.contains(&"--threads") {
        stage.log().line_with("moving /moving").await?;
    }

    let mut complaints = Complaints::new();
    match long.answer("GET").await {
        Ok(answer) if answer.status() == 504 => (),
        Ok(answer) if answer.status() == 200 => {
            complaints.push("it was never stopped".to_owned());
        }
        Ok(answer) => complaints.push(format!("its client is told {}", answer.status())),
        Err(error) => complaints.push(format!("its client is told nothing: {error:#}")),
    }
    std::fs::write(gate, "open")?;
    match other.answer("GET").await {
        Ok(answer) if answer.text().ends_with("released") => (),
        Ok(answer) => complaints.push(format!("the one beside it got {}", answer.status())),
        Err(error) => complaints.push(format!("the one beside it was lost: {error:#}")),
    }
    match stage.log().lines_with("WORKER TIMEOUT").first() {
        None => complaints.push("the log has no WORKER TIMEOUT".to_owned()),
        Some(line) => {
            if !line.contains(&format!("GET {LONG}")) {
                complaints.push(format!("WORKER TIMEOUT without a URL: {line}"));
            }
            // The function of the application that it was in; both write it a moment later.
            let place = stage.log().line_with("in slow").await?;
            if !place.contains("app.py") {
                complaints.push(format!("the log does not say where in the code it was: {place}"));
            }
        }
    }
    Ok(complaints)
}

#[tokio::test]
async fn of_a_worker_with_one_thread() -> Result<()> {
    only_ours_holds(1, "WORKER TIMEOUT without a URL", async |side| too_long(side, &[]).await).await
}

#[tokio::test]
async fn of_a_worker_with_several() -> Result<()> {
    only_ours_holds(1, "it was never stopped", async |side| {
        too_long(side, &["--worker-class", "gthread", "--threads", "2"]).await
    })
    .await
}
