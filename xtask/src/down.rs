//! `down`: stops what runs, the browser's side first.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use xtask::running::Running;

#[derive(Args)]
pub(crate) struct Options {
    /// Only this application's chain
    #[arg(long)]
    app: Option<String>,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let mut stopped = 0;
    for chain in Running::all() {
        if options.app.as_ref().is_some_and(|app| *app != chain.application) {
            continue;
        }
        let lived = !chain.dead();
        chain.stop().await;
        if lived {
            println!("{} stopped", chain.application);
            stopped += 1;
        }
    }
    if stopped == 0 {
        println!("nothing ran");
    }
    Ok(ExitCode::SUCCESS)
}
