//! One fault, one topology: the load runs, the fault comes, the fault goes, the load goes on until users
//! see the right answer again. What they saw, what the hops wrote, and what of it was not expected.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::inject::Undo;
use super::load::{Load, Record, Visitor, not_right};
use super::scenario::{Expected, Scenario};
use super::symptoms;
use crate::kinds::Places;
use crate::progress::Progress;
use crate::{Links, Options, Stack, Topology};

/// How long lines are awaited that a hop may still be about to write, and workers that it may still be
/// about to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests of each client before the fault and after it.
const AROUND: usize = 3;

/// What came of a fault.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub fault: String,
    pub about: String,
    pub topology: String,
    /// The hops' kinds and versions.
    pub hops: Vec<String>,
    pub right: usize,
    /// What else users saw, and how often.
    pub not_right: BTreeMap<String, usize>,
    pub slowest: Duration,
    /// The longest time in which no right answer came.
    pub outage: Duration,
    /// From the end of the fault to the first right answer; `None` when none came.
    pub recovery: Option<Duration>,
    /// The hops that had to be started again.
    pub ended: Vec<String>,
    /// What the hops wrote of it.
    pub lines: Vec<(String, String)>,
    /// What was not as expected.
    pub failures: Vec<String>,
}

impl Outcome {
    /// Requests without the right answer.
    pub fn lost(&self) -> usize {
        self.not_right.values().sum()
    }
}

/// The stacks of one topology, used again as long as they are whole.
#[derive(Debug)]
pub struct Table<'a> {
    topology: &'a Topology,
    places: Places,
    progress: Progress,
    /// Each with what it was made for.
    standing: Vec<(Made, Stack)>,
}

/// What a stack is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    application: Option<PathBuf>,
    links: Links,
    own_application: bool,
    peculiar_to: Option<String>,
}

impl<'a> Table<'a> {
    pub fn of(topology: &'a Topology, places: &Places, progress: Progress) -> Table<'a> {
        Table { topology, places: places.clone(), progress, standing: Vec::new() }
    }

    /// Lets a topology suffer a fault.
    pub async fn suffer(&mut self, scenario: &Scenario) -> Result<Outcome> {
        let made = Made {
            application: scenario.application.clone(),
            links: if scenario.needs_links() { Links::Faulty } else { Links::Direct },
            own_application: scenario.needs_own_application(),
            peculiar_to: (!scenario.hop.is_empty()).then(|| scenario.name.clone()),
        };
        let standing = self.standing.iter().position(|(same, _)| *same == made);
        let mut stack = match standing {
            Some(at) => self.standing.remove(at).1,
            None => self.start(scenario, &made).await?,
        };
        let _step = self.progress.step(&format!("{}: {}", self.topology.name, scenario.name));
        let workers = workers(&stack);
        let outcome = suffer(scenario, &self.topology.name, &mut stack).await?;
        if scenario.hop.is_empty()
            && outcome.ended.is_empty()
            && outcome.recovery.is_some()
            && settled(&stack, &workers).await
        {
            self.standing.push((made, stack));
        }
        Ok(outcome)
    }

    async fn start(&self, scenario: &Scenario, made: &Made) -> Result<Stack> {
        let mut topology = self.topology.clone();
        if let Some(folder) = &made.application {
            topology = topology.serving(folder)?;
        }
        let last = topology.hops.len() - 1;
        for (name, peculiar) in &scenario.hop {
            let is_it = |(at, hop): &(usize, &mut crate::file::Hop)| match name.as_str() {
                "first" => *at == 0,
                "last" => *at == last,
                name => hop.name == name,
            };
            let (_, hop) = topology
                .hops
                .iter_mut()
                .enumerate()
                .find(is_it)
                .with_context(|| format!("there is no hop \"{name}\""))?;
            let needs_root = peculiar.user.is_some() || peculiar.disk.is_some();
            ensure!(
                !needs_root || nix::unistd::geteuid().is_root(),
                "fault \"{}\": only root can give a hop a user or a disk of its own",
                scenario.name
            );
            ensure!(
                peculiar.user.is_none() || hop.kind.changes_user(),
                "fault \"{}\": the workers of {} can not be another user",
                scenario.name,
                hop.kind.name()
            );
            hop.flags.extend(peculiar.flags.iter().cloned());
            hop.replace.extend(peculiar.replace.clone());
            hop.user.clone_from(&peculiar.user);
            hop.disk = peculiar.disk;
        }
        let (places, progress) = (self.places.clone(), self.progress);
        let (links, own_application) = (made.links, made.own_application);
        let options = Options { places, progress, links, own_application, ..Options::default() };
        Stack::start(&topology, &options).await
    }
}

async fn suffer(scenario: &Scenario, topology: &str, stack: &mut Stack) -> Result<Outcome> {
    let mut visitor = Visitor::of(stack, &scenario.load)?;
    visitor.learn().await?;
    let expected = scenario.expected_of(topology);
    let logs = Logs::now(stack);
    let load = Load::start(&visitor)?;
    let around = AROUND * scenario.load.clients;
    load.goes_on_for(around).await?;

    let mut undo = Vec::new();
    for step in &scenario.step {
        undo.extend(step.inject(stack).await?);
    }
    let beside = scenario.beside.iter().map(|plan| Load::start(&Visitor::of(stack, plan)?));
    let beside = beside.collect::<Result<Vec<Load>>>()?;
    tokio::time::sleep(Duration::from_secs_f64(scenario.seconds)).await;
    take_back(undo, stack).await?;
    let ended = stack.revive().await?;
    let over = Instant::now();
    drop(beside);

    let recovery = load.right_after(over).await;
    if recovery.is_some() {
        load.goes_on_for(around).await?;
    }
    let records = load.stop().await;
    let lines = logs.lines_of(stack, expected).await?;
    let mut outcome = Outcome {
        fault: scenario.name.clone(),
        about: scenario.about.clone(),
        topology: topology.to_owned(),
        hops: stack.hops.iter().map(|hop| format!("{} {}", hop.kind.name(), hop.version)).collect(),
        right: records.iter().filter(|record| record.right()).count(),
        not_right: not_right(&records),
        slowest: slowest(&records),
        outage: outage(&records),
        recovery,
        ended,
        lines,
        failures: Vec::new(),
    };
    outcome.failures = symptoms::failures(&outcome, stack, expected)?;
    Ok(outcome)
}

async fn take_back(undo: Vec<Undo>, stack: &Stack) -> Result<()> {
    for undo in undo.into_iter().rev() {
        undo.apply(stack).await?;
    }
    Ok(())
}

fn slowest(records: &[Record]) -> Duration {
    records
        .iter()
        .filter(|record| record.right())
        .map(|record| record.took)
        .max()
        .unwrap_or_default()
}

fn outage(records: &[Record]) -> Duration {
    let mut ends: Vec<Instant> = records
        .iter()
        .filter(|record| record.right())
        .map(|record| record.begun + record.took)
        .collect();
    ends.sort();
    let gaps = ends.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or_default()
}

fn workers(stack: &Stack) -> Vec<usize> {
    stack.hops.iter().map(|hop| hop.workers().len()).collect()
}

/// Whether every hop has as many workers as before, or soon.
async fn settled(stack: &Stack, before: &[usize]) -> bool {
    let settling = async {
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        while workers(stack) != before {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, settling).await.is_ok()
}

/// How long each log was before the fault.
struct Logs(Vec<(String, PathBuf, usize)>);

impl Logs {
    fn now(stack: &Stack) -> Logs {
        let logs = stack
            .hops
            .iter()
            .flat_map(|hop| hop.logs.iter().map(|log| (hop.of.clone(), log.clone())));
        let length = |log: &PathBuf| fs::metadata(log).map_or(0, |about| about.len() as usize);
        Logs(logs.map(|(hop, log)| (hop, log.clone(), length(&log))).collect())
    }

    /// What was written since, whole lines only.
    fn since(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        for (hop, log, length) in &self.0 {
            let bytes = fs::read(log).unwrap_or_default();
            let new = bytes.get(*length..).unwrap_or(&bytes);
            let text = String::from_utf8_lossy(new);
            lines.extend(text.lines().map(|line| (hop.clone(), line.to_owned())));
        }
        lines
    }

    /// The lines that were expected; of a hop of which none was, the first that sound like an error.
    async fn lines_of(
        &self,
        stack: &Stack,
        expected: Option<&Expected>,
    ) -> Result<Vec<(String, String)>> {
        let wanted = symptoms::wanted(stack, expected)?;
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        let deadline = Instant::now() + PATIENCE;
        let lines = loop {
            tick.tick().await;
            let lines = self.since();
            let there = |(hop, pattern): &(String, &regex::Regex)| {
                lines.iter().any(|(of, line)| of == hop && pattern.is_match(line))
            };
            if wanted.iter().all(there) || Instant::now() > deadline {
                break lines;
            }
        };
        let mut told: Vec<(String, String)> = Vec::new();
        for (hop, line) in lines {
            let mut of_hop = wanted.iter().filter(|(of, _)| *of == hop).peekable();
            let (matches, most) = match of_hop.peek() {
                Some(_) => (of_hop.any(|(_, pattern)| pattern.is_match(&line)), 1),
                None => (symptoms::sounds_like_an_error(&line), 3),
            };
            if matches && told.iter().filter(|(of, _)| *of == hop).count() < most {
                told.push((hop, line));
            }
        }
        Ok(told)
    }
}
