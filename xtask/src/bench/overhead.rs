//! `bench overhead`: what a request costs over the application itself, in microseconds of CPU: ours,
//! gateway and app-host apart, beside gunicorn, granian and uWSGI. Each of them runs the same application
//! with two workers and is asked by the same 32 connections; CPU is that of all its processes, as the
//! kernel counts it. The application is also called in a process without a server, in every round.

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;
use xtask::programs;
use xtask::progress::Progress;
use xtask::workspace::{self, Profile};

use super::{Options, Subject, keep, median, name_what_is_missing, subjects, wrk};

mod contender; // one server: how it is installed and started

use contender::{Contender, Kind};

const CONNECTIONS: u32 = 32;

/// One run of wrk against one server.
#[derive(Clone, Debug, Serialize)]
struct Sample {
    subject: &'static str,
    contender: &'static str,
    requests_per_second: f64,
    /// Of the process that was started.
    front_microseconds: f64,
    /// Of all others.
    workers_microseconds: f64,
    errors: u64,
}

pub(super) async fn run(options: &Options) -> Result<ExitCode> {
    name_what_is_missing(&[("wrk", "wrk")])?;
    let ours = match options.gateway.clone() {
        Some(gateway) => gateway,
        None => {
            let packages = ["causeway-gateway", "causeway-app-host"];
            let built = programs::build_some(&packages, Profile::Release, Progress::Shown)?;
            built.join("causeway-gateway")
        }
    };
    let mut samples = Vec::new();
    let mut without: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for subject in &subjects()? {
        let mut contenders = Vec::new();
        for kind in Kind::ALL {
            match kind.program(&ours) {
                Ok(program) => contenders.push(Contender::start(kind, &program, subject).await?),
                Err(error) => println!("{} is left out: {error:#}", kind.name()),
            }
        }
        for round in 1..=options.rounds {
            without.entry(subject.name).or_default().push(in_process(subject)?);
            for contender in &contenders {
                let sample = measure(subject, contender, options.seconds)?;
                println!(
                    "{} round {round}: {} {:.0} requests/s, {:.1} + {:.1} µs CPU each, {} errors",
                    subject.name,
                    sample.contender,
                    sample.requests_per_second,
                    sample.front_microseconds,
                    sample.workers_microseconds,
                    sample.errors
                );
                samples.push(sample);
            }
        }
        for contender in &mut contenders {
            contender.stop().await;
        }
    }
    for (subject, calls) in &without {
        let without = median(calls.clone());
        println!("{subject}: {without:.2} µs CPU in a process without a server");
        println!("{}", table(subject, without, &samples));
    }
    keep(&serde_json::json!({ "overhead": { "samples": samples, "in_process": without } }))?;
    let failed = samples.iter().any(|sample| sample.errors > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(subject: &Subject, contender: &Contender, seconds: u64) -> Result<Sample> {
    let before = contender.cpu_seconds();
    let url = contender.url(subject.application.first_page());
    let load = wrk(&url, CONNECTIONS, seconds)?;
    let after = contender.cpu_seconds();
    ensure!(load.requests > 0.0, "{} answers nothing", contender.kind.name());
    let each = |at: usize| (after[at] - before[at]) * 1e6 / load.requests;
    Ok(Sample {
        subject: subject.name,
        contender: contender.kind.name(),
        requests_per_second: load.requests_per_second,
        front_microseconds: each(0),
        workers_microseconds: each(1),
        errors: load.errors,
    })
}

/// CPU microseconds of one call.
fn in_process(subject: &Subject) -> Result<f64> {
    let mut command = Command::new(subject.environment.python());
    command.arg(workspace::root().join("xtask/bench/in_process.py"));
    command.args([subject.application.callable(), subject.application.first_page(), "1"]);
    command.current_dir(&subject.application.folder).env("PYTHONPATH", &subject.application.folder);
    command.envs(subject.application.variables(&subject.data));
    let output = command.output().context("cannot start the interpreter")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    text.trim().parse().with_context(|| format!("in a process of its own: {text}{said}"))
}

fn table(subject: &str, without: f64, samples: &[Sample]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "server",
        "requests/s",
        "µs CPU each",
        "over the application",
        "its first process: ours the gateway",
        "its others, over the application",
    ]);
    for kind in Kind::ALL {
        let its = |sample: &&Sample| sample.subject == subject && sample.contender == kind.name();
        let of =
            |value: fn(&Sample) -> f64| median(samples.iter().filter(its).map(value).collect());
        let front = of(|sample| sample.front_microseconds);
        let workers = of(|sample| sample.workers_microseconds);
        let all = of(|sample| sample.front_microseconds + sample.workers_microseconds);
        if all.is_nan() {
            continue;
        }
        table.add_row([
            kind.name().to_owned(),
            format!("{:.0}", of(|sample| sample.requests_per_second)),
            format!("{all:.1}"),
            format!("{:.1}", all - without),
            format!("{front:.1}"),
            format!("{:.1}", workers - without),
        ]);
    }
    table
}
