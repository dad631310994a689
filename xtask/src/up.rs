//! `up`: from a clean clone to a page in the browser. Each step either succeeds or ends the command
//! with one sentence that says what to do; nothing that was started is left behind then.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use xtask::applications;
use xtask::follow::{Follow, From};
use xtask::probe::Address;
use xtask::process::Process;
use xtask::progress::Progress;
use xtask::python::Python;
use xtask::recipe::{Recipe, Timing};
use xtask::running::{self, Running, RunningHop};
use xtask::workspace::{self, Profile};
use xtask::{programs, sys};

use crate::logs;
use crate::table::table;

/// An application that takes longer to import than this is broken for our purpose.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Args)]
pub(crate) struct Options {
    /// Which application of apps/ to serve
    #[arg(long, default_value = "pybo")]
    app: String,
    /// Where the edge listens, on 127.0.0.1
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// How many app-hosts
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Return when everything answers, and leave it running: see status, logs, down
    #[arg(long)]
    detach: bool,
    /// Build without optimisation: sooner ready, slower to answer
    #[arg(long)]
    debug: bool,
    /// Another program in the edge's place, such as /usr/sbin/nginx
    #[arg(long, value_name = "PROGRAM")]
    edge: Option<PathBuf>,
    /// Another program in the gateway's place, such as a gunicorn that finds the application's packages
    #[arg(long, value_name = "PROGRAM")]
    gateway: Option<PathBuf>,
}

/// Whether the hops end with this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    WithUs,
    OnTheirOwn,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let application = applications::named(&options.app)?;
    if let Some(running) = Running::read(&application.name) {
        if running.alive() {
            println!(
                "{}\nalready runs; stop it with: cargo xtask down --app {}",
                table(&running),
                application.name
            );
            return Ok(ExitCode::SUCCESS);
        }
        if !running.dead() {
            eprintln!("half of the last chain still ran: it is stopped first");
        }
        running.stop().await;
    }
    let python = Python::find()?;
    port_is_free(options.port)?;
    let built = programs::build(
        if options.debug { Profile::Debug } else { Profile::Release },
        Progress::Shown,
    )?;
    let environment = application.environment(&python, Progress::Shown)?;
    let data = workspace::state().join("data").join(&application.name);
    application.prepare(&environment, &data, Progress::Shown)?;

    let run = running::folder(&application.name);
    if run.exists() {
        fs::remove_dir_all(&run).with_context(|| format!("cannot clear \"{}\"", run.display()))?;
    }
    let workers = options.workers;
    let python = environment.python();
    let recipe = Recipe {
        application,
        run,
        data,
        python,
        port: options.port,
        workers,
        variables: Vec::new(),
    };
    recipe.lay_out()?;

    let life = if options.detach { Life::OnTheirOwn } else { Life::WithUs };
    let mut chain = Starting {
        running: Running {
            application: recipe.application.name.clone(),
            url: format!("http://127.0.0.1:{}{}", recipe.port, recipe.application.first_page()),
            hops: Vec::new(),
        },
        children: Vec::new(),
        life,
    };
    let mut stop = Stop::listen()?;
    let started = tokio::select! {
        started = chain.start(&recipe, &built, &options) => started,
        () = stop.asked() => Err(anyhow!("interrupted")),
    };
    if let Err(error) = started {
        chain.running.stop().await;
        return Err(error);
    }
    println!("{}", table(&chain.running));
    if options.detach {
        return Ok(ExitCode::SUCCESS);
    }
    chain.attend(&mut stop).await
}

fn port_is_free(port: u16) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} is in use: choose another with --port, or see who has it with: ss -ltnp"
            )
        }
        Err(error) => bail!("port {port} cannot be used: {error}"),
    }
}

/// A chain whose processes are this one's children.
struct Starting {
    running: Running,
    children: Vec<Child>,
    life: Life,
}

impl Starting {
    async fn start(&mut self, recipe: &Recipe, built: &Path, options: &Options) -> Result<()> {
        let log = |name: &str| recipe.run.join(name);
        let command = match &options.gateway {
            None => recipe.gateway(&built.join("causeway-gateway"), Timing::On),
            Some(program) => {
                let mut command = Command::new(program);
                recipe.gateway_flags(&mut command);
                command
            }
        };
        let logs = vec![log("gateway.log"), log("gateway-access.log"), log("gateway-output.log")];
        self.hop("gateway", command, recipe.gateway_address(), logs, recipe).await?;

        let command = match &options.edge {
            None => recipe.edge(&built.join("causeway-edge"), Timing::On),
            Some(program) => recipe.edge(program, Timing::Off),
        };
        let logs = vec![log("edge.log"), log("edge-access.log"), log("edge-output.log")];
        self.hop("edge", command, recipe.edge_address(), logs, recipe).await
    }

    async fn hop(
        &mut self,
        name: &str,
        mut command: Command,
        address: Address,
        logs: Vec<PathBuf>,
        recipe: &Recipe,
    ) -> Result<()> {
        let output = logs.last().context("every hop has a file for its output")?;
        let output = File::options().create(true).append(true).open(output)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        match self.life {
            // A group of its own, so that Ctrl-C reaches us alone and the order is ours.
            Life::WithUs => {
                command.process_group(0);
                sys::die_with_parent(&mut command);
            }
            Life::OnTheirOwn => sys::live_on(&mut command),
        }
        let program = command.get_program().to_owned();
        let child = tokio::process::Command::from(command).spawn();
        let mut child = child.with_context(|| format!("cannot start \"{}\"", program.display()))?;
        let process = child.id().and_then(|pid| Process::of(pid as i32));
        if let Some(process) = process {
            let hop = RunningHop {
                name: name.to_owned(),
                process,
                address: address.clone(),
                logs: logs.clone(),
            };
            self.running.hops.push(hop);
            self.running.write()?;
        }
        let mut last = String::new();
        let first_page = recipe.application.first_page();
        let answers =
            tokio::time::timeout(PATIENCE, address.until_it_answers(first_page, &mut last));
        let why = tokio::select! {
            answered = answers => match answered {
                Ok(()) => None,
                Err(_) => Some(format!("does not answer at {address} within {} s", PATIENCE.as_secs())),
            },
            status = child.wait() => Some(format!("ended while it was starting ({})", status?)),
        };
        self.children.push(child);
        let Some(why) = why else { return Ok(()) };
        let lines: Vec<String> = logs.iter().flat_map(|log| running::last_lines(log, 20)).collect();
        for line in &lines {
            eprintln!("{name:<8} | {line}");
        }
        // The last line of a traceback names the error.
        let error = lines.iter().rev().find(|line| line.contains("Error"));
        let error = error.map_or(last, Clone::clone);
        bail!("\"{}\" does not start: the {name} {why}: {error}", recipe.application.name)
    }

    /// Shows the logs until somebody stops the chain or a part of it dies.
    async fn attend(mut self, stop: &mut Stop) -> Result<ExitCode> {
        println!("Ctrl-C stops it");
        let mut follow = Follow::new(logs::sources(&self.running), From::Start, None);
        let died = tokio::select! {
            () = stop.asked() => None,
            died = first_to_end(&mut self.children) => Some(died),
            // Nobody reads our output any more: the same as being told to stop.
            _ = follow.go_on() => None,
        };
        let mut code = ExitCode::SUCCESS;
        if let Some((at, status)) = died {
            let _ = follow.catch_up(&mut io::stdout().lock());
            let hop = &self.running.hops[at];
            if status.success() {
                println!("the {} was stopped, so everything is", hop.name);
            } else {
                for line in hop.last_lines(10) {
                    eprintln!("{:<8} | {line}", hop.name);
                }
                eprintln!("error: the {} ended ({status}), so everything is stopped", hop.name);
                code = ExitCode::FAILURE;
            }
        }
        tokio::select! {
            () = self.running.stop() => {}
            () = stop.asked() => {
                eprintln!("again: killed");
                for hop in &self.running.hops {
                    for process in hop.process.tree() {
                        process.signal(nix::sys::signal::Signal::SIGKILL);
                    }
                }
                self.running.stop().await;
            }
        }
        let _ = follow.catch_up(&mut io::stdout().lock());
        println!("all stopped");
        Ok(code)
    }
}

async fn first_to_end(children: &mut [Child]) -> (usize, ExitStatus) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        for (at, child) in children.iter_mut().enumerate() {
            if let Ok(Some(status)) = child.try_wait() {
                return (at, status);
            }
        }
    }
}

/// The ways in which a terminal or a service manager asks for an end.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> io::Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
