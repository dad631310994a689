//! `up`: starts a topology and lets it run until somebody stops it or a hop of it dies.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::follow::{Follow, From, Source};
use crate::kinds::Places;
use crate::progress::Progress;
use crate::{Links, Options, Stack, Topology};

#[derive(Args, Debug)]
pub struct Up {
    /// The topology's file
    #[arg(long, value_name = "FILE")]
    pub topology: PathBuf,
    /// Another application in it: a folder with an app.toml
    #[arg(long, value_name = "FOLDER")]
    pub application: Option<PathBuf>,
    /// Where the first hop listens, on 127.0.0.1; any free port when left out
    #[arg(long)]
    pub port: Option<u16>,
    /// One line of JSON instead of tables and logs; ends when standard input does
    #[arg(long)]
    pub json: bool,
    /// Keep the folder with configurations and logs
    #[arg(long)]
    pub keep: bool,
    /// Put a proxy between any two hops, and serve Toxiproxy's API to put faults there
    #[arg(long)]
    pub faults: bool,
}

pub async fn run(options: Up, places: Places) -> Result<ExitCode> {
    let mut topology = Topology::read(&options.topology)?;
    if let Some(folder) = &options.application {
        topology = topology.serving(folder)?;
    }
    let progress = if options.json { Progress::Quiet } else { Progress::Shown };
    let input = if options.json { Input::Watched } else { Input::Ignored };
    let mut stop = Stop::listen(input)?;
    let links = if options.faults { Links::Faulty } else { Links::Direct };
    let (port, keep) = (options.port, options.keep);
    let how = Options { places, progress, port, keep, links, ..Options::default() };
    let stack = started(&topology, &how, &mut stop).await?;
    let logs = if options.json {
        println!("{}", description(&topology, &stack));
        Logs::InTheirFiles
    } else {
        println!("{}", table(&topology, &stack));
        Logs::Shown
    };
    attend(stack, &mut stop, logs).await.map(|()| ExitCode::SUCCESS)
}

/// The running topology, unless somebody asks for an end before it runs.
pub async fn started(topology: &Topology, how: &Options, stop: &mut Stop) -> Result<Stack> {
    tokio::select! {
        stack = Stack::start(topology, how) => stack,
        () = stop.asked() => Err(anyhow!("interrupted")),
    }
}

/// Whether what the hops write is shown as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logs {
    Shown,
    InTheirFiles,
}

/// Until somebody asks for an end or a hop dies; then stops everything.
pub async fn attend(stack: Stack, stop: &mut Stop, logs: Logs) -> Result<()> {
    let mut follow = Follow::new(sources(&stack), From::Start, None);
    let died = tokio::select! {
        () = stop.asked() => None,
        died = stack.first_to_end() => Some(died),
        // Nobody reads our output any more: the same as being told to stop.
        _ = follow.go_on(), if logs == Logs::Shown => None,
    };
    let died = died.map(|hop| {
        let said: String = hop.last_lines(10).iter().map(|line| format!("\n    {line}")).collect();
        anyhow!("hop \"{}\" ended, so everything is stopped; its last lines:{said}", hop.name)
    });
    let stopping = async {
        let mut stack = stack;
        let ended = stack.stop().await;
        if logs == Logs::Shown {
            let _ = follow.catch_up(&mut io::stdout().lock());
        }
        ended
    };
    let ended = tokio::select! {
        ended = stopping => ended,
        () = stop.insisted() => Err(anyhow!("asked again: killed")),
    };
    died.map_or(ended, Err)
}

fn table(topology: &Topology, stack: &Stack) -> String {
    let mut lines = vec![format!("{}: {}", topology.name, topology.about)];
    for hop in &stack.hops {
        let what = format!("{} {}", hop.kind.name(), hop.version);
        lines.push(format!(
            "  {:<12} {what:<22} pid {:<8} {}",
            hop.name, hop.process.pid, hop.address
        ));
    }
    for link in stack.wiring.iter().flat_map(|wiring| &wiring.links) {
        lines.push(format!("  {:<35} proxy at {}", link.name, link.address));
    }
    if let Some(wiring) = &stack.wiring {
        lines.push(format!("Toxiproxy's API at http://{}", wiring.api));
    }
    let first_page = topology.application.first_page().trim_start_matches('/');
    lines.push(format!("{} at {}{first_page}", topology.application.name, stack.url));
    if let Some(authority) = &stack.authority {
        lines.push(format!("its certificate is signed by {}", authority.display()));
    }
    lines.push(format!("configurations and logs in {}\nCtrl-C stops it", stack.folder().display()));
    lines.join("\n")
}

fn description(topology: &Topology, stack: &Stack) -> serde_json::Value {
    let hops = stack.hops.iter().map(|hop| {
        serde_json::json!({
            "name": hop.name, "kind": hop.kind.name(), "version": hop.version, "pid": hop.process.pid,
            "address": hop.address.to_string(), "logs": hop.logs,
        })
    });
    let links =
        stack.wiring.iter().flat_map(|wiring| &wiring.links).map(
            |link| serde_json::json!({ "name": link.name, "address": link.address.to_string() }),
        );
    let faults = stack.wiring.as_ref().map(|wiring| format!("http://{}", wiring.api));
    serde_json::json!({
        "topology": topology.name, "url": stack.url.as_str(), "authority": stack.authority,
        "application": topology.application.name, "folder": stack.folder(), "hops": hops.collect::<Vec<_>>(),
        "faults": faults, "links": links.collect::<Vec<_>>(),
    })
}

/// Every log, the browser's side first.
fn sources(stack: &Stack) -> Vec<Source> {
    let hops = stack.hops.iter();
    let logs = hops.flat_map(|hop| hop.logs.iter().map(move |log| (hop, log)));
    let logs = logs.map(|(hop, log)| Source {
        hop: hop.name.clone(),
        path: log.clone(),
        master: hop.process.pid,
    });
    let links = stack.wiring.iter().map(|wiring| Source {
        hop: "links".to_owned(),
        path: wiring.log.clone(),
        master: 0,
    });
    logs.chain(links).collect()
}

/// The ways in which a terminal, a service manager or a program that started us asks for an end.
pub struct Stop {
    signals: [Signal; 3],
    input_ended: Option<tokio::sync::mpsc::Receiver<()>>,
}

/// Whether the end of standard input asks for an end, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Watched,
    Ignored,
}

impl Stop {
    pub fn listen(input: Input) -> io::Result<Stop> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hang_up] = kinds.map(signal);
        let input_ended = (input == Input::Watched).then(|| {
            let (ended, seen) = tokio::sync::mpsc::channel(1);
            // Not the runtime's: it would wait for the end of this read before it ends itself.
            std::thread::spawn(move || {
                let mut input = io::stdin().lock();
                let mut some = [0; 512];
                while matches!(input.read(&mut some), Ok(1..)) {}
                let _ = ended.blocking_send(());
            });
            seen
        });
        Ok(Stop { signals: [interrupt?, terminate?, hang_up?], input_ended })
    }

    pub async fn asked(&mut self) {
        let Stop { signals, input_ended } = self;
        let input = async {
            match input_ended {
                Some(ended) => drop(ended.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = signalled(signals) => {}
            () = input => {}
        }
    }

    /// An input that has ended says nothing twice.
    async fn insisted(&mut self) {
        signalled(&mut self.signals).await;
    }
}

async fn signalled([interrupt, terminate, hang_up]: &mut [Signal; 3]) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}
