//! `diff`: the same requests through two topologies. What differs and has no mask is a failure.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use suite::Suite;

use super::test::suite_of;
use super::up::{Input, Stop};
use crate::Topology;
use crate::diff::masks::{self, Mask};
use crate::diff::{compared, report};
use crate::kinds::Places;
use crate::progress::Progress;

#[derive(Args, Debug)]
pub struct Diff {
    /// A topology's file
    #[arg(value_name = "A")]
    pub left: PathBuf,
    /// Another one's
    #[arg(value_name = "B")]
    pub right: PathBuf,
    /// A folder of .hurl files, or one of them; the application's of suites/ when left out
    #[arg(long, value_name = "FOLDER")]
    pub suite: Option<PathBuf>,
    /// Another application in both: a folder with an app.toml
    #[arg(long, value_name = "FOLDER")]
    pub application: Option<PathBuf>,
    /// More of what may differ, and why: a file of `[[mask]]`; the suite's own masks.toml is one
    #[arg(long, value_name = "FILE")]
    pub mask: Vec<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

pub async fn run(options: Diff, places: Places) -> Result<ExitCode> {
    let read = |file: &PathBuf| -> Result<Topology> {
        let topology = Topology::read(file)?;
        match &options.application {
            Some(folder) => topology.serving(folder),
            None => Ok(topology),
        }
    };
    let (left, right) = (read(&options.left)?, read(&options.right)?);
    let folder = suite_of(options.suite.as_deref(), &left)?;
    let suite = Suite::load(std::slice::from_ref(&folder))?;
    let own = Some(folder.join("masks.toml")).filter(|file| file.is_file());
    let mut masks = Vec::new();
    for file in options.mask.iter().chain(&own) {
        masks.extend(masks::read(file)?);
    }
    for topology in [&left, &right] {
        masks.extend(topology.masks.iter().cloned());
        masks.extend(topology.differs.iter().map(Mask::of_difference));
    }
    let mut stop = Stop::listen(Input::Ignored)?;
    let comparison = tokio::select! {
        done = Box::pin(compared(&left, &right, &suite, &masks, &places, Progress::Shown)) => done?,
        () = stop.asked() => return Err(anyhow!("interrupted")),
    };
    print!("{}", report::human(&comparison));
    if let Some(file) = &options.json {
        fs::write(file, format!("{:#}\n", report::json(&comparison)))
            .with_context(|| format!("cannot write \"{}\"", file.display()))?;
    }
    Ok(if comparison.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
