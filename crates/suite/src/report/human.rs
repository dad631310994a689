//! For people: a line for each file, and below it what did not hold, with the place in the file.

use std::fmt::Write as _;

use super::title;
use crate::outcome::{EntryOutcome, Outcome, Verdict};

pub fn human(outcome: &Outcome) -> String {
    let mut text = String::new();
    for file in &outcome.files {
        let word = match (file.passed(), &file.because) {
            (false, _) => "FAILED ",
            (true, None) => "ok     ",
            (true, Some(_)) => "differs",
        };
        let milliseconds = file.duration.as_millis();
        let requests = file.entries.iter().filter(|entry| entry.attempts > 0).count();
        line(
            &mut text,
            &format!("{word} {} ({requests} requests, {milliseconds} ms)", file.path.display()),
        );
        if let Some(because) = &file.because {
            line(&mut text, &format!("  because {because}"));
        }
        for entry in &file.entries {
            match entry.verdict {
                Verdict::Passed | Verdict::Explained => {}
                Verdict::Skipped => line(&mut text, &format!("  skipped {}", title(entry))),
                Verdict::NotReached => line(&mut text, &format!("  not reached {}", title(entry))),
                Verdict::Failed => failed(&mut text, entry),
            }
        }
    }
    let counts = [
        (Verdict::Passed, "passed"),
        (Verdict::Failed, "failed"),
        (Verdict::Explained, "explained"),
        (Verdict::Skipped, "skipped"),
        (Verdict::NotReached, "not reached"),
    ];
    let counts: Vec<_> = counts
        .into_iter()
        .map(|(verdict, word)| format!("{} {word}", outcome.count(verdict)))
        .collect();
    let (files, base) = (outcome.files.len(), &outcome.base);
    line(
        &mut text,
        &format!(
            "{} in {files} files, {:.1?}, against {base}",
            counts.join(", "),
            outcome.duration
        ),
    );
    text
}

fn failed(text: &mut String, entry: &EntryOutcome) {
    line(text, &format!("  {}", title(entry)));
    if let Some(exchange) = entry.exchanges.last() {
        let head = &exchange.head;
        let request = &exchange.request;
        line(
            text,
            &format!(
                "    {} {} was answered {} {}, {} bytes",
                request.method,
                request.url,
                head.status,
                head.reason,
                exchange.body.len()
            ),
        );
    }
    for failure in &entry.failures {
        line(text, &format!("    {}:{}: {}", failure.file.display(), failure.line, failure.assert));
        line(text, &format!("      expected: {}", failure.expected));
        line(text, &format!("      actual:   {}", failure.actual));
    }
    for said in &entry.log {
        line(text, &format!("    | {said}"));
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string can be written to");
}
