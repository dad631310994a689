//! `logs [HOP] [-f]`: what the hops wrote, and with `-f` what they write from now on.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::Args;
use xtask::follow::{Follow, From, Source};
use xtask::running::{Running, RunningHop};

#[derive(Args)]
pub(crate) struct Options {
    /// A hop's name, or app-host; all of them when left out
    hop: Option<String>,
    /// Go on as lines come
    #[arg(short, long)]
    follow: bool,
    /// The application whose chain is meant
    #[arg(long, default_value = "pybo")]
    app: String,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let Some(running) = Running::read(&options.app) else {
        bail!(
            "no chain of \"{}\" was started; start one with: cargo xtask up --app {0}",
            options.app
        );
    };
    if let Some(hop) = &options.hop {
        // The app-hosts are no hop of their own: the gateway starts them, and they write into its log.
        let hops = running.hops.iter().map(|hop| hop.name.as_str()).chain(["app-host"]);
        let hops: Vec<&str> = hops.collect();
        ensure!(
            hops.contains(&hop.as_str()),
            "there is no hop \"{hop}\": there are {}",
            hops.join(", ")
        );
    }
    let mut follow = Follow::new(sources(&running), From::Start, options.hop);
    let shown = if options.follow {
        follow.go_on().await
    } else {
        follow.catch_up(&mut io::stdout().lock())
    };
    match shown {
        // The reader of a pipe that has seen enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Every log of a chain, the browser's side first.
pub(crate) fn sources(running: &Running) -> Vec<Source> {
    let of = |hop: &RunningHop, log: &PathBuf| Source {
        hop: hop.name.clone(),
        path: log.clone(),
        master: hop.process.pid,
    };
    running.hops.iter().flat_map(|hop| hop.logs.iter().map(move |log| of(hop, log))).collect()
}
