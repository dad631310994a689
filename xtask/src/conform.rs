//! `conform SUITE_DIR [LIST]`: nginx's own test suite (github.com/nginx/nginx-tests) on the edge.
//!
//! The suite is not ours and not in this repository; `tests/conformance.tsv` remembers what of it passed,
//! so that a change that loses something is refused wherever the suite is at hand.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tokio::task::JoinSet;
use xtask::programs;
use xtask::progress::Progress;
use xtask::workspace::Profile;

mod needs; // what the suite wants of this machine
mod suite; // the suite's folder, and a list of its files
mod stage; // one file of it, run in a network of its own
mod tap; // what it said, counted
mod record; // what passed before

use record::{Record, Row};
use stage::Stage;
use suite::Suite;
use tap::Outcome;

#[derive(Args)]
pub(crate) struct Options {
    /// A checkout of nginx-tests
    #[arg(env = "NGINX_TESTS")]
    suite: PathBuf,
    /// A file with the names to run, one on a line; without it, those of tests/conformance.tsv
    list: Option<PathBuf>,
    /// Write what passed to tests/conformance.tsv
    #[arg(long)]
    record: bool,
    /// Another program instead of the release build: nginx itself, say
    #[arg(long, value_name = "PROGRAM")]
    edge: Option<PathBuf>,
    /// How many at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Seconds that one file may take
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    needs::check()?;
    let suite = Suite::at(&options.suite)?;
    let mut record = Record::read()?;
    let files = match &options.list {
        Some(list) => suite::names(list)?,
        None => record.files(),
    };
    ensure!(!files.is_empty(), "there is no file to run");
    let edge = match options.edge.clone() {
        Some(edge) => edge,
        None => programs::build_some(&["causeway-edge"], Profile::Release, Progress::Shown)?
            .join("causeway-edge"),
    };
    let stage = Stage::set(&suite, &edge, Duration::from_secs(options.seconds))?;
    println!("{} files; what each said is in {}", files.len(), stage.logs().display());
    let rows = tokio::select! {
        rows = play(&stage, &record, &files, options.jobs.max(1)) => rows?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    sum_up(&rows);
    if options.record {
        record.update(&rows);
        record.write()?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(compare(&record, &rows))
}

/// All of them, several at once; then once more, each alone, those that fell below their record: a
/// machine that does two things may be late for a test that looks at the clock.
async fn play(stage: &Stage, record: &Record, files: &[String], jobs: usize) -> Result<Vec<Row>> {
    let mut rows = play_each(stage, record, files.iter().cloned().collect(), jobs).await?;
    let lost = rows.iter().filter(|row| record.loses(row)).map(|row| row.file.clone());
    let again: VecDeque<String> = lost.collect();
    if !again.is_empty() {
        println!("once more, alone: {}", again.len());
        for row in play_each(stage, record, again, 1).await? {
            let first = rows.iter_mut().find(|first| first.file == row.file);
            let first = first.context("it has run before")?;
            if row.passed > first.passed {
                *first = row;
            }
        }
    }
    Ok(rows)
}

async fn play_each(
    stage: &Stage,
    record: &Record,
    mut waiting: VecDeque<String>,
    jobs: usize,
) -> Result<Vec<Row>> {
    let (mut running, mut rows) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < jobs
            && let Some(file) = waiting.pop_front()
        {
            running.spawn(stage.play(file));
        }
        let Some(played) = running.join_next().await else { break };
        let (file, outcome, took) = played??;
        let row = Row::of(&file, &outcome, record.planned(&file));
        show(&row, &outcome, took);
        rows.push(row);
    }
    rows.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(rows)
}

fn show(row: &Row, outcome: &Outcome, took: Duration) {
    let verdict = outcome.verdict.to_string();
    let Row { file, passed, planned, .. } = row;
    let aside = match (outcome.skipped, outcome.todo) {
        (0, 0) => String::new(),
        (skipped, todo) => format!(" (skipped {skipped}, todo {todo})"),
    };
    let seconds = took.as_secs_f64();
    let note = &outcome.note;
    println!("{file:<44} {verdict:<8} {passed:>3}/{planned:<3}{aside} {seconds:>5.1} s  {note}");
}

fn sum_up(rows: &[Row]) {
    let files = rows.iter().filter(|row| row.whole).count();
    let passed: u32 = rows.iter().map(|row| row.passed).sum();
    let planned: u32 = rows.iter().map(|row| row.planned).sum();
    println!("files {files}/{} subtests {passed}/{planned}", rows.len());
}

fn compare(record: &Record, rows: &[Row]) -> ExitCode {
    let recorded = |row: &Row| record.passed(&row.file);
    for row in rows.iter().filter(|row| row.passed > recorded(row)) {
        println!("better: {} passes {}, recorded {}", row.file, row.passed, recorded(row));
    }
    let lost: Vec<&Row> = rows.iter().filter(|row| record.loses(row)).collect();
    for row in &lost {
        println!("lost: {} passes {}, recorded {}", row.file, row.passed, recorded(row));
    }
    if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
