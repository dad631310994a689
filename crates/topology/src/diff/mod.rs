//! The same requests through two topologies, and whether anybody could tell them apart: not who asks, by
//! the answers, nor the application, by what it sees. Each side has its own copy of the data and its own
//! captures; both are asked at the same time, so that neither is older than the other.

pub mod masks; // what may differ, and why
mod known; // those of any two
mod tally; // which of them were used
mod witness; // what the application saw
mod exchange; // two answers to one request
pub mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use suite::{EntryOutcome, Outcome, Suite};
use url::Position;

use crate::command::test::target;
use crate::kinds::Places;
use crate::progress::Progress;
use crate::trail::{Trail, Trails};
use crate::{Options, Stack, Topology};
use exchange::{Answer, compare};
use known::Schemes;
use masks::{Mask, Where};
use tally::Tally;
use witness::Witness;

/// What came of it.
#[derive(Debug)]
pub struct Comparison {
    pub left: Side,
    pub right: Side,
    /// How many requests were compared.
    pub requests: usize,
    /// Of which the application was asked so many, on the left.
    pub calls: usize,
    pub differences: Vec<Difference>,
    /// The masks that were needed, and how often.
    pub used: Vec<(Mask, usize)>,
    /// Those that somebody gave and that were not.
    pub unused: Vec<Mask>,
}

/// One of the two.
#[derive(Debug)]
pub struct Side {
    pub name: String,
    /// `NAME (KIND VERSION)` of each hop.
    pub hops: Vec<String>,
    /// The hops that ended meanwhile.
    pub ended: Vec<String>,
}

/// One request that was answered differently, or arrived differently.
#[derive(Debug)]
pub struct Difference {
    pub file: PathBuf,
    pub line: usize,
    pub why: Option<String>,
    /// `METHOD TARGET`, on the left.
    pub request: String,
    pub findings: Vec<Finding>,
    /// What every hop wrote of it.
    pub left: Vec<String>,
    pub right: Vec<String>,
}

/// What is different in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Where,
    pub left: Option<String>,
    pub right: Option<String>,
}

impl Comparison {
    pub fn passed(&self) -> bool {
        let all_lived = self.left.ended.is_empty() && self.right.ended.is_empty();
        self.differences.is_empty() && all_lived && self.requests > 0
    }
}

/// Starts both, sends everything through both, stops both and compares.
pub async fn compared(
    left: &Topology,
    right: &Topology,
    suite: &Suite,
    masks: &[Mask],
    places: &Places,
    progress: Progress,
) -> Result<Comparison> {
    ensure!(
        left.application.folder == right.application.folder,
        "\"{}\" serves \"{}\" and \"{}\" serves \"{}\": name one for both with --application",
        left.name,
        left.application.folder.display(),
        right.name,
        right.application.folder.display()
    );
    let mut left = Tried::start(left, places, progress).await?;
    let mut right = Tried::start(right, places, progress).await?;
    let (left_outcome, right_outcome) = tokio::join!(left.run(suite), right.run(suite));
    let (left_outcome, right_outcome) = (left_outcome?, right_outcome?);
    left.finish(&left_outcome).await?;
    right.finish(&right_outcome).await?;

    let schemes = if left.stack.url.scheme() == right.stack.url.scheme() {
        Schemes::Same
    } else {
        Schemes::HttpsOnOneSide
    };
    let mut tally = Tally::new(masks, schemes);
    let mut comparison = Comparison {
        requests: 0,
        calls: 0,
        differences: Vec::new(),
        used: Vec::new(),
        unused: Vec::new(),
        left: left.side(),
        right: right.side(),
    };
    for (ours, theirs) in left_outcome.files.iter().zip(&right_outcome.files) {
        tally.enter(&ours.path);
        for (one, other) in pairs(&ours.entries, &theirs.entries) {
            comparison.add(&ours.path, (&left, one), (&right, other), &mut tally)?;
        }
    }
    (comparison.used, comparison.unused) = tally.told();
    Ok(comparison)
}

impl Comparison {
    fn add(
        &mut self,
        file: &Path,
        (left, one): (&Tried, Option<&EntryOutcome>),
        (right, other): (&Tried, Option<&EntryOutcome>),
        tally: &mut Tally,
    ) -> Result<()> {
        let Some(entry) = one.or(other) else { return Ok(()) };
        let (ours, theirs) = (left.answers(one)?, right.answers(other)?);
        for at in 0..ours.len().max(theirs.len()) {
            self.requests += 1;
            let sent = |answer: &Answer<'_>| {
                format!("{} {}", answer.request().method, answer.request().target)
            };
            let (one, other) = (ours.get(at), theirs.get(at));
            let findings = match (one, other) {
                (Some(one), Some(other)) => {
                    self.calls += one.calls.len();
                    compare(one, other, tally)
                }
                _ if tally.excuses(&Where::Redirects) => Vec::new(),
                _ => {
                    let (left, right) = (one.map(sent), other.map(sent));
                    vec![Finding { place: Where::Redirects, left, right }]
                }
            };
            if findings.is_empty() {
                continue;
            }
            let log = |side: &Tried, answer: Option<&Answer<'_>>| {
                answer.map(|answer| side.log(answer)).unwrap_or_default()
            };
            self.differences.push(Difference {
                file: file.to_owned(),
                line: entry.line,
                why: entry.why.clone(),
                request: one.or(other).map(sent).unwrap_or_default(),
                findings,
                left: log(left, one),
                right: log(right, other),
            });
        }
        Ok(())
    }
}

/// The same entries of both, as often as each was repeated.
fn pairs<'a>(
    left: &'a [EntryOutcome],
    right: &'a [EntryOutcome],
) -> impl Iterator<Item = (Option<&'a EntryOutcome>, Option<&'a EntryOutcome>)> {
    let mut left = left.iter().peekable();
    let mut right = right.iter().peekable();
    std::iter::from_fn(move || {
        let next = |entry: Option<&&EntryOutcome>| entry.map_or(usize::MAX, |entry| entry.number);
        let number = next(left.peek()).min(next(right.peek()));
        let one = left.next_if(|entry| entry.number == number);
        let other = right.next_if(|entry| entry.number == number);
        (one.is_some() || other.is_some()).then_some((one, other))
    })
}

/// One of the two, running and then stopped.
#[derive(Debug)]
struct Tried {
    name: String,
    stack: Stack,
    authority: String,
    trail: Trail,
    trails: Trails,
    ended: Vec<String>,
    /// Its folder is needed until the last process has ended.
    _witness: Witness,
}

impl Tried {
    async fn start(topology: &Topology, places: &Places, progress: Progress) -> Result<Tried> {
        let name = topology.name.clone();
        let mut topology = topology.clone();
        let witness = Witness::make().context("cannot make the witness's folder")?;
        let variables = witness.stand_before(&mut topology)?;
        let how = Options { places: places.clone(), progress, variables, ..Options::default() };
        let stack =
            Stack::start(&topology, &how).await.with_context(|| format!("topology \"{name}\""))?;
        let trail = Trail::through(&stack.hops).and(witness::NAME, witness.file());
        let authority = stack.url[Position::BeforeHost..Position::AfterPort].to_owned();
        Ok(Tried {
            name,
            stack,
            authority,
            trail,
            trails: Trails::default(),
            ended: Vec::new(),
            _witness: witness,
        })
    }

    async fn run(&self, suite: &Suite) -> Result<Outcome> {
        let mut target = target(&self.stack, &self.trail);
        // What does not hold may hold on neither side.
        target.continue_on_error = true;
        let outcome = suite.run(&target).await?;
        self.trail.end();
        Ok(outcome)
    }

    async fn finish(&mut self, outcome: &Outcome) -> Result<()> {
        let ended = self.stack.hops.iter().filter(|hop| !hop.process.alive());
        self.ended = ended.map(|hop| hop.name.clone()).collect();
        self.stack.stop().await.with_context(|| format!("topology \"{}\"", self.name))?;
        self.trails = self.trail.read(outcome);
        Ok(())
    }

    fn answers<'a>(&'a self, entry: Option<&'a EntryOutcome>) -> Result<Vec<Answer<'a>>> {
        let whole = entry.into_iter().flat_map(|entry| entry.exchanges.iter().map(Ok));
        let broken = entry.and_then(|entry| entry.broken.as_deref()).map(Err);
        let answers = whole.chain(broken).map(|outcome| {
            let mut answer = Answer { outcome, calls: Vec::new(), authority: &self.authority };
            answer.calls = witness::calls(&self.trails, answer.request())?;
            Ok(answer)
        });
        answers.collect()
    }

    fn log(&self, answer: &Answer<'_>) -> Vec<String> {
        let lines = self.trails.of(answer.request()).iter();
        lines.filter(|line| line.hop != witness::NAME).map(ToString::to_string).collect()
    }

    fn side(&self) -> Side {
        let hops = self.stack.hops.iter();
        let hops = hops.map(|hop| format!("{} ({} {})", hop.name, hop.kind.name(), hop.version));
        Side { name: self.name.clone(), hops: hops.collect(), ended: self.ended.clone() }
    }
}
