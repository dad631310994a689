//! Reload, recycling and scaling down under load: every request is answered, counted to the last one.
//!
//! gunicorn's threaded worker accepts connections before it has a thread for them, and what it has
//! accepted no other worker can serve. When it is told to go with more of them than it can finish in
//! `graceful_timeout`, and then `timeout`, the rest is cut. Both are 30 seconds by default; here they
//! are short, and the queue with them.

use anyhow::Result;
use e2e::load::{Habit, Load};
use nix::sys::signal::Signal;

use crate::stage::{Complaints, Side, Stage, losses, only_ours_holds};

const SHORT: [&str; 8] =
    ["--worker-class", "gthread", "--threads", "2", "--graceful-timeout", "1", "--timeout", "2"];

const CLIENTS: usize = 40;

/// How many answers after the event must come before the books are closed: each client waits through
/// the queue at least once.
const AFTERWARDS: usize = 2 * CLIENTS;

async fn under_load(
    side: Side,
    habit: Habit,
    flags: &[&str],
    event: impl AsyncFnOnce(&Stage, &mut Load),
) -> Result<Complaints> {
    let stage = Stage::start(side, &[&SHORT[..], flags].concat()).await?;
    let mut load = Load::start(stage.posts("/slow?seconds=0.2", CLIENTS, habit));
    load.goes_on_for(CLIENTS).await;
    event(&stage, &mut load).await;
    load.goes_on_for(AFTERWARDS).await;
    Ok(losses(&load.stop().await))
}

#[tokio::test]
async fn a_reload_under_load() -> Result<()> {
    only_ours_holds(4, " lost, ", async |side| {
        under_load(side, Habit::KeepAlive, &["--workers", "2"], async |stage, load| {
            for _ in 0..3 {
                let before = stage.workers();
                stage.signal(Signal::SIGHUP);
                // Until none of the old ones is left.
                while before.iter().any(|worker| worker.alive()) {
                    load.goes_on_for(1).await;
                }
            }
        })
        .await
    })
    .await
}

#[tokio::test]
async fn recycling_by_max_requests() -> Result<()> {
    only_ours_holds(4, " lost, ", async |side| {
        let flags = ["--workers", "2", "--max-requests", "15"];
        under_load(side, Habit::KeepAlive, &flags, async |stage, load| {
            while stage.server.started() < 8 {
                load.goes_on_for(1).await;
            }
        })
        .await
    })
    .await
}

#[tokio::test]
async fn fewer_workers_by_ttou() -> Result<()> {
    only_ours_holds(4, " lost, ", async |side| {
        under_load(side, Habit::Close, &["--workers", "3"], async |stage, load| {
            for left in [2, 1] {
                stage.signal(Signal::SIGTTOU);
                while stage.workers().len() > left {
                    load.goes_on_for(1).await;
                }
            }
        })
        .await
    })
    .await
}

#[tokio::test]
async fn a_worker_that_is_told_term() -> Result<()> {
    only_ours_holds(4, " lost, ", async |side| {
        under_load(side, Habit::Close, &["--workers", "2"], async |stage, load| {
            for _ in 0..2 {
                let worker = stage.workers()[0];
                worker.signal(Signal::SIGTERM);
                while worker.alive() {
                    load.goes_on_for(1).await;
                }
            }
        })
        .await
    })
    .await
}
