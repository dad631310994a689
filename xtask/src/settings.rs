//! `settings [--check]`: what is written about the gateway's settings, from its rows: the reference page,
//! the manual page, the completions of shells. They lie in the repository, where who packages the
//! gateway looks for them, and need nothing to be built first.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use xtask::workspace;

#[derive(Args)]
pub(crate) struct Options {
    /// Do not write the files; fail when they are not what would be written
    #[arg(long)]
    check: bool,
}

/// What the gateway's example is asked for, and where that belongs.
const FILES: [(&str, &str); 5] = [
    ("page", "docs/settings.md"),
    ("man", "packaging/man/causeway-gateway.1"),
    ("bash", "packaging/completions/bash/causeway-gateway"),
    ("zsh", "packaging/completions/zsh/_causeway-gateway"),
    ("fish", "packaging/completions/fish/causeway-gateway.fish"),
];

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.check {
        check()?;
        return Ok(ExitCode::SUCCESS);
    }
    for (kind, file) in FILES {
        let path = workspace::root().join(file);
        fs::create_dir_all(path.parent().context("every file is in a folder")?)?;
        fs::write(path, written(kind)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check() -> Result<()> {
    for (kind, file) in FILES {
        let there = fs::read_to_string(workspace::root().join(file)).unwrap_or_default();
        ensure!(there == written(kind)?, "{file} is not up to date: cargo xtask settings");
    }
    Ok(())
}

fn written(kind: &str) -> Result<String> {
    let mut reference = Command::new("cargo");
    reference.current_dir(workspace::root()).stderr(Stdio::inherit());
    reference.args([
        "run",
        "--quiet",
        "-p",
        "causeway-gateway",
        "--example",
        "reference",
        "--",
        kind,
    ]);
    let output = reference.output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the gateway's settings can not be read");
    Ok(String::from_utf8(output.stdout)?)
}
