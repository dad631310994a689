//! `matrix`: what `causeway-topology matrix` does, with what was just built and, unless others are named,
//! the applications of `apps/` on the topologies of `topologies/`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use topology::command::{
    self,
    matrix::{self, Matrix},
};
use topology::kinds::Places;
use xtask::progress::Progress;
use xtask::workspace::{self, Profile};
use xtask::{applications, programs};

use crate::up;

#[derive(Args)]
pub(crate) struct Options {
    /// Topologies by their names in topologies/, or files; all of topologies/ when left out
    topologies: Vec<String>,
    /// Applications by their names in apps/; all when left out
    #[arg(long = "app")]
    apps: Vec<String>,
    /// Write the results as a page in Markdown
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let apps = if options.apps.is_empty() { applications::names() } else { options.apps };
    let folders = apps.iter().map(|app| Ok(applications::named(app)?.folder));
    let applications = folders.collect::<Result<Vec<PathBuf>>>()?;
    let topologies = match options.topologies.as_slice() {
        [] => vec![workspace::root().join("topologies")],
        names => names.iter().map(|name| up::file(name)).collect(),
    };
    let built = programs::build(Profile::Debug, Progress::Shown)?;
    let places = Places { ours: Some(built), progress: Progress::Shown };
    let matrix = Matrix { topologies, applications, suite: None, page: options.page };
    Ok(matrix::run(matrix, places).await.unwrap_or_else(|error| command::refused(&error)))
}
