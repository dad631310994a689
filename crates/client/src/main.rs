//! `causeway-client URL`: reads the command line, visits, prints, and says by its exit code how it went.

#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use causeway_client::options::Options;
use causeway_client::report::{self, Outcome, Pictures};
use causeway_client::terminal::Terminal;
use causeway_client::{profile, visit};
use clap::Parser as _;

/// One thread is enough for six connections, and takes least time away from what is measured.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        // Whoever reads the output has seen enough: `causeway-client URL | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-client: {error:#}");
            ExitCode::from(Outcome::PageFailed.exit_code())
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<Outcome> {
    let visits = visit::visits(options).await.context("could not set up")?;
    let pictures = if options.flow { Pictures::Drawn } else { Pictures::None };
    let mut out = BufWriter::new(io::stdout().lock());
    if options.json {
        report::print_json(&mut out, &profile::shown(&options.url), &visits, pictures)?;
    } else {
        report::print(&mut out, &visits, pictures, Terminal::of_stdout())?;
    }
    out.flush()?;
    if let Some(complaint) = report::complaint(&visits) {
        eprintln!("causeway-client: {complaint}");
    }
    Ok(report::outcome(&visits))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}
