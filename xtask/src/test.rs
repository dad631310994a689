//! TEMP
use anyhow::Result;
use std::process::ExitCode;
#[derive(clap::Args)]
pub(crate) struct Options {}
pub(crate) fn run(_o: Options) -> Result<ExitCode> {
    Ok(ExitCode::FAILURE)
}
