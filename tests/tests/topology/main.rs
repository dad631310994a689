//! Deployments from small files, with everything real: `cargo xtask test --real` names what is missing with
//! the command that installs it.

#[cfg(feature = "real")]
mod kinds;
