//! `faults`: lets topologies suffer faults under load, and tells what users saw of each.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;

use super::up::{Input, Stop};
use crate::Topology;
use crate::faults::page::{page, row};
use crate::faults::{Outcome, Scenario, Table};
use crate::kinds::Places;
use crate::progress::Progress;

#[derive(Args, Debug)]
pub struct Faults {
    /// A topology's file; may be given several times, for several side by side
    #[arg(long, value_name = "FILE", required = true)]
    pub topology: Vec<PathBuf>,
    /// A fault's file, or the name of one in `faults/`; all that are there when left out
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Write the results as a page of Markdown
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

pub async fn run(options: Faults, places: Places) -> Result<ExitCode> {
    let topologies = options.topology.iter().map(|file| Topology::read(file));
    let topologies = topologies.collect::<Result<Vec<Topology>>>()?;
    let first = topologies.first().context("there is no topology to suffer anything")?;
    let scenarios = scenarios(&options.fault, &first.folder)?;
    let mut stop = Stop::listen(Input::Ignored)?;
    let outcomes = tokio::select! {
        outcomes = suffered(&topologies, &scenarios, &places) => outcomes?,
        () = stop.asked() => return Err(anyhow!("interrupted")),
    };
    if let Some(file) = &options.page {
        let about = || format!("cannot write \"{}\"", file.display());
        fs::write(file, page(&outcomes)).with_context(about)?;
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    println!("{} of {} as expected", outcomes.len() - failed, outcomes.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn suffered(
    topologies: &[Topology],
    scenarios: &[Scenario],
    places: &Places,
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for topology in topologies {
        println!("{}: {}", topology.name, topology.about);
        let mut table = Table::of(topology, places, Progress::Shown);
        for scenario in scenarios {
            let outcome = table.suffer(scenario).await;
            let about = || format!("fault \"{}\" on \"{}\"", scenario.name, topology.name);
            let outcome = outcome.with_context(about)?;
            print!("{}", told(&outcome));
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

fn told(outcome: &Outcome) -> String {
    let verdict = if outcome.failures.is_empty() { "ok" } else { "NOT AS EXPECTED" };
    let [_, right, otherwise, slowest, outage, back, ended] = row(outcome);
    let mut told = format!(
        "  {:<24} {verdict}: right {right}; otherwise {otherwise}; slowest {slowest}; outage {outage}; back after {back}; started again {ended}\n",
        outcome.fault
    );
    for failure in &outcome.failures {
        told.extend(["    ", failure, "\n"]);
    }
    for (hop, line) in &outcome.lines {
        told.extend(["    ", hop, " | ", line, "\n"]);
    }
    told
}

/// Those that were asked for, or all; read and checked before anything is started.
fn scenarios(asked: &[String], from: &Path) -> Result<Vec<Scenario>> {
    let folder =
        from.ancestors().map(|folder| folder.join("faults")).find(|folder| folder.is_dir());
    let shipped = || {
        folder
            .as_ref()
            .context("there is no folder \"faults\" above the topology's: name a file with --fault")
    };
    if asked.is_empty() {
        let folder = shipped()?;
        let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        let mut files: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        ensure!(!files.is_empty(), "there is no fault in \"{}\"", folder.display());
        return files.iter().map(|file| Scenario::read(file)).collect();
    }
    let file = |name: &String| -> Result<PathBuf> {
        let path = PathBuf::from(name);
        if path.is_file() { Ok(path) } else { Ok(shipped()?.join(name).with_extension("toml")) }
    };
    asked.iter().map(|name| Scenario::read(&file(name)?)).collect()
}
