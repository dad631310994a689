//! What was expected of a fault against what came of it: a symptom that does not come is as wrong as one
//! that nobody expected.

use anyhow::Result;
use regex::Regex;

use super::inject::hop;
use super::scenario::Expected;
use super::suffer::Outcome;
use crate::Stack;

/// The lines that are awaited, each with the name of its hop in the topology.
pub(super) fn wanted<'a>(
    stack: &Stack,
    expected: Option<&'a Expected>,
) -> Result<Vec<(String, &'a Regex)>> {
    let logs = expected.into_iter().flat_map(|expected| &expected.log);
    logs.map(|(name, pattern)| Ok((hop(stack, name)?.of.clone(), &pattern.0))).collect()
}

pub(super) fn failures(
    outcome: &Outcome,
    stack: &Stack,
    expected: Option<&Expected>,
) -> Result<Vec<String>> {
    let mut failures = Vec::new();
    if outcome.recovery.is_none() {
        failures.push("no right answer came after the fault".to_owned());
    }
    let Some(expected) = expected else { return Ok(failures) };
    for seen in &expected.sees {
        if !outcome.not_right.contains_key(seen) {
            failures.push(format!("users were expected to see \"{seen}\", and nobody did"));
        }
    }
    for (seen, times) in &outcome.not_right {
        if !expected.sees.contains(seen) && !expected.may_see.contains(seen) {
            failures.push(format!("users saw \"{seen}\" {times} times, which was not expected"));
        }
    }
    let lost = outcome.lost();
    if let Some(most) = expected.at_most.filter(|most| lost > *most) {
        failures
            .push(format!("{lost} requests had no right answer, and {most} at most were expected"));
    }
    let slowest = outcome.slowest.as_millis();
    if slowest < expected.slowest_ms.into() {
        let expected = expected.slowest_ms;
        failures.push(format!(
            "the slowest answer took {slowest} ms, and {expected} ms at least were expected"
        ));
    }
    let ends = expected.ends.iter().map(|name| Ok(hop(stack, name)?.name.clone()));
    let ends = ends.collect::<Result<Vec<String>>>()?;
    for name in ends.iter().filter(|name| !outcome.ended.contains(name)) {
        failures.push(format!("hop \"{name}\" was expected to end, and it did not"));
    }
    for name in outcome.ended.iter().filter(|name| !ends.contains(name)) {
        failures.push(format!("hop \"{name}\" ended, which was not expected"));
    }
    for (name, pattern) in wanted(stack, Some(expected))? {
        if !outcome.lines.iter().any(|(of, line)| *of == name && pattern.is_match(line)) {
            failures.push(format!("hop \"{name}\" wrote no line that matches \"{pattern}\""));
        }
    }
    Ok(failures)
}

/// As the servers of this trade mark them.
pub(super) fn sounds_like_an_error(line: &str) -> bool {
    let marks =
        ["[warn]", "[error]", "[crit]", "[alert]", "[emerg]", "[WARNING]", "[ERROR]", "[CRITICAL]"];
    marks.iter().any(|mark| line.contains(mark))
}
