//! A constant, bounded load that accounts for every request. What counts as lost is what a person in
//! front of a browser would see: an answer that is wrong, cut short or missing. A GET on a *reused*
//! connection that was closed before one byte of an answer is sent again, once, as RFC 9112 §9.3.1
//! lets a browser do; a connection that is refused outright is counted by itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wire::{Answer, PATIENCE, Wire};

/// What became of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub answered: usize,
    /// Sent again on a fresh connection, and then counted as what came of that.
    pub retried: usize,
    /// No connection: nobody listened.
    pub refused: usize,
    /// The reasons, one for each lost request.
    pub lost: Vec<String>,
}

/// A load that is running.
pub struct Load {
    clients: JoinSet<()>,
    tally: Arc<Mutex<Tally>>,
    done: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
}

#[derive(Clone, Copy)]
pub struct Plan {
    pub address: SocketAddr,
    pub path: &'static str,
    pub clients: usize,
    /// Is this the answer the application gives?
    pub right: fn(&Answer) -> bool,
}

enum Outcome {
    Right,
    Wrong(String),
    Refused,
}

impl Load {
    pub fn start(plan: Plan) -> Load {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (count, done) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for _ in 0..plan.clients {
            clients.spawn(client(plan, Arc::clone(&tally), count.clone(), stopped.clone()));
        }
        Load { clients, tally, done, stop }
    }

    /// Waits until this many more requests were answered or lost: the load's own clock.
    pub async fn goes_on_for(&mut self, requests: usize) {
        let target = *self.done.borrow() + requests;
        let reached = self.done.wait_for(|done| *done >= target);
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        let ended =
            reached.unwrap_or_else(|_| panic!("the load stands still: {:?}", self.tally.lock()));
        ended.expect("clients run until they are stopped");
    }

    /// Lets each client finish the request it has begun.
    pub async fn stop(self) -> Tally {
        let Load { clients, tally, stop, .. } = self;
        stop.send_replace(true);
        clients.join_all().await;
        let tally = tally.lock().expect("no client panics");
        tally.clone()
    }
}

async fn client(
    plan: Plan,
    tally: Arc<Mutex<Tally>>,
    count: watch::Sender<usize>,
    stopped: watch::Receiver<bool>,
) {
    let mut kept = None;
    while !*stopped.borrow() {
        let mut retried = 0;
        let outcome = match once(&plan, &mut kept).await {
            Err(_)
                if kept
                    .take()
                    .is_some_and(|wire: Kept| wire.reused && wire.wire.nothing_read()) =>
            {
                retried = 1;
                once(&plan, &mut kept).await
            }
            outcome => outcome,
        };
        let outcome = outcome.unwrap_or_else(|error| {
            kept = None;
            Outcome::Wrong(format!("{error:#}"))
        });
        {
            let mut tally = tally.lock().expect("no client panics");
            tally.retried += retried;
            match outcome {
                Outcome::Right => tally.answered += 1,
                Outcome::Refused => tally.refused += 1,
                Outcome::Wrong(reason) => tally.lost.push(reason),
            }
        }
        count.send_modify(|done| *done += 1);
        // A refused connection costs nothing: without this, clients would spin on it.
        tokio::task::yield_now().await;
    }
}

struct Kept {
    wire: Wire,
    reused: bool,
}

async fn once(plan: &Plan, kept: &mut Option<Kept>) -> Result<Outcome> {
    if kept.is_none() {
        match Wire::tcp(plan.address).await {
            Ok(wire) => *kept = Some(Kept { wire, reused: false }),
            Err(_) => return Ok(Outcome::Refused),
        }
    }
    let connection = kept.as_mut().expect("connected above");
    let answer = connection.wire.get(plan.path).await?;
    connection.reused = true;
    if answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
        *kept = None;
    }
    if (plan.right)(&answer) {
        return Ok(Outcome::Right);
    }
    let text: String = answer.text().chars().take(120).collect();
    Ok(Outcome::Wrong(format!("{}: {text:?}", answer.status())))
}
