//! `diff`: what `causeway-topology diff` does, with what was just built and, unless others are named, the
//! suites of `suites/`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use topology::command::{
    self,
    diff::{self, Diff},
};
use topology::kinds::Places;
use xtask::progress::Progress;
use xtask::workspace::Profile;
use xtask::{applications, programs};

use crate::up;

#[derive(Args)]
pub(crate) struct Options {
    /// A topology by its name in topologies/, or a file
    #[arg(value_name = "A")]
    left: String,
    /// Another one
    #[arg(value_name = "B")]
    right: String,
    /// Which application of apps/ both serve, in place of their own
    #[arg(long)]
    app: Option<String>,
    /// A folder of .hurl files, or one of them; the application's of suites/ when left out
    #[arg(long, value_name = "FOLDER")]
    suite: Option<PathBuf>,
    /// More of what may differ, and why: a file of [[mask]]
    #[arg(long, value_name = "FILE")]
    mask: Vec<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let application = match &options.app {
        Some(app) => Some(applications::named(app)?.folder),
        None => None,
    };
    let built = programs::build(Profile::Debug, Progress::Shown)?;
    let places = Places { ours: Some(built), progress: Progress::Shown };
    let diff = Diff {
        left: up::file(&options.left),
        right: up::file(&options.right),
        suite: options.suite,
        application,
        mask: options.mask,
        json: options.json,
    };
    Ok(diff::run(diff, places).await.unwrap_or_else(|error| command::refused(&error)))
}
