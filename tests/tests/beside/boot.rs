//! A boot that fails keeps the port open, answers 503, says why, and tries again: once the reason is gone
//! the server serves, without anybody having started it again.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use e2e::wire::PATIENCE;

use crate::stage::{Complaints, Side, Stage, only_ours_holds};

/// So many tries that there is a while before the next one, with its own lines.
const TRIES: usize = 4;

async fn broken(side: Side) -> Result<Complaints> {
    let reason = "No module named 'no_such_module'";
    let mut stage = Stage::launch(side, &["--workers", "1"], |scratch| {
        let path = scratch.join("app.py");
        let text = fs::read_to_string(&path)?;
        Ok(fs::write(path, format!("import no_such_module\n{text}"))?)
    })
    .await?;
    let log = stage.log().clone();
    log.line_with(reason).await?;
    let mut complaints = Complaints::new();
    let gone = tokio::select! {
        lines = log.several_with("next try in", TRIES) => lines.map(|_| None)?,
        status = stage.ended() => Some(status?),
    };
    if let Some(status) = gone {
        return Ok(vec![stage.gone(status)]);
    }
    let text = log.text();
    let last = text.lines().last().unwrap_or_default();
    if !last.contains(reason) {
        complaints.push(format!("the last line does not say why: {last}"));
    }
    match stage.get("/worker").await {
        Ok(answer) if answer.status() == 503 => (),
        other => complaints.push(format!("a client got {other:?}")),
    }
    stage.change("import no_such_module\n", "")?;
    // It comes by itself; until then everyone is told.
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let serving = async {
        loop {
            tick.tick().await;
            match stage.get("/worker").await?.status() {
                200 => return Ok::<_, anyhow::Error>(()),
                503 => (),
                status => complaints.push(format!("while it waits a client got {status}")),
            }
        }
    };
    tokio::time::timeout(PATIENCE, serving).await??;
    Ok(complaints)
}

#[tokio::test]
async fn that_fails() -> Result<()> {
    only_ours_holds(1, "the server is gone", broken).await
}
