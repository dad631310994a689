//! `faults`: what `causeway-topology faults` does, with what was just built, on the default topology and
//! the tutorial's side by side unless others are named.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use topology::command::{
    self,
    faults::{self, Faults},
};
use topology::kinds::Places;
use xtask::programs;
use xtask::progress::Progress;
use xtask::workspace::Profile;

use crate::up;

#[derive(Args)]
pub(crate) struct Options {
    /// A topology by its name in topologies/, or a file; may be given several times
    #[arg(long, value_name = "TOPOLOGY", default_values = ["default", "nginx-gunicorn"])]
    topology: Vec<String>,
    /// A fault by its name in faults/, or a file; all of faults/ when left out
    #[arg(long, value_name = "FAULT")]
    fault: Vec<String>,
    /// Write the results as a page in Markdown
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Build without optimisation: sooner ready, slower to answer
    #[arg(long)]
    debug: bool,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let profile = if options.debug { Profile::Debug } else { Profile::Release };
    let built = programs::build(profile, Progress::Shown)?;
    let places = Places { ours: Some(built), progress: Progress::Shown };
    let topology = options.topology.iter().map(|name| up::file(name)).collect();
    let faults = Faults { topology, fault: options.fault, page: options.page };
    Ok(faults::run(faults, places).await.unwrap_or_else(|error| command::refused(&error)))
}
