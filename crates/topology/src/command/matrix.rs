//! `matrix`: the suites of some applications on some topologies, one after the other, and a page that
//! tells what came of it.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use suite::{Suite, Verdict, report};

use super::test::{Tested, suite_of, tested};
use super::up::{Input, Stop};
use crate::kinds::Places;
use crate::matrix_page::page;
use crate::progress::Progress;
use crate::{Options, Topology};

#[derive(Args, Debug)]
pub struct Matrix {
    /// Topologies, and folders of them
    #[arg(value_name = "FILE", default_value = "topologies")]
    pub topologies: Vec<PathBuf>,
    /// An application to try on each, a folder with an app.toml; may be given several times; each
    /// topology's own when left out
    #[arg(long = "application", value_name = "FOLDER")]
    pub applications: Vec<PathBuf>,
    /// A folder of .hurl files, or one of them; each application's of suites/ when left out
    #[arg(long, value_name = "FOLDER")]
    pub suite: Option<PathBuf>,
    /// Write the results as a page in Markdown
    #[arg(long, value_name = "FILE")]
    pub page: Option<PathBuf>,
}

/// One application on one topology.
#[derive(Debug)]
pub struct Cell {
    pub topology: Topology,
    /// Or why there is none.
    pub tested: Result<Tested>,
    pub took: Duration,
}

impl Cell {
    pub fn passed(&self) -> bool {
        self.tested.as_ref().is_ok_and(Tested::passed)
    }
}

pub async fn run(options: Matrix, places: Places) -> Result<ExitCode> {
    let mut wanted = Vec::new();
    // A file that can not be read, or a suite, is said before anything is started.
    for file in files(&options.topologies)? {
        let topology = Topology::read(&file)?;
        if options.applications.is_empty() {
            wanted.push(topology);
            continue;
        }
        for folder in &options.applications {
            wanted.push(topology.clone().serving(folder)?);
        }
    }
    for topology in &wanted {
        Suite::load(&[suite_of(options.suite.as_deref(), topology)?])?;
    }
    let mut stop = Stop::listen(Input::Ignored)?;
    let mut cells = Vec::new();
    for topology in wanted {
        let suite = Suite::load(&[suite_of(options.suite.as_deref(), &topology)?])?;
        let how =
            Options { places: places.clone(), progress: Progress::Quiet, ..Options::default() };
        let began = Instant::now();
        let tested = tokio::select! {
            tested = tested(&topology, &how, &suite) => tested,
            () = stop.asked() => return Err(anyhow!("interrupted")),
        };
        let cell = Cell { topology, tested, took: began.elapsed() };
        show(&cell);
        cells.push(cell);
    }
    if let Some(file) = &options.page {
        fs::write(file, page(&cells))
            .with_context(|| format!("cannot write \"{}\"", file.display()))?;
    }
    let passed = cells.iter().filter(|cell| cell.passed()).count();
    println!("{passed} passed, {} failed", cells.len() - passed);
    Ok(if passed == cells.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line when all is well, and everything when it is not.
fn show(cell: &Cell) {
    let Topology { name, application, .. } = &cell.topology;
    let took = cell.took.as_secs_f64();
    match &cell.tested {
        Ok(tested) => {
            let count = |verdict| tested.outcome.count(verdict);
            let (passed, explained) = (count(Verdict::Passed), count(Verdict::Explained));
            println!(
                "{name:<24} {:<10} {passed} as expected, {explained} explained, {} wrong, {took:.1} s",
                application.name,
                count(Verdict::Failed)
            );
            if !tested.passed() {
                println!("{}", report::human(&tested.outcome));
            }
            for hop in &tested.ended {
                println!("  hop \"{hop}\" ended meanwhile");
            }
        }
        Err(error) => println!("{name:<24} {:<10} {error:#}", application.name),
    }
}

/// What is in a folder, by name; a file as it is.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let is_topology = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "toml");
        let found = entries(path)?.into_iter().filter(is_topology);
        let before = files.len();
        files.extend(found);
        ensure!(files.len() > before, "there is no .toml file in \"{}\"", path.display());
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read =
        fs::read_dir(folder).with_context(|| format!("cannot read \"{}\"", folder.display()))?;
    let mut entries = read.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    entries.sort();
    Ok(entries)
}
