//! `test`: starts a topology, runs a suite against it and stops it. What fails is shown with what every
//! hop wrote of that request; what the topology says is different here is listed with its reason.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use suite::{Outcome, Suite, Target, Verdict, report};

use super::up::{Input, Stop};
use crate::file::Difference;
use crate::kinds::Places;
use crate::progress::Progress;
use crate::trail::{Trail, Trails};
use crate::words;
use crate::{Options, Stack, Topology};

#[derive(Args, Debug)]
pub struct Test {
    /// The topology's file
    #[arg(long, value_name = "FILE")]
    pub topology: PathBuf,
    /// A folder of .hurl files, or one of them; the application's of suites/ when left out
    #[arg(long, value_name = "FOLDER")]
    pub suite: Option<PathBuf>,
    /// Another application in it: a folder with an app.toml
    #[arg(long, value_name = "FOLDER")]
    pub application: Option<PathBuf>,
    /// Write the results as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write them as TAP
    #[arg(long, value_name = "FILE")]
    pub tap: Option<PathBuf>,
    /// Write them as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

pub async fn run(options: Test, places: Places) -> Result<ExitCode> {
    let mut topology = Topology::read(&options.topology)?;
    if let Some(folder) = &options.application {
        topology = topology.serving(folder)?;
    }
    let suite = suite_of(options.suite.as_deref(), &topology)?;
    let suite = Suite::load(&[suite])?;
    let how = Options { places, progress: Progress::Shown, ..Options::default() };
    let mut stop = Stop::listen(Input::Ignored)?;
    let tested = tokio::select! {
        tested = tested(&topology, &how, &suite) => tested?,
        () = stop.asked() => return Err(anyhow!("interrupted")),
    };
    let outcome = &tested.outcome;
    print!("{}", report::human(outcome));
    for hop in &tested.ended {
        println!("hop \"{hop}\" ended while it was tested");
    }
    let write = |file: &Option<PathBuf>, text: &dyn Fn() -> String| -> Result<()> {
        let Some(file) = file else { return Ok(()) };
        fs::write(file, text()).with_context(|| format!("cannot write \"{}\"", file.display()))
    };
    write(&options.junit, &|| report::junit(outcome))?;
    write(&options.tap, &|| report::tap(outcome))?;
    write(&options.json, &|| format!("{:#}\n", report::json(outcome)))?;
    Ok(if tested.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came of it.
#[derive(Debug)]
pub struct Tested {
    pub outcome: Outcome,
    /// The hops that ended while they were tested.
    pub ended: Vec<String>,
    /// Of every component.
    pub versions: Vec<String>,
}

impl Tested {
    pub fn passed(&self) -> bool {
        self.outcome.passed() && self.ended.is_empty()
    }
}

/// Starts it, runs the suite, stops it. The failures that the topology tells of are explained, the others
/// have the lines of the logs with them.
pub async fn tested(topology: &Topology, how: &Options, suite: &Suite) -> Result<Tested> {
    let mut stack = Stack::start(topology, how).await?;
    let trail = Trail::through(&stack.hops);
    let target = target(&stack, &trail);
    let mut outcome = suite.run(&target).await?;
    trail.end();
    let ended = stack.hops.iter().filter(|hop| !hop.process.alive());
    let ended = ended.map(|hop| hop.name.clone()).collect();
    let mut versions = stack.subject.environment.versions()?;
    versions.extend(stack.hops.iter().map(|hop| format!("{} {}", hop.kind.name(), hop.version)));
    stack.stop().await?;
    let trails = trail.read(&outcome);
    for file in &mut outcome.files {
        let mut known = topology.differs.iter().filter(|differs| concerns(differs, &file.path));
        if let Some(differs) = known.next() {
            file.explain(&differs.because);
        }
        for entry in &mut file.entries {
            if entry.verdict == Verdict::Failed {
                entry.log = log(&trails, entry);
            }
        }
    }
    Ok(Tested { outcome, ended, versions })
}

/// The first hop, trusted, each request with a mark of its own.
pub(crate) fn target(stack: &Stack, trail: &Trail) -> Target {
    let mut target = Target::new(stack.url.clone());
    target.ca.clone_from(&stack.authority);
    let trail = trail.clone();
    target.with_field(move |turn| trail.field(turn))
}

fn log(trails: &Trails, entry: &suite::EntryOutcome) -> Vec<String> {
    entry.requests().flat_map(|request| trails.of(request)).map(ToString::to_string).collect()
}

/// Whether this file of the suite is meant.
fn concerns(differs: &Difference, file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    words::matches(&differs.suite, &name)
}

/// What was named; else the application's own, in the nearest folder above the topology's file that has
/// `suites/`.
pub(crate) fn suite_of(named: Option<&Path>, topology: &Topology) -> Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let name = topology.application.folder.file_name().unwrap_or_default();
    let suites = topology.folder.ancestors().map(|folder| folder.join("suites"));
    let found = suites.map(|suites| suites.join(name)).find(|suite| suite.is_dir());
    let found = found.with_context(|| {
        format!(
            "there is no folder \"suites/{}\" beside or above \"{}\": name a suite with --suite",
            name.display(),
            topology.folder.display()
        )
    })?;
    // Shorter to read.
    let here = std::env::current_dir().unwrap_or_default();
    Ok(found.strip_prefix(&here).map(Path::to_owned).unwrap_or(found))
}
