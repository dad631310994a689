//! What came of a run: per file, per entry, what was sent, what came back, what did not hold.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use crate::wire::{Broken, Exchange, Request};

#[derive(Debug)]
pub struct Outcome {
    pub base: Url,
    pub files: Vec<FileOutcome>,
    pub duration: Duration,
}

#[derive(Debug)]
pub struct FileOutcome {
    pub path: PathBuf,
    pub entries: Vec<EntryOutcome>,
    pub duration: Duration,
    /// Why its failures were to be expected here.
    pub because: Option<String>,
}

#[derive(Debug)]
pub struct EntryOutcome {
    /// Counted from 1, in the file; the same for each repetition of an entry.
    pub number: usize,
    pub line: usize,
    /// The comment above the entry.
    pub why: Option<String>,
    pub method: String,
    /// As in the file, with its variables unfilled: the same against every base.
    pub url: String,
    pub verdict: Verdict,
    /// How often it was tried.
    pub attempts: u32,
    /// How many expectations were looked at.
    pub checks: usize,
    /// Those of the last attempt, in order; all but the last are redirects that were followed.
    pub exchanges: Vec<Exchange>,
    /// What came after them, if that was no whole answer.
    pub broken: Option<Box<Broken>>,
    pub failures: Vec<Failure>,
    /// What the deployment wrote meanwhile, from whoever knows its logs.
    pub log: Vec<String>,
    pub duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed,
    /// It failed, as its file was expected to.
    Explained,
    /// Its own `skip` says so.
    Skipped,
    /// An entry before it failed.
    NotReached,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub file: PathBuf,
    pub line: usize,
    /// The line of the file.
    pub assert: String,
    pub expected: String,
    pub actual: String,
}

impl Outcome {
    pub fn entries(&self) -> impl Iterator<Item = &EntryOutcome> {
        self.files.iter().flat_map(|file| &file.entries)
    }

    pub fn count(&self, verdict: Verdict) -> usize {
        self.entries().filter(|entry| entry.verdict == verdict).count()
    }

    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.entries().flat_map(|entry| &entry.failures)
    }

    /// Whether everything held that was looked at, and something was.
    pub fn passed(&self) -> bool {
        let held = self.count(Verdict::Passed) + self.count(Verdict::Explained);
        self.count(Verdict::Failed) == 0 && held > 0
    }
}

impl EntryOutcome {
    /// What was sent in the last attempt.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        let whole = self.exchanges.iter().map(|exchange| &exchange.request);
        whole.chain(self.broken.as_ref().map(|broken| &broken.request))
    }
}

impl FileOutcome {
    /// Takes its failures for what this deployment is known to do otherwise. If there are none, that
    /// is one: an explanation that explains nothing hides the next difference.
    pub fn explain(&mut self, because: &str) {
        let mut differs = false;
        for entry in &mut self.entries {
            if entry.verdict == Verdict::Failed {
                entry.verdict = Verdict::Explained;
                differs = true;
            }
        }
        if differs {
            self.because = Some(because.to_owned());
        } else if let Some(last) = self.entries.last_mut() {
            last.verdict = Verdict::Failed;
            last.failures.push(Failure {
                file: self.path.clone(),
                line: last.line,
                assert: format!("differs because {because}"),
                expected: "a difference".to_owned(),
                actual: "it no longer differs: remove it".to_owned(),
            });
        }
    }

    pub fn passed(&self) -> bool {
        self.entries.iter().all(|entry| entry.verdict != Verdict::Failed)
    }
}
