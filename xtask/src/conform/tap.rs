//! What a file of the suite said, in the Test Anything Protocol, counted.

use std::collections::HashSet;
use std::fmt;

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Code(i32),
    /// By a signal, or by its time limit.
    Killed(Why),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Signal,
    TooLate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Fail,
    /// The whole file: what it needs is not built in.
    Skip,
    Timeout,
    /// It said nothing that can be counted.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Skip => "skip",
            Verdict::Timeout => "timeout",
            Verdict::Error => "error",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    pub(super) planned: u32,
    pub(super) passed: u32,
    pub(super) failed: u32,
    /// Planned, and never heard of.
    pub(super) missing: u32,
    pub(super) skipped: u32,
    pub(super) todo: u32,
    /// What went wrong, in short.
    pub(super) note: String,
}

/// Counts. `in_source` is how many subtests the file has by its text, where it does not say so itself.
pub(super) fn read(said: &str, ended: Ended, in_source: u32) -> Outcome {
    let (mut planned, mut skips_all, mut note) = (None, None, String::new());
    let (mut passed, mut failed, mut skipped, mut todo) = (0, 0, 0, 0);
    let (mut seen, mut bad) = (HashSet::new(), Vec::new());
    for line in said.lines() {
        if let Some((number, reason)) = plan(line)
            && skips_all.is_none()
        {
            planned = Some(number);
            skips_all = (number == 0).then(|| reason.to_owned());
        } else if let Some(subtest) = Subtest::read(line)
            && seen.insert(subtest.number)
        {
            match subtest {
                Subtest { directive: Some(Directive::Skip), .. } => skipped += 1,
                Subtest { directive: Some(Directive::Todo), .. } => todo += 1,
                Subtest { good: true, .. } => passed += 1,
                Subtest { number, about, .. } => {
                    failed += 1;
                    bad.push(format!("{number}{about}"));
                }
            }
        }
        let is_reason = line.starts_with(NOT_STARTED)
            || line.starts_with("Bail out!")
            || line.starts_with("no ") && line.contains(" binary found");
        if is_reason {
            line.clone_into(&mut note);
        }
    }
    // That the log has no alerts is no merit of a server that never ran.
    if note.starts_with(NOT_STARTED) {
        (passed, failed) = (0, failed + passed);
    }
    let mut missing = planned.unwrap_or(0).saturating_sub(seen.len() as u32);
    let verdict = match (planned, skips_all, ended) {
        (_, Some(reason), _) if seen.is_empty() => {
            (planned, note) = (Some(in_source), reason);
            Verdict::Skip
        }
        (_, _, Ended::Killed(Why::TooLate)) => Verdict::Timeout,
        (None | Some(0), ..) => {
            (planned, missing) = (Some(in_source), in_source);
            Verdict::Error
        }
        _ if failed > 0 || missing > 0 => Verdict::Fail,
        (.., Ended::Code(0)) => Verdict::Pass,
        (.., Ended::Code(code)) => {
            note = format!("exit status {code}");
            Verdict::Fail
        }
        _ => Verdict::Fail,
    };
    if !bad.is_empty() {
        let separator = if note.is_empty() { "" } else { "; " };
        note = format!("{note}{separator}not ok: {}", bad.join(" | "));
    }
    let note = note.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    let planned = planned.unwrap_or(in_source);
    Outcome { verdict, planned, passed, failed, missing, skipped, todo, note }
}

const NOT_STARTED: &str = "Can't start nginx";

/// `1..14`, or `1..0 # SKIP no http_v2 available`.
fn plan(line: &str) -> Option<(u32, &str)> {
    let (number, rest) = digits(line.strip_prefix("1..")?)?;
    let reason = rest.trim_start().strip_prefix('#').map(str::trim_start);
    let reason = reason.filter(|reason| begins_with(reason, "skip"));
    Some((number, reason.and_then(|reason| Some(reason.split_once(' ')?.1)).unwrap_or_default()))
}

/// `ok 3 - name`, `not ok 3 - name # TODO reason`.
struct Subtest<'a> {
    good: bool,
    number: u32,
    directive: Option<Directive>,
    /// With the dash, to stand after the number.
    about: &'a str,
}

enum Directive {
    Skip,
    Todo,
}

impl Subtest<'_> {
    fn read(line: &str) -> Option<Subtest<'_>> {
        let (good, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok ")?),
        };
        let (number, about) = digits(rest)?;
        let mut marks = about.match_indices('#').filter(|(at, _)| !about[..*at].ends_with('\\'));
        let directive = marks.find_map(|(at, _)| {
            let word = about[at + 1..].trim_start();
            if begins_with(word, "skip") {
                return Some(Directive::Skip);
            }
            begins_with(word, "todo").then_some(Directive::Todo)
        });
        Some(Subtest { good, number, directive, about })
    }
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn begins_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Ended = Ended::Code(0);

    #[track_caller]
    fn check(said: &str, ended: Ended, verdict: Verdict, counts: [u32; 6], note: &str) {
        let read = read(said, ended, 9);
        let Outcome { planned, passed, failed, missing, skipped, todo, .. } = read;
        assert_eq!(
            (read.verdict, [planned, passed, failed, missing, skipped, todo], &read.note[..]),
            (verdict, counts, note)
        );
    }

    #[test]
    fn what_passes_is_counted_once() {
        check("1..2\nok 1 - a\nok 1 - a\nok 2\n", GOOD, Verdict::Pass, [2, 2, 0, 0, 0, 0], "");
        let said = "ok 1 - a # skip no\nnot ok 2 - b # TODO later\nok 3 - \\# todo\n1..3\n";
        check(said, GOOD, Verdict::Pass, [3, 1, 0, 0, 1, 1], "");
        check("1..1\nok 1\n", Ended::Code(2), Verdict::Fail, [1, 1, 0, 0, 0, 0], "exit status 2");
    }

    #[test]
    fn what_fails_is_named() {
        let said = "1..3\nok 1\nnot ok 2 - b\n# b\n";
        check(said, Ended::Code(1), Verdict::Fail, [3, 1, 1, 1, 0, 0], "not ok: 2 - b");
        let late = Ended::Killed(Why::TooLate);
        check("1..3\nok 1\n", late, Verdict::Timeout, [3, 1, 0, 2, 0, 0], "");
        check("oops\n", Ended::Code(255), Verdict::Error, [9, 0, 0, 9, 0, 0], "");
        check("", Ended::Killed(Why::Signal), Verdict::Error, [9, 0, 0, 9, 0, 0], "");
    }

    #[test]
    fn a_server_that_never_ran_passes_nothing() {
        let said = "1..4\nCan't start nginx at x\nok 3 - no alerts\nok 4 - no sanitizer errors\n";
        let note = "Can't start nginx at x";
        check(said, Ended::Code(2), Verdict::Fail, [4, 0, 2, 2, 0, 0], note);
    }

    #[test]
    fn a_file_may_skip_itself() {
        let said = "1..0 # SKIP no http_v2 available\n";
        check(said, GOOD, Verdict::Skip, [9, 0, 0, 0, 0, 0], "no http_v2 available");
    }
}
