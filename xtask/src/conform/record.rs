//! `tests/conformance.tsv`: of each file of the suite, how many subtests nginx has in it and how many of
//! them the edge passes. A line more or less in it is a fact about a change, and is reviewed with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xtask::workspace;

use super::tap::{Outcome, Verdict};

const HEAD: &str = "file\tplanned\tpassed";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    rows: BTreeMap<String, Counts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    /// What nginx passes: without what the file skips there too.
    planned: u32,
    passed: u32,
}

/// One file of this run.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) file: String,
    pub(super) planned: u32,
    pub(super) passed: u32,
    /// All of it, to the end.
    pub(super) whole: bool,
}

impl Row {
    /// `known` is the count on record: a file that ended early does not tell what it would have skipped.
    pub(super) fn of(file: &str, outcome: &Outcome, known: Option<u32>) -> Row {
        let own = match outcome.verdict {
            Verdict::Skip => 0,
            _ => outcome.planned.saturating_sub(outcome.skipped + outcome.todo),
        };
        let planned = match known {
            Some(known) if outcome.missing > 0 || own < known => known,
            _ if outcome.verdict == Verdict::Skip => outcome.planned.max(1),
            _ => own,
        };
        let whole = outcome.verdict == Verdict::Pass && outcome.passed >= planned;
        Row { file: file.to_owned(), planned, passed: outcome.passed, whole }
    }
}

impl Record {
    pub(super) fn read() -> Result<Record> {
        let path = path();
        if !path.exists() {
            return Ok(Record::default());
        }
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read \"{}\"", path.display()))?;
        Record::parse(&text).with_context(|| format!("in \"{}\"", path.display()))
    }

    fn parse(text: &str) -> Result<Record> {
        let mut rows = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| *line != HEAD) {
            let counts = || {
                let (file, counts) = line.split_once('\t')?;
                let (planned, passed) = counts.split_once('\t')?;
                let counts =
                    Counts { planned: planned.parse().ok()?, passed: passed.parse().ok()? };
                Some((file.to_owned(), counts))
            };
            let (file, counts) =
                counts().with_context(|| format!("line {} is not a row", number + 1))?;
            rows.insert(file, counts);
        }
        Ok(Record { rows })
    }

    pub(super) fn files(&self) -> Vec<String> {
        self.rows.keys().cloned().collect()
    }

    pub(super) fn planned(&self, file: &str) -> Option<u32> {
        self.rows.get(file).map(|row| row.planned)
    }

    pub(super) fn passed(&self, file: &str) -> u32 {
        self.rows.get(file).map_or(0, |row| row.passed)
    }

    /// Whether something that passed once does not pass now.
    pub(super) fn loses(&self, row: &Row) -> bool {
        row.passed < self.passed(&row.file)
    }

    pub(super) fn update(&mut self, rows: &[Row]) {
        for row in rows {
            let counts = Counts { planned: row.planned, passed: row.passed };
            self.rows.insert(row.file.clone(), counts);
        }
    }

    pub(super) fn write(&self) -> Result<()> {
        fs::write(path(), self.text()).context("cannot write \"tests/conformance.tsv\"")
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for (file, Counts { planned, passed }) in &self.rows {
            let _infallible = writeln!(text, "{file}\t{planned}\t{passed}");
        }
        text
    }
}

fn path() -> PathBuf {
    workspace::root().join("tests/conformance.tsv")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(verdict: Verdict, planned: u32, passed: u32, missing: u32, skipped: u32) -> Outcome {
        let (failed, todo, note) = (planned - passed - missing - skipped, 0, String::new());
        Outcome { verdict, planned, passed, failed, missing, skipped, todo, note }
    }

    #[track_caller]
    fn check(outcome: &Outcome, known: Option<u32>, expected: (u32, u32, bool)) {
        let row = Row::of("x.t", outcome, known);
        assert_eq!((row.planned, row.passed, row.whole), expected);
    }

    #[test]
    fn what_a_file_skips_does_not_count_unless_nginx_has_it() {
        check(&outcome(Verdict::Pass, 10, 10, 0, 0), None, (10, 10, true));
        check(&outcome(Verdict::Pass, 10, 8, 0, 2), None, (8, 8, true));
        check(&outcome(Verdict::Pass, 10, 8, 0, 2), Some(10), (10, 8, false));
        check(&outcome(Verdict::Fail, 10, 3, 7, 0), Some(8), (8, 3, false));
        check(&outcome(Verdict::Skip, 10, 0, 0, 0), Some(8), (8, 0, false));
        check(&outcome(Verdict::Skip, 10, 0, 0, 0), None, (10, 0, false));
        check(&outcome(Verdict::Pass, 12, 12, 0, 0), Some(10), (12, 12, true));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = Record::default();
        let row = |file: &str, passed| Row { file: file.into(), planned: 9, passed, whole: false };
        record.update(&[row("b.t", 3), row("a.t", 9)]);
        assert_eq!(record.text(), "file\tplanned\tpassed\na.t\t9\t9\nb.t\t9\t3\n");
        assert_eq!(Record::parse(&record.text()).unwrap(), record);
        assert!(record.loses(&row("a.t", 8)) && !record.loses(&row("b.t", 4)));
        assert!(!record.loses(&row("new.t", 0)));
        assert!(Record::parse("a.t\t1\n").is_err());
    }
}
