//! What is typed, each command a file: the same for `causeway-topology` and for `cargo xtask`.

pub mod diff;
pub mod export;
pub mod faults;
pub mod kinds;
pub mod matrix;
pub mod test;
pub mod up;

use std::process::ExitCode;

/// What could not be done, as against what was done and did not go well, which is 1.
pub fn refused(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(2)
}
