//! The programs under test, as cargo builds them beside this test's own executable. They are brought up
//! to date once per test process, so that plain `cargo test` never tests yesterday's binary.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};

/// Set by `cargo xtask test`, which builds everything before it starts.
const BUILT: &str = "E2E_BUILT";

const PACKAGES: [&str; 5] = [
    "causeway-edge",
    "causeway-gateway",
    "causeway-app-host",
    "causeway-client",
    "causeway-topology",
];

/// The path of one of our programs.
pub fn program(name: &str) -> Result<PathBuf> {
    static BUILD: OnceLock<Result<(), String>> = OnceLock::new();
    let built =
        BUILD.get_or_init(|| if std::env::var_os(BUILT).is_some() { Ok(()) } else { build() });
    if let Err(reason) = built {
        bail!("{reason}");
    }
    let path = profile_folder()?.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        bail!("\"{}\" is missing: run cargo xtask test", path.display())
    }
}

/// `target/debug`, from `target/debug/deps/chain-0123456789abcdef`.
fn profile_folder() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(|deps| deps.parent());
    Ok(folder.context("a test executable lies in target/PROFILE/deps")?.to_owned())
}

fn build() -> Result<(), String> {
    let folder = profile_folder().map_err(|error| error.to_string())?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    cargo.current_dir(xtask::workspace::root()).args(["build", "--quiet", "--profile", profile]);
    cargo.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
    if let Some(target) = folder.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    match xtask::python::run(cargo, "the programs under test do not build") {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("{error:#}")),
    }
}
