//! `cargo xtask COMMAND`: dispatch, and nothing else. Each command is a file.
#![expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod check;
mod conform;
mod diff;
mod directives;
mod down;
mod export;
mod faults;
mod fuzz;
mod logs;
mod losses;
mod matrix;
mod settings;
mod soak;
mod status;
mod table;
mod test;
mod tidy;
mod up;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Runs, tests, checks and measures the chain"
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and start the chain: app-host, gateway, edge
    Up(up::Options),
    /// What runs, and since when
    Status,
    /// The hops' logs as one stream
    Logs(logs::Options),
    /// Stop what `up --detach` started
    Down(down::Options),
    /// Run the tests; with --real also those that need nginx, gunicorn and Chromium; with --topology a
    /// suite against a deployment
    Test(test::Options),
    /// Let topologies suffer faults under load, and tell what users saw of each
    Faults(faults::Options),
    /// The suites of the applications on all topologies, and a page of what came of it
    Matrix(matrix::Options),
    /// Send the same requests through two topologies, and show what tells them apart
    Diff(diff::Options),
    /// Format, lints, documentation, house rules
    Check,
    /// The house rules alone
    Tidy,
    /// Run nginx's own test suite on the edge
    Conform(conform::Options),
    /// Write docs/directives.md from the edge's registry
    Directives(directives::Options),
    /// Write docs/settings.md, the manual page and the completions from the gateway's rows
    Settings(settings::Options),
    /// Write a topology as the files of systemd, compose, Kubernetes or a Procfile
    Export(topology::command::export::Export),
    /// Feed the parsers what nobody meant, coverage-guided
    Fuzz(fuzz::Options),
    /// Count the requests that are lost when workers come and go under load
    Losses(losses::Options),
    /// Minutes of mixed load with faults, and whether memory or descriptors grow meanwhile
    Soak(soak::Options),
    /// Compare the chain with nginx and gunicorn
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    // One thread: a hop dies with the thread that started it, so that thread must be this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives a process its timers and its epoll");
    let outcome = runtime.block_on(async {
        match command {
            Command::Up(options) => up::run(options).await,
            Command::Status => Ok(status::run()),
            Command::Logs(options) => logs::run(options).await,
            Command::Down(options) => down::run(options).await,
            Command::Test(options) => test::run(options).await,
            Command::Faults(options) => faults::run(options).await,
            Command::Matrix(options) => matrix::run(options).await,
            Command::Diff(options) => diff::run(options).await,
            Command::Check => check::run(),
            Command::Tidy => tidy::run(),
            Command::Conform(options) => conform::run(options).await,
            Command::Directives(options) => directives::run(&options),
            Command::Settings(options) => settings::run(&options),
            Command::Export(options) => Ok(export::run(options)),
            Command::Fuzz(options) => fuzz::run(&options),
            Command::Losses(options) => losses::run(options).await,
            Command::Soak(options) => soak::run(options).await,
            Command::Bench(options) => bench::run(options).await,
        }
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
