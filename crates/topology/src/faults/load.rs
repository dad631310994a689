//! A constant, bounded load that accounts for every request, as a person in front of a browser would: an
//! answer is the right one, or it is another, cut short, or missing. A browser asks once more when the
//! connection that it had kept turns out to be closed; nothing else is ever sent twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use suite::wire::{Broken, Cause, Client, Exchange, Field, Limits, Request, Version, trust};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::scenario::Plan;
use crate::Stack;

/// What can be seen beside a status.
pub(super) const SEEN: [&str; 6] = ["wrong", "cut", "closed", "refused", "timeout", "malformed"];

/// And what is to be seen.
const RIGHT: &str = "right";

/// Between two requests of one client: it reads.
const PAUSE: Duration = Duration::from_millis(10);

const LARGEST_BODY: usize = 64 << 20;

/// Whatever is awaited of the load comes within this, or never.
const PATIENCE: Duration = Duration::from_secs(45);

/// What became of one request.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) begun: Instant,
    pub(super) took: Duration,
    /// `RIGHT`, one of `SEEN`, or a status that is not the right answer's.
    pub(super) seen: String,
}

impl Record {
    pub(super) fn right(&self) -> bool {
        self.seen == RIGHT
    }
}

/// A load that is running.
pub(super) struct Load {
    clients: JoinSet<()>,
    records: Arc<Records>,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Records {
    all: Mutex<Vec<Record>>,
    added: Notify,
}

/// Requests of one plan, ready to be sent.
#[derive(Clone)]
pub(super) struct Visitor {
    request: Request,
    limits: Limits,
    clients: usize,
    /// For https.
    authority: Option<std::path::PathBuf>,
    right: Right,
}

/// The answer from before the fault.
#[derive(Clone, Debug, Default)]
struct Right {
    status: u16,
    /// When it is the same each time.
    body: Option<Bytes>,
}

impl Visitor {
    pub(super) fn of(stack: &Stack, plan: &Plan) -> Result<Visitor> {
        let path = plan.path.as_deref().unwrap_or_else(|| stack.subject.application.first_page());
        let url = stack.url.join(path).with_context(|| format!("path = \"{path}\""))?;
        let authority = url.authority().to_owned();
        let mut fields =
            vec![Field::new("Host", authority), Field::new("User-Agent", "causeway-faults")];
        if plan.bytes > 0 {
            fields.push(Field::new("Content-Type", "application/octet-stream"));
            fields.push(Field::new("Content-Length", plan.bytes.to_string()));
        }
        if !plan.keep_alive {
            fields.push(Field::new("Connection", "close"));
        }
        let request = Request {
            method: plan.method.clone(),
            target: url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            url,
            version: Version::Http11,
            fields,
            body: Bytes::from(vec![b'x'; plan.bytes]),
        };
        let time = Duration::from_secs_f64(plan.patience);
        let limits = Limits { time, connect: time, max_body: LARGEST_BODY };
        let authority = stack.authority.clone();
        let clients = plan.clients;
        Ok(Visitor { request, limits, clients, authority, right: Right::default() })
    }

    /// Asks twice what the right answer is.
    pub(super) async fn learn(&mut self) -> Result<()> {
        let mut client = self.client()?;
        let mut ask = async || {
            let answer = client.send(self.request.clone(), self.limits).await;
            let answer = answer.map_err(|broken| anyhow!("{}", broken.cause));
            answer.with_context(|| format!("{} before the fault", self.request.target))
        };
        let (first, second) = (ask().await?, ask().await?);
        let status = first.head.status;
        let target = &self.request.target;
        ensure!(status < 500, "{target} is answered {status} before the fault");
        let body = (first.body == second.body).then_some(second.body);
        self.right = Right { status, body };
        Ok(())
    }

    fn client(&self) -> Result<Client> {
        let tls = self.authority.as_deref().map(trust).transpose()?;
        Ok(Client::new(tls, None))
    }

    async fn go_on(
        self,
        records: Arc<Records>,
        stopped: watch::Receiver<bool>,
        mut client: Client,
    ) {
        while !*stopped.borrow() {
            let begun = Instant::now();
            let answer = client.send(self.request.clone(), self.limits).await;
            let seen = seen(&self.right, answer);
            records.lock().push(Record { begun, took: begun.elapsed(), seen });
            records.added.notify_waiters();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn seen(right: &Right, answer: Result<Exchange, Box<Broken>>) -> String {
    let seen = match answer {
        Ok(answer) if answer.head.status != right.status => return answer.head.status.to_string(),
        Ok(answer) if right.body.as_ref().is_some_and(|body| *body != answer.body) => "wrong",
        Ok(_) => RIGHT,
        Err(broken) => match broken.cause {
            Cause::Timeout { .. } => "timeout",
            Cause::Resolve { .. }
            | Cause::Connect { .. }
            | Cause::Tls { .. }
            | Cause::NoCa { .. } => "refused",
            Cause::HeadCut { .. } | Cause::BodyCut { .. } | Cause::ChunksCut { .. } => "cut",
            Cause::Io(_) if broken.head.is_some() => "cut",
            Cause::NoAnswer | Cause::Io(_) => "closed",
            Cause::Malformed(_) | Cause::TooLarge { .. } | Cause::Surplus { .. } => "malformed",
        },
    };
    seen.to_owned()
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // A list that somebody panicked over is a list all the same.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until(&self, is_so: impl Fn(&[Record]) -> bool) -> bool {
        let waiting = async {
            loop {
                let added = self.added.notified();
                tokio::pin!(added);
                added.as_mut().enable();
                if is_so(&self.lock()) {
                    return;
                }
                added.await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.is_ok()
    }
}

impl Load {
    pub(super) fn start(visitor: &Visitor) -> Result<Load> {
        let records = Arc::new(Records::default());
        let (stop, stopped) = watch::channel(false);
        let mut clients = JoinSet::new();
        for _ in 0..visitor.clients {
            let client = visitor.client()?;
            clients.spawn(visitor.clone().go_on(Arc::clone(&records), stopped.clone(), client));
        }
        Ok(Load { clients, records, stop })
    }

    /// Until so many more requests have ended, however they did.
    pub(super) async fn goes_on_for(&self, requests: usize) -> Result<()> {
        let target = self.records.lock().len() + requests;
        ensure!(self.records.until(|all| all.len() >= target).await, "the load stands still");
        Ok(())
    }

    /// When the first right answer came to a request that was begun after `moment`.
    pub(super) async fn right_after(&self, moment: Instant) -> Option<Duration> {
        let after = |record: &&Record| record.right() && record.begun >= moment;
        let found = |all: &[Record]| {
            all.iter().find(after).map(|record| record.begun + record.took - moment)
        };
        self.records.until(|all| found(all).is_some()).await;
        found(&self.records.lock())
    }

    /// Lets each client finish the request it has begun.
    pub(super) async fn stop(mut self) -> Vec<Record> {
        self.stop.send_replace(true);
        while self.clients.join_next().await.is_some() {}
        self.records.lock().clone()
    }
}

/// How often each was seen; what was right is left out.
pub(super) fn not_right(records: &[Record]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records.iter().filter(|record| !record.right()) {
        *counts.entry(record.seen.clone()).or_default() += 1;
    }
    counts
}
