//! `losses`: how many requests are lost when workers come and go under constant load. Reloads, workers
//! told to end and workers recycled must lose none; a worker that is killed loses what it had in hand,
//! one request for each thread, and each of those is answered 502.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use nix::sys::signal::Signal;
use xtask::load::{Habit, Load, Plan, Tally};
use xtask::probe::Address;
use xtask::process::Process;
use xtask::programs;
use xtask::progress::Progress;
use xtask::python::Python;
use xtask::scratch::Scratch;
use xtask::server::Server;
use xtask::workspace::{self, Profile};

#[derive(Args)]
pub(crate) struct Options {
    /// How often the server is told HUP
    #[arg(long, default_value_t = 20)]
    reloads: usize,
    /// How often a worker is told TERM
    #[arg(long, default_value_t = 20)]
    terms: usize,
    /// How many workers are recycled by --max-requests
    #[arg(long, default_value_t = 200)]
    recyclings: usize,
    /// How often a worker is killed by KILL
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Half of them keep their connections, half open one for each request
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Build without optimisation
    #[arg(long)]
    debug: bool,
    /// Another program in the gateway's place, such as a gunicorn, to see what it loses
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
}

const WORKERS: usize = 2;

/// How often a worker answers before it is recycled.
const REQUESTS: &str = "25";

/// All recyclings together take a minute or two; what takes longer is stuck.
const LIMIT: Duration = Duration::from_mins(15);

/// What happens to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Reload,
    Term,
    Recycling,
    Kill,
}

/// What came of one kind of it.
struct Outcome {
    fault: Fault,
    times: usize,
    tally: Tally,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let program = match &options.gateway {
        Some(program) => program.clone(),
        None => {
            let profile = if options.debug { Profile::Debug } else { Profile::Release };
            let packages = ["causeway-gateway", "causeway-app-host"];
            programs::build_some(&packages, profile, Progress::Shown)?.join("causeway-gateway")
        }
    };
    let mut outcomes = Vec::new();
    for (fault, times) in [
        (Fault::Reload, options.reloads),
        (Fault::Term, options.terms),
        (Fault::Recycling, options.recyclings),
        (Fault::Kill, options.kills),
    ] {
        if times > 0 {
            let step = Progress::Shown.step(fault.name());
            let scratch = Scratch::new();
            let tally = suffer(fault, times, &program, &options, &scratch).await?;
            drop(step);
            let outcome = Outcome { fault, times, tally };
            if let Some(complaint) = outcome.complaint() {
                println!("{}: {complaint}\n  log: {}", fault.name(), scratch.keep().display());
            }
            outcomes.push(outcome);
        }
    }
    println!("{}", table(&outcomes));
    let holds = outcomes.iter().all(|outcome| outcome.complaint().is_none());
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One server, and one kind of fault until it has come that often.
async fn suffer(
    fault: Fault,
    times: usize,
    program: &Path,
    options: &Options,
    scratch: &Scratch,
) -> Result<Tally> {
    let server = Server::answering(command(program, fault, options)?, scratch.path(), "/").await?;
    let mut loads = [Habit::KeepAlive, Habit::Close].map(|habit| {
        let clients = options.clients.div_ceil(2);
        Load::start(Plan {
            address: Address::Tcp(server.address),
            method: "POST",
            path: "/".to_owned(),
            body: b"counted".to_vec(),
            clients,
            habit,
            right: |answer| answer.status() == 200 && answer.body == b"counted",
        })
    });
    let [first, second] = &mut loads;
    first.goes_on_for(50).await;
    if fault == Fault::Recycling {
        let goal = server.started() + times;
        until(first, || server.started() >= goal).await?;
    } else {
        for _ in 0..times {
            strike(fault, &server, first).await?;
        }
    }
    first.goes_on_for(50).await;
    second.goes_on_for(50).await;
    let [first, second] = loads;
    Ok(first.stop().await.and(second.stop().await))
}

fn command(program: &Path, fault: Fault, options: &Options) -> Result<Command> {
    let mut command = Command::new(program);
    if options.gateway.is_none() {
        command.arg("--python").arg(Python::find()?.path);
    }
    command.args(["--workers", &WORKERS.to_string()]);
    if fault == Fault::Recycling {
        command.args(["--max-requests", REQUESTS]);
    }
    command.arg("--chdir").arg(workspace::root().join("xtask/bench/faults")).arg("app:application");
    Ok(command)
}

/// Once, and until it is made good.
async fn strike(fault: Fault, server: &Server, load: &mut Load) -> Result<()> {
    let before = server.workers();
    ensure!(before.len() >= WORKERS, "{} workers of {WORKERS}", before.len());
    let goal = server.started() + if fault == Fault::Reload { WORKERS } else { 1 };
    let leave: &[Process] = if fault == Fault::Reload { &before } else { &before[..1] };
    match fault {
        Fault::Reload => server.hop.signal(Signal::SIGHUP),
        Fault::Term => leave[0].signal(Signal::SIGTERM),
        Fault::Kill => leave[0].signal(Signal::SIGKILL),
        Fault::Recycling => unreachable!("nobody strikes: they count themselves"),
    }
    until(load, || server.started() >= goal && leave.iter().all(|worker| !worker.alive())).await?;
    // The next one strikes a server at work.
    load.goes_on_for(20).await;
    Ok(())
}

/// Looks after each answer. A load that stands still ends it, and so does `LIMIT`.
async fn until(load: &mut Load, is_so: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    while !is_so() {
        tick.tick().await;
        load.goes_on_for(1).await;
        ensure!(Instant::now() < deadline, "the workers have not changed for {LIMIT:?}");
    }
    Ok(())
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Reload => "HUP",
            Fault::Term => "TERM of a worker",
            Fault::Recycling => "max_requests",
            Fault::Kill => "KILL of a worker",
        }
    }
}

impl Outcome {
    /// Requests that may go unanswered, with a 502 for each.
    fn allowed(&self) -> usize {
        if self.fault == Fault::Kill { self.times } else { 0 }
    }

    fn complaint(&self) -> Option<String> {
        let Tally { lost, refused, .. } = &self.tally;
        let silent = lost.iter().filter(|reason| !reason.starts_with("502:")).count();
        if lost.len() > self.allowed() || silent > 0 || *refused > 0 {
            let some: Vec<_> = lost.iter().take(5).collect();
            return Some(format!("{} lost, {silent} without any answer: {some:?}", lost.len()));
        }
        None
    }
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["event", "times", "answered", "lost", "may be", "refused", ""]);
    for outcome in outcomes {
        table.add_row([
            outcome.fault.name().to_owned(),
            outcome.times.to_string(),
            outcome.tally.answered.to_string(),
            outcome.tally.lost.len().to_string(),
            outcome.allowed().to_string(),
            outcome.tally.refused.to_string(),
            if outcome.complaint().is_none() { "holds" } else { "fails" }.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(fault: Fault, lost: &[&str], refused: usize) -> Option<String> {
        let lost = lost.iter().map(|reason| (*reason).to_owned()).collect();
        let tally = Tally { answered: 100, retried: 0, refused, lost };
        Outcome { fault, times: 2, tally }.complaint()
    }

    #[test]
    fn only_what_a_killed_worker_had_in_hand_may_be_lost() {
        assert_eq!(complaint(Fault::Reload, &[], 0), None);
        assert!(complaint(Fault::Reload, &["502: \"\""], 0).is_some());
        assert!(complaint(Fault::Term, &[], 1).is_some());
        assert_eq!(complaint(Fault::Kill, &["502: \"\"", "502: \"\""], 0), None);
        assert!(complaint(Fault::Kill, &["502: \"\""; 3], 0).is_some());
        let silent = complaint(Fault::Kill, &["the connection ended too early"], 0);
        assert!(silent.is_some_and(|complaint| complaint.contains("1 without any answer")));
    }
}
