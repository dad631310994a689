//! `status`: what runs.

use std::process::ExitCode;

use xtask::running::Running;

use crate::table::table;

/// Succeeds when something runs, and all of it.
pub(crate) fn run() -> ExitCode {
    let chains: Vec<Running> = Running::all().into_iter().filter(|chain| !chain.dead()).collect();
    for chain in &chains {
        println!("{}", table(chain));
    }
    if chains.is_empty() {
        println!("nothing runs; start with: cargo xtask up");
    }
    let well = !chains.is_empty() && chains.iter().all(Running::alive);
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
