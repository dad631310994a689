//! Building the programs of the chain.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use topology::step;

use crate::progress::Progress;
use crate::workspace::{self, Profile};

const PACKAGES: [&str; 4] =
    ["causeway-edge", "causeway-gateway", "causeway-app-host", "causeway-client"];

/// The folder with the programs in it, brought up to date.
pub fn build(profile: Profile, progress: Progress) -> Result<PathBuf> {
    build_some(&PACKAGES, profile, progress)
}

/// The same of these packages only.
pub fn build_some(packages: &[&str], profile: Profile, progress: Progress) -> Result<PathBuf> {
    if Command::new("cc").arg("--version").output().is_err() {
        bail!("a C compiler is needed and there is no cc: apt-get install gcc");
    }
    let shown = progress.step("building");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace::root())
        .arg("build")
        .args(packages.iter().flat_map(|package| ["-p", package]));
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Below a keeper: a compiler that goes on for minutes is left behind like anything else.
    let mut building = step::begin(cargo).context("cannot start cargo: see https://rustup.rs")?;
    let child = &mut building.child;
    let mut said = String::new();
    let mut output = BufReader::new(child.stderr.take().context("it is piped")?);
    loop {
        let mut line = String::new();
        if output.read_line(&mut line)? == 0 {
            break;
        }
        shown.detail(line.trim());
        said.push_str(&line);
    }
    output.read_to_string(&mut said)?;
    if !child.wait()?.success() {
        bail!("the programs do not build:\n{}", said.trim_end());
    }
    Ok(profile.folder())
}
