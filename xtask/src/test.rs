//! `test`: builds what the tests start, then runs them all. With `--real` it runs the suite that puts
//! the real nginx, gunicorn, uWSGI and Chromium beside ours: what is missing is named with the command that
//! installs it, and the command fails, because a skipped test is not a passed one. With `--packaging` it
//! runs the suite that installs everything with pip. With `--topology` it does what `causeway-topology test`
//! does, with what was just built.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use topology::command;
use topology::kinds::Places;
use xtask::application::Application;
use xtask::applications;
use xtask::peers;
use xtask::programs;
use xtask::progress::Progress;
use xtask::python::Python;
use xtask::workspace::{self, Profile};

use crate::up;

// Without it the tests of the repository are meant.
#[derive(Args)]
#[command(mut_arg("topology", |topology| topology.required(false)))]
pub(crate) struct Options {
    /// The suite that needs a real nginx, gunicorn and Chromium, instead of the one that needs nothing
    #[arg(long)]
    real: bool,
    /// The suite that installs everything with pip and runs it as a deployment does; builds for release
    #[arg(long, conflicts_with = "real")]
    packaging: bool,
    #[command(flatten)]
    deployment: Option<command::test::Test>,
    /// Passed on to cargo test
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// A program of another package, where it may lie, and what installs it.
const REAL: [(&str, &[&str], &str); 9] = [
    ("nginx", &["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"], "nginx-light"),
    ("chromium", &["/usr/bin/chromium", "/usr/bin/chromium-browser"], "chromium"),
    ("chromedriver", &["/usr/bin/chromedriver"], "chromium-driver"),
    ("uwsgi", &["/usr/bin/uwsgi"], "uwsgi-core uwsgi-plugin-python3"),
    (
        "postgres",
        &[
            "/usr/lib/postgresql/18/bin/postgres",
            "/usr/lib/postgresql/17/bin/postgres",
            "/usr/lib/postgresql/16/bin/postgres",
            "/usr/lib/postgresql/15/bin/postgres",
            "/usr/lib/postgresql/14/bin/postgres",
            "/usr/lib/postgresql/13/bin/postgres",
            "/usr/bin/postgres",
        ],
        "postgresql",
    ),
    ("ip", &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"], "iproute2"),
    ("caddy", &["/usr/bin/caddy"], "caddy"),
    ("haproxy", &["/usr/sbin/haproxy"], "haproxy"),
    ("apache2", &["/usr/sbin/apache2"], "apache2-bin"),
];

/// And what a deployment consists of, and what a client of the fault proxy runs on.
const PACKAGING: [(&str, &[&str], &str); 6] = [
    REAL[0],
    ("docker-compose", &["/usr/bin/docker-compose"], "docker-compose"),
    ("systemd-analyze", &["/usr/bin/systemd-analyze"], "systemd"),
    ("systemd-socket-activate", &["/usr/bin/systemd-socket-activate"], "systemd"),
    ("node", &["/usr/bin/node", "/usr/local/bin/node"], "nodejs"),
    ("npm", &["/usr/bin/npm", "/usr/local/bin/npm"], "npm"),
];

pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    if let Some(mut test) = options.deployment {
        test.topology = up::file(&test.topology.to_string_lossy());
        let built = programs::build(Profile::Debug, Progress::Shown)?;
        let places = Places { ours: Some(built), progress: Progress::Shown };
        return Ok(command::test::run(test, places)
            .await
            .unwrap_or_else(|error| command::refused(&error)));
    }
    let python = Python::find()?;
    if options.packaging {
        name_what_is_missing(&PACKAGING)?;
        let suite = ["--package", "e2e", "--features", "real", "--test", "packaging"];
        cargo_test(&suite, &[], &options.arguments)?;
        // Toxiproxy's public clients, from PyPI and npm, against the fault proxy.
        let clients = ["--package", "causeway-fault", "--features", "clients", "--test", "program"];
        cargo_test(&clients, &[], &options.arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.real {
        name_what_is_missing(&REAL)?;
    }
    programs::build(Profile::Debug, Progress::Shown)?;
    programs::build_some(&["causeway-topology"], Profile::Debug, Progress::Shown)?;
    for name in applications::names() {
        applications::named(&name)?.environment(&python, Progress::Shown)?;
    }
    peers::gunicorn(Progress::Shown)?;
    if options.real {
        let real = ["--package", "e2e", "--features", "real", "--test", "real"];
        cargo_test(&real, &[], &options.arguments)?;
        // The same journeys through the real ones: what passes here is a fact about HTTP and not a habit
        // of ours.
        let both = [("CHAIN_EDGE", "nginx"), ("CHAIN_GATEWAY", "gunicorn")];
        cargo_test(&["--package", "e2e", "--test", "chain"], &both, &options.arguments)?;
        // And what the edge is held to is held to nginx itself.
        let nginx = [("EDGE_BINARY", "/usr/sbin/nginx")];
        let edge = ["--package", "e2e", "--features", "real", "--test", "edge"];
        cargo_test(&edge, &nginx, &options.arguments)?;
        // A real uWSGI behind the edge.
        cargo_test(&[&edge[..], &["uwsgi"]].concat(), &[], &options.arguments)?;
        // And every program that can take a hop's place.
        let topology = ["--package", "e2e", "--features", "real", "--test", "topology"];
        cargo_test(&topology, &[], &options.arguments)?;
    } else {
        for name in applications::names() {
            test_application(&applications::named(&name)?, &python)?;
        }
        cargo_test(&["--workspace"], &[], &options.arguments)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn name_what_is_missing(wanted: &[(&str, &[&str], &str)]) -> Result<()> {
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(_, places, _)| !places.iter().any(|place| Path::new(place).is_file()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(name, _, _)| *name).collect();
    let packages: BTreeSet<&str> = missing.iter().map(|(_, _, package)| *package).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    bail!("these tests need {}: apt-get install {}", names.join(", "), packages.join(" "))
}

fn cargo_test(arguments: &[&str], variables: &[(&str, &str)], more: &[String]) -> Result<()> {
    let variables_shown: Vec<String> =
        variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
    println!("\n$ {}cargo test {}", variables_shown.concat(), arguments.join(" "));
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace::root())
        .args(["test", "--no-fail-fast"])
        .args(arguments)
        .args(more);
    cargo.env("E2E_BUILT", "1").envs(variables.iter().copied());
    let status = cargo.status().context("cannot start cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo test {} failed", arguments.join(" ")) }
}

/// The application's own tests, in its own environment.
fn test_application(application: &Application, python: &Python) -> Result<()> {
    let environment = application.environment(python, Progress::Shown)?;
    let data = workspace::state().join("tested").join(&application.name);
    std::fs::create_dir_all(&data)?;
    println!("\n$ tests of apps/{}", application.name);
    let status = application.test(&environment, &data).status()?;
    if status.success() { Ok(()) } else { bail!("the tests of apps/{} failed", application.name) }
}
