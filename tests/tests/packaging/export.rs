//! What `export` writes, as those read it for whom it is written: systemd, compose, Kubernetes, honcho.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use e2e::chain::free_port;
use e2e::hop::Hop;
use e2e::scratch::Scratch;
use e2e::visitor::Visitor;
use nix::sys::signal::Signal;
use topology::Topology;
use topology::export::{Format, export};
use xtask::probe::Address;
use xtask::progress::Progress;
use xtask::python::{Environment, Python};
use xtask::workspace;

use crate::site;

const SHIPPED: [&str; 6] = ["default", "nginx-gunicorn", "tls", "tls-nginx", "cdn", "postgresql"];

fn exported(name: &str, format: Format, port: Option<u16>) -> Result<(Scratch, Vec<PathBuf>)> {
    let file = workspace::root().join("topologies").join(name).with_extension("toml");
    let scratch = Scratch::new();
    let files = export(&Topology::read(&file)?, format, port, scratch.path())?;
    Ok((scratch, files))
}

fn validators() -> Result<Environment> {
    let requirements = workspace::root().join("tests/conf/validators.txt");
    Python::find()?.environment("venv-validators", &[requirements], Progress::Quiet)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The units of an export in a folder of their own, each command there to be found, and what is exchanged.
fn units(name: &str, left: &str, right: &str) -> Result<(Scratch, Vec<PathBuf>)> {
    let (exported, files) = exported(name, Format::Systemd, None)?;
    let scratch = Scratch::new();
    let mut units = Vec::new();
    for file in files.iter().filter(|file| file.starts_with("etc/systemd/system")) {
        let text = fs::read_to_string(exported.path().join(file))?.replace(left, right);
        let text: Vec<String> = text.lines().map(with_a_program_that_is_there).collect();
        let unit = scratch.join(&file.file_name().unwrap_or_default().to_string_lossy());
        fs::write(&unit, text.join("\n") + "\n")?;
        units.push(unit);
    }
    Ok((scratch, units))
}

fn with_a_program_that_is_there(line: &str) -> String {
    match line.strip_prefix("ExecStart=").and_then(|command| command.split_once(' ')) {
        Some((_, arguments)) => format!("ExecStart=/bin/true {arguments}"),
        None => line.to_owned(),
    }
}

fn verify(units: &[PathBuf]) -> Result<String> {
    let mut analyze = Command::new("systemd-analyze");
    let output = analyze.args(["verify", "--man=no"]).args(units).output();
    // An unknown key is a warning, and no failure.
    Ok(said(&output.context("no systemd-analyze: apt-get install systemd")?))
}

#[test]
fn systemd_takes_the_units() -> Result<()> {
    for name in SHIPPED {
        let (_scratch, units) = units(name, "", "")?;
        assert_eq!(verify(&units)?, "", "{name}");
    }
    let (_scratch, units) = units("default", "ProtectClock=", "ProtectClok=")?;
    assert!(verify(&units)?.contains("Unknown key 'ProtectClok'"));
    Ok(())
}

#[test]
fn the_services_are_confined() -> Result<()> {
    for name in SHIPPED {
        let (_scratch, units) = units(name, "", "")?;
        let services = units.iter().filter(|unit| unit.extension().is_some_and(|e| e == "service"));
        let mut count = 0;
        for service in services {
            let mut analyze = Command::new("systemd-analyze");
            let output = analyze.args(["security", "--offline=true"]).arg(service).output()?;
            let said = said(&output);
            let overall = said.lines().find(|line| line.contains("Overall exposure level"));
            let level = overall.and_then(|line| line.rsplit(": ").next()?.split(' ').next());
            let level: f64 = level.with_context(|| said.clone())?.parse()?;
            assert!(level < 3.0, "{level}: {said}");
            count += 1;
        }
        let hops = if name == "cdn" { 3 } else { 2 };
        assert_eq!(count, hops + 1, "{name}: and what prepares them");
    }
    Ok(())
}

fn compose_config(folder: &Path) -> Result<Output> {
    let mut compose = Command::new("docker-compose");
    compose.current_dir(folder).args(["-f", "docker-compose.yml", "config", "-q"]);
    compose.output().context("no docker-compose: apt-get install docker-compose")
}

#[test]
fn compose_takes_the_services() -> Result<()> {
    for name in SHIPPED {
        let (scratch, _) = exported(name, Format::Compose, None)?;
        let output = compose_config(scratch.path())?;
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
        let file = scratch.join("docker-compose.yml");
        let broken = fs::read_to_string(&file)?.replace("healthcheck:", "healthchek:");
        fs::write(&file, broken)?;
        assert!(!compose_config(scratch.path())?.status.success());
    }
    Ok(())
}

fn validate(validators: &Environment, file: &Path) -> Result<Output> {
    let mut command = Command::new(validators.program("kubernetes-validate"));
    Ok(command.arg("--strict").arg(file).output()?)
}

#[test]
fn kubernetes_takes_the_manifests() -> Result<()> {
    let validators = validators()?;
    for name in SHIPPED {
        let (scratch, files) = exported(name, Format::Kubernetes, None)?;
        let is_manifest = |file: &&PathBuf| {
            file.extension().is_some_and(|e| e == "yaml") && !file.ends_with("kustomization.yaml")
        };
        for file in files.iter().filter(is_manifest) {
            let file = scratch.path().join(file);
            let output = validate(&validators, &file)?;
            assert!(output.status.success(), "{}", said(&output));
            let broken = fs::read_to_string(&file)?.replace("metadata:", "metdata:");
            fs::write(scratch.join("broken.yaml"), broken)?;
            assert!(!validate(&validators, &scratch.join("broken.yaml"))?.status.success());
        }
        let script = workspace::root().join("tests/conf/check_kustomization.py");
        let checked = Command::new(validators.python()).arg(script).arg(scratch.path()).output()?;
        assert!(checked.status.success(), "{}", said(&checked));
    }
    Ok(())
}

/// As README.md of the export says: an environment, `prepare.sh`, `honcho start`.
#[tokio::test]
async fn honcho_runs_the_procfile() -> Result<()> {
    let validators = validators()?;
    for name in ["default", "nginx-gunicorn"] {
        let port = free_port()?;
        let (scratch, _) = exported(name, Format::Procfile, Some(port))?;
        let honcho = || {
            let mut honcho = Command::new(validators.program("honcho"));
            honcho.current_dir(scratch.path());
            honcho
        };
        let checked = honcho().arg("check").output()?;
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(said(&checked).contains("(gateway, edge)"), "{}", said(&checked));

        std::os::unix::fs::symlink(&site::environment()?.folder, scratch.join("venv"))?;
        let prepared = Command::new("sh").arg(scratch.join("prepare.sh")).output()?;
        ensure!(prepared.status.success(), "{}", said(&prepared));
        let mut start = honcho();
        start.arg("start");
        let mut running = Hop::start("honcho", start, &scratch.join("log"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        running.ready(&Address::Tcp(address), "/pybo/").await?;
        let mut visitor = Visitor::of(address);
        assert!(visitor.get("/pybo/").await?.text().contains("Question number 300"), "{name}");
        assert_eq!(visitor.get("/static/style.css").await?.status(), 200, "{name}");
        running.stop(Signal::SIGTERM).await?;
        assert!(!scratch.join("run/gateway.sock").exists(), "{}", scratch.read("log"));
        // Both wrote where honcho reads.
        let log = scratch.read("log");
        assert!(log.contains("GET /static/style.css"), "{log}");
        let answered = |line: &str| line.contains("gateway.1") && line.contains("GET /pybo/ ");
        assert!(log.lines().any(answered), "{log}");
    }
    Ok(())
}
