//! `check`: everything about the source that can be known without running it.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use xtask::workspace;

use crate::{directives, settings, tidy};

/// Arguments of cargo, and a variable it is given.
type Step = (&'static [&'static str], Option<(&'static str, &'static str)>);

const STEPS: [Step; 3] = [
    (&["fmt", "--all", "--check"], None),
    (
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
        None,
    ),
    (&["doc", "--workspace", "--no-deps", "--quiet"], Some(("RUSTDOCFLAGS", "-D warnings"))),
];

pub(crate) fn run() -> Result<ExitCode> {
    for (arguments, variable) in STEPS {
        println!("$ cargo {}", arguments.join(" "));
        let mut cargo = Command::new("cargo");
        cargo.current_dir(workspace::root()).args(arguments).envs(variable);
        let status = cargo.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("cargo {} is not content", arguments.join(" "));
        }
    }
    println!("$ cargo xtask directives --check");
    directives::check()?;
    println!("$ cargo xtask settings --check");
    settings::check()?;
    println!("$ cargo xtask tidy");
    tidy::run()
}
