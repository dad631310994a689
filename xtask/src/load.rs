//! A constant, bounded load that accounts for every request. What counts as lost is what a person in
//! front of a browser would see: an answer that is wrong, cut short or missing; a connection that is
//! refused outright is counted by itself. A client may have a browser's patience or none: see `Habit`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::probe::Address;
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

impl Tally {
    /// Both together.
    pub fn and(mut self, other: Tally) -> Tally {
        self.answered += other.answered;
        self.retried += other.retried;
        self.refused += other.refused;
        self.lost.extend(other.lost);
        self
    }
}

/// A load that is running.
pub struct Load {
    clients: JoinSet<()>,
    tally: Arc<Mutex<Tally>>,
    done: watch::Receiver<usize>,
    stop: watch::Sender<bool>,
}

/// What each client asks for, again and again.
pub struct Plan {
    pub address: Address,
    pub method: &'static str,
    pub path: String,
    pub body: Vec<u8>,
    pub clients: usize,
    pub habit: Habit,
    /// Is this the answer the application gives?
    pub right: fn(&Answer) -> bool,
}

/// What a client does with its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// One for all. A request on a *reused* one that was closed before one byte of an answer is sent
    /// again, once, as RFC 9112 §9.3.1 lets a browser do with a GET.
    Browser,
    /// One for all, and nothing is ever sent twice.
    KeepAlive,
    /// One for each.
    Close,
}

impl Plan {
    /// Browsers that ask for one page.
    pub fn browsers(
        address: SocketAddr,
        path: &str,
        clients: usize,
        right: fn(&Answer) -> bool,
    ) -> Plan {
        Plan {
            address: Address::Tcp(address),
            method: "GET",
            path: path.to_owned(),
            body: Vec::new(),
            clients,
            habit: Habit::Browser,
            right,
        }
    }

    fn request(&self) -> Vec<u8> {
        let Plan { method, path, body, .. } = self;
        let close = if self.habit == Habit::Close { "Connection: close\r\n" } else { "" };
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{close}{length}\r\n");
        [head.as_bytes(), body].concat()
    }
}

enum Outcome {
    Right,
    Wrong(String),
    Refused,
}

impl Load {
    pub fn start(plan: Plan) -> Load {
        let plan = Arc::new(plan);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (count, done) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for _ in 0..plan.clients {
            clients.spawn(client(
                Arc::clone(&plan),
                Arc::clone(&tally),
                count.clone(),
                stopped.clone(),
            ));
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
    plan: Arc<Plan>,
    tally: Arc<Mutex<Tally>>,
    count: watch::Sender<usize>,
    stopped: watch::Receiver<bool>,
) {
    let request = plan.request();
    let mut kept = None;
    while !*stopped.borrow() {
        let mut retried = 0;
        let outcome = match once(&plan, &request, &mut kept).await {
            Err(_)
                if plan.habit == Habit::Browser
                    && kept
                        .take()
                        .is_some_and(|wire: Kept| wire.reused && wire.wire.nothing_read()) =>
            {
                retried = 1;
                once(&plan, &request, &mut kept).await
            }
            outcome => outcome,
        };
        let outcome = outcome.unwrap_or_else(|error| {
            kept = None;
            Outcome::Wrong(format!("{error:#}"))
        });
        let refused = matches!(outcome, Outcome::Refused);
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
        if refused {
            tokio::time::sleep(Duration::from_millis(2)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

struct Kept {
    wire: Wire,
    reused: bool,
}

async fn once(plan: &Plan, request: &[u8], kept: &mut Option<Kept>) -> Result<Outcome> {
    // Closed while nothing was under way: nothing is lost by that.
    if plan.habit == Habit::KeepAlive && kept.as_mut().is_some_and(|kept| kept.wire.was_closed()) {
        *kept = None;
    }
    if kept.is_none() {
        match Wire::to(&plan.address).await {
            Ok(wire) => *kept = Some(Kept { wire, reused: false }),
            Err(_) => return Ok(Outcome::Refused),
        }
    }
    let connection = kept.as_mut().expect("connected above");
    connection.wire.send(request).await?;
    let answer = connection.wire.answer(plan.method).await?;
    connection.reused = true;
    let closes = |value: &str| value.eq_ignore_ascii_case("close");
    if plan.habit == Habit::Close || answer.field("connection").is_some_and(closes) {
        *kept = None;
    }
    if (plan.right)(&answer) {
        return Ok(Outcome::Right);
    }
    let text: String = answer.text().chars().take(120).collect();
    Ok(Outcome::Wrong(format!("{}: {text:?}", answer.status())))
}
