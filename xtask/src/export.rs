//! `export`: a topology's files for an engine of other machines.

use std::process::ExitCode;

use topology::command::{
    self,
    export::{self, Export},
};

use crate::up;

pub(crate) fn run(mut options: Export) -> ExitCode {
    options.topology = up::file(&options.topology.to_string_lossy());
    export::run(&options).unwrap_or_else(|error| command::refused(&error))
}
