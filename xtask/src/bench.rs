//! `bench`: this chain beside nginx and gunicorn, on the same machine, the same application and the same
//! nginx.conf. Rounds alternate between the two, so that what else the machine does hits both; medians
//! of rounds are compared, and the ratios are what counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use xtask::application::Application;
use xtask::applications;
use xtask::peers;
use xtask::programs;
use xtask::progress::Progress;
use xtask::python::{Environment, Python};
use xtask::workspace::{self, Profile};

mod edge;
mod overhead;
mod pair;

use pair::{Pair, Programs};

#[derive(Args)]
pub(crate) struct Options {
    /// A part instead of the chain: the edge beside nginx; or what the gateway and the app-host cost over
    /// the application, beside gunicorn, granian and uWSGI
    #[arg(value_enum)]
    what: Option<What>,
    /// How long each measurement runs
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Of the edge: its threads, and nginx's processes
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Of the edge: connections that are kept and say nothing
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Of the edge: another program instead of the release build
    #[arg(long, value_name = "PROGRAM")]
    edge: Option<PathBuf>,
    /// Of the overhead: another program instead of the release build
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    Edge,
    Overhead,
}

/// What is asked of an application.
struct Subject {
    name: &'static str,
    application: Application,
    data: PathBuf,
    environment: Environment,
}

const CONNECTIONS: [u32; 2] = [32, 1];

/// One run of wrk, and what the processes used meanwhile.
#[derive(Clone, Debug, Serialize)]
struct Sample {
    subject: &'static str,
    pair: &'static str,
    connections: u32,
    requests_per_second: f64,
    /// CPU of the pair's processes for each request.
    microseconds: f64,
    errors: u64,
}

/// What was seen once, at the start or at the end of a pair.
#[derive(Clone, Debug, Serialize)]
struct Footprint {
    subject: &'static str,
    pair: &'static str,
    start_up_milliseconds: f64,
    /// Each process with its share of the memory (PSS), after the load.
    memory_kib: Vec<(String, u64)>,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    match options.what {
        Some(What::Edge) => return edge::run(&options).await,
        Some(What::Overhead) => return overhead::run(&options).await,
        None => {}
    }
    name_what_is_missing(&[("nginx", "nginx-light"), ("wrk", "wrk")])?;
    let built = programs::build(Profile::Release, Progress::Shown)?;
    let subjects = subjects()?;
    let mut samples = Vec::new();
    let mut footprints = Vec::new();
    for subject in &subjects {
        let real = Programs::Real {
            nginx: find("nginx").context("seen above")?,
            gunicorn: peers::gunicorn(Progress::Shown)?,
        };
        let ours = Programs::Ours { folder: built.clone() };
        let mut pairs =
            [Pair::start(subject, ours, 1).await?, Pair::start(subject, real, 2).await?];
        for pair in &pairs {
            pair.check(subject.application.first_page()).await?;
        }
        for round in 1..=options.rounds {
            for connections in CONNECTIONS {
                for pair in &pairs {
                    let sample = measure(subject, pair, connections, options.seconds)?;
                    println!(
                        "{} round {round}: {} at {connections}: {:.0} requests/s, {:.0} µs CPU each, {} errors",
                        subject.name,
                        sample.pair,
                        sample.requests_per_second,
                        sample.microseconds,
                        sample.errors
                    );
                    samples.push(sample);
                }
            }
        }
        for pair in &mut pairs {
            footprints.push(Footprint {
                subject: subject.name,
                pair: pair.name(),
                start_up_milliseconds: pair.start_up.as_secs_f64() * 1000.0,
                memory_kib: pair.memory(),
            });
            pair.stop().await;
        }
    }
    println!("{}", ratios(&samples));
    println!("{}", memory(&footprints));
    keep(&serde_json::json!({ "samples": samples, "footprints": footprints }))?;
    let failed = samples.iter().any(|sample| sample.errors > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A WSGI application that does nothing, and Pybo's list.
fn subjects() -> Result<Vec<Subject>> {
    let python = Python::find()?;
    let mut subjects = Vec::new();
    for (name, application) in [
        ("hello", Application::in_folder("hello", &workspace::root().join("xtask/bench/hello"))?),
        ("pybo", applications::named("pybo")?),
    ] {
        let environment = application.environment(&python, Progress::Shown)?;
        let data = workspace::state().join("bench").join(format!("data-{name}"));
        application.prepare(&environment, &data, Progress::Shown)?;
        subjects.push(Subject { name, application, data, environment });
    }
    Ok(subjects)
}

fn name_what_is_missing(wanted: &[(&str, &str)]) -> Result<()> {
    let missing = wanted.iter().filter(|(program, _)| find(program).is_none());
    let packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    bail!("the bench compares with the real ones: apt-get install {}", packages.join(" "))
}

fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
    folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

fn measure(subject: &Subject, pair: &Pair, connections: u32, seconds: u64) -> Result<Sample> {
    let before = pair.cpu_seconds();
    let load = wrk(&pair.url(subject.application.first_page()), connections, seconds)?;
    let cpu = pair.cpu_seconds() - before;
    Ok(Sample {
        subject: subject.name,
        pair: pair.name(),
        connections,
        requests_per_second: load.requests_per_second,
        microseconds: cpu * 1e6 / load.requests.max(1.0),
        errors: load.errors,
    })
}

/// What a load generator counted.
struct Load {
    requests: f64,
    requests_per_second: f64,
    errors: u64,
}

fn wrk(url: &str, connections: u32, seconds: u64) -> Result<Load> {
    let mut wrk = Command::new(find("wrk").context("seen above")?);
    wrk.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "10s"]);
    let output = wrk.arg(url).output().context("cannot start wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || format!("wrk said:\n{text}");
    let rate =
        text.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    // `Socket errors: connect 0, read 0, write 0, timeout 0` and `Non-2xx or 3xx responses: 7`.
    let troubles =
        text.lines().filter(|line| line.contains("Socket errors") || line.contains("Non-2xx"));
    let numbers = troubles.flat_map(|line| line.split([' ', ',']).skip(3));
    Ok(Load {
        requests: number_before(&text, " requests in").with_context(said)?,
        requests_per_second: rate.with_context(said)?,
        errors: numbers.filter_map(|word| word.parse::<u64>().ok()).sum(),
    })
}

fn number_before(text: &str, word: &str) -> Option<f64> {
    text.split_once(word)?.0.split_whitespace().last()?.parse().ok()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

fn ratios(samples: &[Sample]) -> Table {
    let mut grouped: BTreeMap<(&str, u32), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        grouped.entry((sample.subject, sample.connections)).or_default().push(sample);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "application",
        "connections",
        "ours, requests/s",
        "nginx + gunicorn",
        "ratio",
        "ours, µs CPU",
        "theirs",
        "ratio",
    ]);
    for ((subject, connections), group) in grouped {
        let of = |pair: &str, value: fn(&Sample) -> f64| {
            median(
                group
                    .iter()
                    .filter(|sample| sample.pair == pair)
                    .map(|sample| value(sample))
                    .collect(),
            )
        };
        let rates =
            [of(pair::OURS, |s| s.requests_per_second), of(pair::REAL, |s| s.requests_per_second)];
        let costs = [of(pair::OURS, |s| s.microseconds), of(pair::REAL, |s| s.microseconds)];
        table.add_row([
            subject.to_owned(),
            connections.to_string(),
            format!("{:.0}", rates[0]),
            format!("{:.0}", rates[1]),
            format!("{:.2} x", rates[0] / rates[1]),
            format!("{:.0}", costs[0]),
            format!("{:.0}", costs[1]),
            format!("{:.2} x", costs[0] / costs[1]),
        ]);
    }
    table
}

fn memory(footprints: &[Footprint]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "application",
        "chain",
        "start-up",
        "memory of each process (PSS)",
        "together",
    ]);
    for footprint in footprints {
        let each: Vec<String> = footprint
            .memory_kib
            .iter()
            .map(|(name, kib)| format!("{name} {:.1} MiB", *kib as f64 / 1024.0))
            .collect();
        let together: u64 = footprint.memory_kib.iter().map(|(_, kib)| kib).sum();
        table.add_row([
            footprint.subject.to_owned(),
            footprint.pair.to_owned(),
            format!("{:.0} ms", footprint.start_up_milliseconds),
            each.join("\n"),
            format!("{:.1} MiB", together as f64 / 1024.0),
        ]);
    }
    table
}

/// What was measured, for later.
fn keep(results: &serde_json::Value) -> Result<()> {
    let folder = workspace::state().join("bench");
    fs::create_dir_all(&folder)?;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let file = folder.join(format!("{seconds}.json"));
    fs::write(&file, serde_json::to_string_pretty(results)?)?;
    println!("kept in {}", file.display());
    Ok(())
}
