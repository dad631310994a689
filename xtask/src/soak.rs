//! `soak`: minutes of mixed load with faults, and a look at every process meanwhile. The answers are
//! counted by what was asked and what came; it fails when an answer is not accounted for, or when memory
//! or open descriptors of a process that lives through it grow.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use xtask::applications;
use xtask::programs;
use xtask::progress::Progress;
use xtask::python::Python;
use xtask::scratch::Scratch;
use xtask::server::Server;
use xtask::workspace::{self, Profile};

mod faults; // what happens to workers meanwhile
mod samples; // memory and descriptors of each process, and whether they grow
mod visitors; // who asks for what, and what they got

use faults::Faults;
use samples::Samples;
use visitors::{Count, Visitors};

#[derive(Args)]
pub(crate) struct Options {
    /// How long it takes
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Build without optimisation
    #[arg(long)]
    debug: bool,
}

const WORKERS: usize = 3;
const THREADS: usize = 2;

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let profile = if options.debug { Profile::Debug } else { Profile::Release };
    let packages = ["causeway-gateway", "causeway-app-host"];
    let program =
        programs::build_some(&packages, profile, Progress::Shown)?.join("causeway-gateway");
    let scratch = Scratch::new();
    let server = Server::answering(command(&program, &scratch)?, scratch.path(), "/pybo/").await?;
    let length = Duration::from_secs_f64(options.minutes * 60.0);

    let mut samples = Samples::new(length);
    let mut faults = Faults::new(length);
    let mut count = Count::default();
    let step = Progress::Shown.step("soaking");
    // The visitors go home once in between, so that what they leave behind is seen.
    for end in [length / 3, length] {
        let visitors = Visitors::start(server.address);
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        while samples.elapsed() < end {
            tick.tick().await;
            samples.take(&server);
            faults.strike(samples.elapsed(), &server);
            let elapsed = samples.elapsed().as_secs_f64();
            step.detail(&format!("{elapsed:.0} of {:.0} s", length.as_secs_f64()));
        }
        count.add(visitors.stop().await);
        samples.take_quiet(&server).await;
    }
    drop(step);

    println!("{}", samples.table());
    println!("{}", answers(&count));
    println!("{faults}");
    let mut complaints = samples.complaints();
    complaints.extend(count.complaints(faults.kills * THREADS));
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("log: {}", scratch.keep().display());
    Ok(ExitCode::FAILURE)
}

/// Pybo with data of its own, and `soaked.py` around it.
fn command(program: &std::path::Path, scratch: &Scratch) -> Result<Command> {
    let application = applications::named("pybo")?;
    let environment = application.environment(&Python::find()?, Progress::Shown)?;
    let data = scratch.join("data");
    application.prepare(&environment, &data, Progress::Shown)?;
    let mut command = Command::new(program);
    command.arg("--python").arg(environment.python()).envs(application.variables(&data));
    command.args(["--workers", &WORKERS.to_string(), "--threads", &THREADS.to_string()]);
    command.arg("--chdir").arg(&application.folder);
    command.arg("--pythonpath").arg(workspace::root().join("xtask/bench/soak"));
    command.arg("soaked:application");
    Ok(command)
}

fn answers(count: &Count) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["asked for", "what came, and how often"]);
    for (kind, outcomes) in &count.outcomes {
        let each: Vec<String> =
            outcomes.iter().map(|(outcome, times)| format!("{outcome}: {times}")).collect();
        table.add_row([(*kind).to_owned(), each.join(", ")]);
    }
    table
}
