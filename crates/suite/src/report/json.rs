//! JSON: everything but the bodies' bytes.

use serde_json::{Value, json as object};

use crate::outcome::{EntryOutcome, Outcome, Verdict};
use crate::wire::{Broken, Exchange};

pub fn json(outcome: &Outcome) -> Value {
    let files = outcome.files.iter().map(|file| {
        object!({
            "file": file.path.display().to_string(),
            "passed": file.passed(),
            "because": file.because,
            "milliseconds": file.duration.as_millis() as u64,
            "entries": file.entries.iter().map(entry).collect::<Vec<_>>(),
        })
    });
    object!({
        "base": outcome.base.as_str(),
        "passed": outcome.passed(),
        "milliseconds": outcome.duration.as_millis() as u64,
        "counts": {
            "passed": outcome.count(Verdict::Passed),
            "failed": outcome.count(Verdict::Failed),
            "explained": outcome.count(Verdict::Explained),
            "skipped": outcome.count(Verdict::Skipped),
            "not_reached": outcome.count(Verdict::NotReached),
        },
        "files": files.collect::<Vec<_>>(),
    })
}

fn entry(entry: &EntryOutcome) -> Value {
    object!({
        "number": entry.number,
        "line": entry.line,
        "why": entry.why,
        "method": entry.method,
        "url": entry.url,
        "verdict": entry.verdict,
        "attempts": entry.attempts,
        "checks": entry.checks,
        "milliseconds": entry.duration.as_millis() as u64,
        "failures": entry.failures,
        "log": entry.log,
        "exchanges": entry.exchanges.iter().map(whole).collect::<Vec<_>>(),
        "broken": entry.broken.as_deref().map(broken),
    })
}

fn whole(exchange: &Exchange) -> Value {
    object!({
        "request": exchange.request,
        "interim": exchange.interim,
        "head": exchange.head,
        "framing": exchange.framing,
        "body_bytes": exchange.body.len(),
        "trailers": exchange.trailers,
        "sent_whole": exchange.sent_whole,
        "connected": exchange.connected,
        "ending": exchange.ending,
        "peer": exchange.peer,
        "local": exchange.local,
        "microseconds": exchange.duration.as_micros() as u64,
    })
}

fn broken(broken: &Broken) -> Value {
    object!({
        "request": broken.request,
        "interim": broken.interim,
        "head": broken.head,
        "body_bytes": broken.body.len(),
        "cause": broken.cause.to_string(),
        "connected": broken.connected,
        "peer": broken.peer,
        "local": broken.local,
        "microseconds": broken.duration.as_micros() as u64,
    })
}
