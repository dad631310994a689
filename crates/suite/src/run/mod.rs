//! A file, run: its entries in order, with the cookies, variables and connections they share.

mod options; // what an entry says of how it is run
mod request; // the request that an entry describes
mod multipart;
mod expectations; // what an entry says of its answer

use std::mem;
use std::time::Duration;

use hurl_core::ast::Entry;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::check::{Answered, Reason, Value, Variables};
use crate::outcome::{EntryOutcome, Failure, FileOutcome, Verdict};
use crate::source::Source;
use crate::suite::File;
use crate::target::{Target, Turn};
use crate::wire::{Broken, Client, Exchange, Field, Limits};
use options::Options;
use request::Prepared;

pub(crate) use request::escaped;

pub(crate) async fn run_file(
    file: &File,
    target: &Target,
    tls: Option<TlsConnector>,
) -> FileOutcome {
    let start = Instant::now();
    let elsewhere =
        target.address.map(|address| (target.base.origin().ascii_serialization(), address));
    let given = target.variables.iter();
    let mut variables: Variables =
        given.map(|(name, text)| (name.clone(), Value::String(text.clone()))).collect();
    variables.insert("base".to_owned(), Value::String(target.base_text()));
    let client = Client::new(tls, elsewhere);
    let mut run = Run { source: &file.source, target, client, variables, sent: 0 };
    let mut entries: Vec<EntryOutcome> = Vec::new();
    let mut stopped = false;
    for (place, entry) in file.hurl.entries.iter().enumerate() {
        if stopped {
            entries.push(blank(place + 1, entry, &file.source));
            continue;
        }
        entries.extend(run.repeated(place + 1, entry).await);
        let failed = entries.last().is_some_and(|entry| entry.verdict == Verdict::Failed);
        stopped = failed && !target.continue_on_error;
    }
    FileOutcome {
        path: file.source.path.clone(),
        entries,
        duration: start.elapsed(),
        because: None,
    }
}

/// An entry that was not reached.
fn blank(number: usize, entry: &Entry, source: &Source) -> EntryOutcome {
    let line = entry.request.url.source_info.start.line;
    EntryOutcome {
        number,
        line,
        why: source.comment_above(line),
        method: entry.request.method.to_string(),
        url: entry.request.url.to_string(),
        verdict: Verdict::NotReached,
        attempts: 0,
        checks: 0,
        exchanges: Vec::new(),
        broken: None,
        failures: Vec::new(),
        log: Vec::new(),
        duration: Duration::ZERO,
    }
}

struct Run<'a> {
    source: &'a Source,
    target: &'a Target,
    client: Client,
    variables: Variables,
    /// Requests so far.
    sent: usize,
}

/// What one attempt at an entry gave.
#[derive(Default)]
struct Attempt {
    exchanges: Vec<Exchange>,
    broken: Option<Box<Broken>>,
    failures: Vec<Failure>,
    checks: usize,
}

impl Run<'_> {
    /// An entry as often as it wants to be run; it ends with the first that fails.
    async fn repeated(&mut self, number: usize, entry: &Entry) -> Vec<EntryOutcome> {
        let mut outcomes = Vec::new();
        loop {
            let mut outcome = blank(number, entry, self.source);
            let mut times = 1;
            match Options::of(&entry.request, &mut self.variables) {
                Err((line, reason)) => {
                    outcome.verdict = Verdict::Failed;
                    outcome.failures.push(self.failure(line, "a value", reason));
                }
                Ok(options) if options.skip || options.repeat == 0 => {
                    outcome.verdict = Verdict::Skipped;
                }
                Ok(options) => {
                    times = options.repeat;
                    self.retried(entry, &options, &mut outcome).await;
                }
            }
            let passed = outcome.verdict == Verdict::Passed;
            outcomes.push(outcome);
            if !passed || outcomes.len() >= times {
                return outcomes;
            }
        }
    }

    async fn retried(&mut self, entry: &Entry, options: &Options, outcome: &mut EntryOutcome) {
        let start = Instant::now();
        if !options.delay.is_zero() {
            sleep(options.delay).await;
        }
        loop {
            let attempt = self.attempt(entry, options).await;
            outcome.attempts += 1;
            outcome.exchanges = attempt.exchanges;
            outcome.broken = attempt.broken;
            outcome.failures = attempt.failures;
            outcome.checks = attempt.checks;
            if outcome.failures.is_empty() || outcome.attempts > options.retry {
                break;
            }
            sleep(options.retry_interval).await;
        }
        let failed = !outcome.failures.is_empty();
        outcome.verdict = if failed { Verdict::Failed } else { Verdict::Passed };
        outcome.duration = start.elapsed();
    }

    async fn attempt(&mut self, entry: &Entry, options: &Options) -> Attempt {
        let mut attempt = Attempt::default();
        let line = entry.request.url.source_info.start.line;
        let prepared =
            Prepared::new(&entry.request, options, &self.variables, self.source.folder());
        let mut prepared = match prepared {
            Ok(prepared) => prepared,
            Err((line, reason)) => {
                attempt.failures.push(self.failure(line, "a request", reason));
                return attempt;
            }
        };
        let limits = Limits {
            time: options.max_time.unwrap_or(self.target.time),
            connect: options.connect_timeout.unwrap_or(self.target.time),
            max_body: self.target.max_body,
        };
        loop {
            self.sent += 1;
            let turn = Turn { file: &self.source.path, line, number: self.sent };
            let field = self.target.field(turn).map(|(name, value)| Field::new(name, value));
            let cookies = self.client.cookies(&prepared.url);
            match self.client.send(prepared.request(cookies, field), limits).await {
                Ok(exchange) => attempt.exchanges.push(exchange),
                Err(broken) => {
                    let reason = broken.cause.to_string();
                    attempt.failures.push(self.failure(line, "an answer", reason));
                    attempt.broken = Some(broken);
                    return attempt;
                }
            }
            let last = attempt.exchanges.last().expect("one was just pushed");
            let next = if options.location { next_url(last) } else { None };
            let Some(next) = next else { break };
            let followed = next.and_then(|next| {
                if attempt.exchanges.len() > options.max_redirects {
                    return Err(format!("more than {} redirects", options.max_redirects));
                }
                prepared.follow(last.head.status, &next)
            });
            if let Err(reason) = followed {
                attempt.failures.push(self.failure(line, "a redirect to follow", reason));
                return attempt;
            }
        }
        let exchanges = mem::take(&mut attempt.exchanges);
        if let (Some(response), Some(answered)) =
            (&entry.response, Answered::new(&exchanges, self.target.max_body))
        {
            self.expect(response, &answered, &mut attempt);
        }
        attempt.exchanges = exchanges;
        attempt
    }

    fn failure(&self, line: usize, expected: &str, actual: Reason) -> Failure {
        Failure {
            file: self.source.path.clone(),
            line,
            assert: self.source.line(line).to_owned(),
            expected: expected.to_owned(),
            actual,
        }
    }
}

/// Where an answer sends on to, if it does.
fn next_url(exchange: &Exchange) -> Option<Result<Url, Reason>> {
    if !matches!(exchange.head.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = exchange.head.values("location").next()?.text().into_owned();
    Some(
        exchange
            .request
            .url
            .join(&location)
            .map_err(|error| format!("the location \"{location}\" leads nowhere: {error}")),
    )
}
