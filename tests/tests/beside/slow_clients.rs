//! A slow client, or one that says nothing, holds no worker: beside 500 of them a fast one is served as
//! if it were alone.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::wire::Wire;
use tokio::sync::watch;

use crate::stage::{Complaints, Side, Stage, only_ours_holds};

const SLOW: usize = 500;
const FAST: usize = 100;

/// What each slow client sends in the end, a byte at a time.
const BODY: usize = 64;

/// How long one answer may take before the fast client gives up. No claim: those of ours take a few
/// milliseconds, and without it the half of gunicorn would take minutes.
const GIVES_UP: Duration = Duration::from_secs(5);

/// Which kind of slow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It sends a head and then a body, byte for byte.
    Trickles,
    /// It connects, and nothing else.
    Silent,
}

async fn beside(side: Side, kind: Kind, flags: &[&str]) -> Result<Complaints> {
    let stage = Stage::start(side, &[&["--workers", "2"], flags].concat()).await?;
    let alone = fast(&stage).await?;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut wire = stage.wire().await?;
        if kind == Kind::Trickles {
            let head =
                format!("POST /echo HTTP/1.1\r\nHost: slow\r\nContent-Length: {BODY}\r\n\r\n");
            wire.send(head).await?;
        }
        slow.push(wire);
    }
    let (stop, stopped) = watch::channel(false);
    let trickling = tokio::spawn(trickle(slow, kind, stopped));
    let mut took = Vec::new();
    let mut complaints = Complaints::new();
    for number in 0..FAST {
        let begun = Instant::now();
        match tokio::time::timeout(GIVES_UP, stage.get("/worker")).await {
            Ok(Ok(answer)) if answer.status() == 200 => took.push(begun.elapsed()),
            Ok(other) => complaints.push(format!("the fast one got {other:?}")),
            Err(_) => {
                complaints.push(format!("the fast one waits for answer {number}"));
                break;
            }
        }
    }
    stop.send_replace(true);
    let (mut slow, sent) = trickling.await??;
    eprintln!("{side:?}: p99 alone {:?}, beside {SLOW} {:?}", p99(alone), p99(took));
    if kind == Kind::Trickles && side == Side::Ours {
        for wire in &mut slow {
            wire.send(vec![b'x'; BODY - sent]).await?;
            let answer = wire.answer("POST").await?;
            ensure!(answer.status() == 200 && answer.body.len() == BODY, "{answer:?}");
        }
    }
    Ok(complaints)
}

/// A byte from each a few times a second, but never the last one, until told. How many each has sent.
async fn trickle(
    mut slow: Vec<Wire>,
    kind: Kind,
    stopped: watch::Receiver<bool>,
) -> Result<(Vec<Wire>, usize)> {
    let mut sent = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    while kind == Kind::Trickles && sent + 1 < BODY && !*stopped.borrow() {
        tick.tick().await;
        for wire in &mut slow {
            wire.send("x").await?;
            tokio::task::yield_now().await;
        }
        sent += 1;
    }
    Ok((slow, sent))
}

async fn fast(stage: &Stage) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..FAST {
        let begun = Instant::now();
        ensure!(stage.get("/worker").await?.status() == 200, "it serves a client that is alone");
        took.push(begun.elapsed());
    }
    Ok(took)
}

fn p99(mut took: Vec<Duration>) -> Option<Duration> {
    took.sort();
    took.get(took.len() * 99 / 100).copied()
}

#[tokio::test]
async fn that_trickle_a_body() -> Result<()> {
    only_ours_holds(1, "the fast one waits", async |side| {
        beside(side, Kind::Trickles, &["--worker-class", "gthread", "--threads", "4"]).await
    })
    .await
}

#[tokio::test]
async fn that_say_nothing() -> Result<()> {
    only_ours_holds(1, "the fast one waits", async |side| beside(side, Kind::Silent, &[]).await)
        .await
}
