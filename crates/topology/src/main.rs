//! `causeway-topology COMMAND`: for those who have the program and not its source.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use topology::command::{diff, export, faults, kinds, matrix, refused, test, up};
use topology::kinds::Places;
use topology::progress::Progress;

#[derive(Parser)]
#[command(
    name = "causeway-topology",
    version,
    about = "Runs an application on the deployments that small files describe"
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a topology and let it run until Ctrl-C
    Up(up::Up),
    /// Start a topology, run a suite of requests against it, and stop it
    Test(test::Test),
    /// Send the same requests through two topologies, and show what anybody could tell them apart by
    Diff(diff::Diff),
    /// Let topologies suffer faults under load, and tell what users saw of each
    Faults(faults::Faults),
    /// The suites of some applications on some topologies, and a page of what came of it
    Matrix(matrix::Matrix),
    /// Write it as the files of systemd, compose, Kubernetes or a Procfile
    Export(export::Export),
    /// What a hop can be, and what of it is installed
    Kinds,
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives a process its timers and its epoll");
    let places = Places { ours: None, progress: Progress::Shown };
    let outcome = runtime.block_on(async {
        match command {
            Command::Up(options) => up::run(options, places).await,
            Command::Test(options) => test::run(options, places).await,
            Command::Diff(options) => Box::pin(diff::run(options, places)).await,
            Command::Faults(options) => faults::run(options, places).await,
            Command::Matrix(options) => matrix::run(options, places).await,
            Command::Export(options) => export::run(&options),
            Command::Kinds => Ok(kinds::run(&places)),
        }
    });
    outcome.unwrap_or_else(|error| refused(&error))
}
