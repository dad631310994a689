//! `up`: from a clean clone to a page in the browser. It builds, and then starts a topology as
//! `causeway-topology up` does; with `--detach` in a process of its own that stays, for `status`, `logs`
//! and `down` to find.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use topology::command::up;
use topology::kinds::Places;
use topology::{Options as How, Stack, Topology, hop};
use xtask::process::Process;
use xtask::progress::Progress;
use xtask::running::{self, Running, RunningHop};
use xtask::workspace::{self, Profile};
use xtask::{applications, programs, sys};

use crate::table::table;

#[derive(Args)]
pub(crate) struct Options {
    /// A file of topologies/, or any other topology by its path
    #[arg(long, default_value = "default")]
    topology: String,
    /// Which application of apps/ to serve, in place of the topology's own
    #[arg(long)]
    app: Option<String>,
    /// Where the first hop listens, on 127.0.0.1
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// How many workers the server has, in place of what the topology says
    #[arg(long)]
    workers: Option<usize>,
    /// Return when everything answers, and leave it running: see status, logs, down
    #[arg(long)]
    detach: bool,
    /// Build without optimisation: sooner ready, slower to answer
    #[arg(long)]
    debug: bool,
    /// What `--detach` starts
    #[arg(long, hide = true)]
    detached: bool,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let mut topology = Topology::read(&file(&options.topology))?;
    if let Some(name) = &options.app {
        topology.application = applications::named(name)?;
    }
    if let (Some(workers), Some(server)) = (options.workers, topology.hops.last_mut()) {
        server.workers = workers;
    }
    let name = topology.application.name.clone();
    if let Some(running) = Running::read(&name) {
        if running.alive() {
            println!(
                "{}\nalready runs; stop it with: cargo xtask down --app {name}",
                table(&running)
            );
            return Ok(ExitCode::SUCCESS);
        }
        running.stop().await;
    }
    let profile = if options.debug { Profile::Debug } else { Profile::Release };
    let built = programs::build(profile, Progress::Shown)?;
    if options.detach {
        return detach(&name).await;
    }
    let how = How {
        places: Places { ours: Some(built), progress: Progress::Shown },
        progress: Progress::Shown,
        port: Some(options.port),
        // What visitors write there is still there the next time.
        data: Some(workspace::state().join("data").join(&name)),
        ..How::default()
    };
    let mut stop = up::Stop::listen(up::Input::Ignored)?;
    let stack = up::started(&topology, &how, &mut stop).await?;
    let running = record(&topology, &stack);
    running.write()?;
    println!("{}", table(&running));
    let shown = if options.detached { up::Logs::InTheirFiles } else { up::Logs::Shown };
    if !options.detached {
        println!("Ctrl-C stops it");
    }
    let outcome = up::attend(stack, &mut stop, shown).await;
    running.forget();
    outcome?;
    println!("all stopped");
    Ok(ExitCode::SUCCESS)
}

/// `topologies/NAME.toml`, or a file wherever it is.
pub(crate) fn file(topology: &str) -> PathBuf {
    let ours = workspace::root().join("topologies").join(topology).with_extension("toml");
    if ours.is_file() { ours } else { PathBuf::from(topology) }
}

fn record(topology: &Topology, stack: &Stack) -> Running {
    let first_page = topology.application.first_page().trim_start_matches('/');
    let hop = |hop: &hop::Running| RunningHop {
        name: hop.name.clone(),
        process: hop.process,
        address: hop.address.clone(),
        logs: hop.logs.clone(),
    };
    Running {
        application: topology.application.name.clone(),
        url: format!("{}{first_page}", stack.url),
        supervisor: Process::of(std::process::id() as i32).expect("we live"),
        hops: stack.hops.iter().map(hop).collect(),
    }
}

/// The same command once more, in a session of its own; returns when that says that everything answers.
async fn detach(application: &str) -> Result<ExitCode> {
    let folder = running::folder(application);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make \"{}\"", folder.display()))?;
    let said = folder.join("up.log");
    let log = File::create(&said)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1).filter(|argument| argument != "--detach"));
    command.arg("--detached");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    sys::live_on(&mut command);
    let mut child = command.spawn()?;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        if let Some(status) = child.try_wait()? {
            let said = fs::read_to_string(&said).unwrap_or_default();
            // What came before tells of its progress.
            let (_, error) = said.rsplit_once("error: ").unwrap_or(("", &said));
            bail!("{} ({status})", error.trim_end());
        }
        let running = Running::read(application);
        if let Some(running) = running.filter(|running| running.supervisor.pid == child.id() as i32)
        {
            println!("{}", table(&running));
            return Ok(ExitCode::SUCCESS);
        }
    }
}
