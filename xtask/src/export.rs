//! `export`: a topology's files for an engine of other machines.

use std::process::ExitCode;

use anyhow::Result;
use topology::command::export::{self, Export};

use crate::up;

pub(crate) fn run(mut options: Export) -> Result<ExitCode> {
    options.topology = up::file(&options.topology.to_string_lossy());
    export::run(&options)
}
