//! `kinds`: what a hop can be, which version of it is here, and what installs it when it is not.

use std::process::ExitCode;

use crate::kinds::{self, Places};

#[expect(clippy::print_stdout, reason = "a command talks to the one who typed it")]
pub fn run(places: &Places) -> ExitCode {
    for kind in kinds::ALL {
        match kind.find(places) {
            Ok(found) => {
                println!("{:<12} {:<12} {}", kind.name(), found.version, found.program.display());
            }
            Err(error) => println!("{:<12} -            {error:#}", kind.name()),
        }
    }
    ExitCode::SUCCESS
}
