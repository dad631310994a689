//! `logs [HOP] [-f]`: what the hops wrote, and with `-f` what they write from now on.

use std::io;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::Args;
use xtask::follow::{Follow, From};
use xtask::running::{self, Running};

#[derive(Args)]
pub(crate) struct Options {
    /// edge, gateway or app-host; all of them when left out
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
    let mut files = files(&running);
    if let Some(hop) = &options.hop {
        files.retain(|(name, _)| name == hop);
        ensure!(
            !files.is_empty(),
            "there is no hop \"{hop}\": there are edge, gateway and app-host"
        );
    }
    let mut follow = Follow::new(files, From::Start);
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

/// Every log of a chain with the hop that writes it.
pub(crate) fn files(running: &Running) -> Vec<(String, std::path::PathBuf)> {
    let app_host = running::folder(&running.application).join("app-host.log");
    let hop_of = |hop: &running::RunningHop, log: &std::path::PathBuf| {
        if *log == app_host { "app-host".to_owned() } else { hop.name.clone() }
    };
    let hops = running.hops.iter().rev();
    hops.flat_map(|hop| hop.logs.iter().map(move |log| (hop_of(hop, log), log.clone()))).collect()
}
