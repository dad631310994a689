//! The units under `packaging/systemd`, as systemd reads them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::scratch::Scratch;
use xtask::workspace;

fn packaged(name: &str) -> Result<String> {
    Ok(fs::read_to_string(workspace::root().join("packaging/systemd").join(name))?)
}

/// What `systemd-analyze verify` has to say of the pair; nothing, if all is well.
fn verify(service: &str) -> Result<String> {
    let scratch = Scratch::new();
    // It looks whether the program is there.
    let installed = "/srv/app/venv/bin/causeway-gateway";
    ensure!(service.contains(installed), "the unit runs {installed}");
    fs::write(scratch.join("causeway-gateway.service"), service.replace(installed, "/bin/true"))?;
    fs::write(scratch.join("causeway-gateway.socket"), packaged("causeway-gateway.socket")?)?;
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["verify", "--man=no"]).args(
        ["causeway-gateway.service", "causeway-gateway.socket"].map(|name| scratch.join(name)),
    );
    let output = analyze.output().context("no systemd-analyze: apt-get install systemd")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

#[test]
fn systemd_takes_them() -> Result<()> {
    assert_eq!(verify(&packaged("causeway-gateway.service")?)?, "");
    Ok(())
}

#[test]
fn systemd_would_say_what_is_wrong() -> Result<()> {
    let broken = packaged("causeway-gateway.service")?.replace("ProtectClock=", "ProtectClok=");
    assert!(verify(&broken)?.contains("Unknown key"));
    Ok(())
}

/// Requests in hand are not killed by systemd before the gateway itself would.
#[test]
fn there_is_time_to_drain() -> Result<()> {
    let service = packaged("causeway-gateway.service")?;
    let seconds = service.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
    let seconds: u32 = seconds.context("no TimeoutStopSec")?.parse()?;
    let flags = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let page = fs::read_to_string(flags)?;
    let row = page.lines().find(|line| line.starts_with("| `graceful_timeout`"));
    let default = row.and_then(|row| row.split('|').nth(3)).context("no default")?;
    let graceful: u32 = default.trim().trim_matches('`').parse()?;
    assert!(seconds > graceful, "{seconds} > {graceful}");
    Ok(())
}
