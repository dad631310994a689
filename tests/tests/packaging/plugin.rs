//! The pytest plugin, as pip brings it: Pybo's own tests on two deployments, and what one is told when
//! something is wrong.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use e2e::hop::Hop;
use e2e::scratch::Scratch;
use e2e::wire::PATIENCE;
use nix::sys::signal::Signal;
use xtask::process::Process;
use xtask::workspace;

use crate::site::environment;

const BOTH: &str = "topologies/default.toml,topologies/nginx-gunicorn.toml";

fn pytest(stack: &str, tests: &Path) -> Result<Command> {
    let mut command = Command::new(environment()?.python());
    command.current_dir(workspace::root()).args(["-m", "pytest", "-p", "no:cacheprovider"]);
    command.args(["-v", "--color=no", "--stack", stack]).arg(tests);
    // Where these are set, pytest repeats whole errors in its summary.
    command.env_remove("CI").env_remove("BUILD_NUMBER");
    Ok(command)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// A file of tests in a folder of its own.
fn tests(text: &str) -> Result<Scratch> {
    let scratch = Scratch::new();
    fs::write(scratch.join("test_it.py"), text)?;
    Ok(scratch)
}

#[test]
fn pybos_own_tests_pass_on_both() -> Result<()> {
    let output = pytest(BOTH, Path::new("apps/pybo/e2e"))?.output()?;
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("10 passed"), "{said}");
    for id in ["test_alice_logs_in[default]", "test_alice_logs_in[nginx-gunicorn]"] {
        assert!(said.contains(id), "{said}");
    }
    Ok(())
}

#[test]
fn a_failure_shows_what_each_hop_wrote_meanwhile() -> Result<()> {
    let scratch = tests(
        "import urllib.request\n\
         def test_fine(stack): urllib.request.urlopen(stack + '/static/style.css').read()\n\
         def test_fails(stack): assert urllib.request.urlopen(stack + '/pybo/?kw=found').status == 201\n",
    )?;
    let output = pytest("topologies/default.toml", scratch.path())?.output()?;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 failed, 1 passed"), "{said}");
    for hop in ["edge (edge) of default", "gateway (gateway) of default"] {
        let section = said.split(hop).nth(1).context(said.clone())?;
        assert!(section.contains("GET /pybo/?kw=found"), "{said}");
    }
    Ok(())
}

#[test]
fn a_topology_that_does_not_start_says_why() -> Result<()> {
    let scratch = tests("def test_never(stack): raise SystemExit\n")?;
    let python = environment()?.python();
    let topology = format!(
        "about = \"\"\n[application]\nfolder = \".\"\napplication = \"nothing:here\"\npython = \"{}\"\n[[hop]]\nkind = \"gateway\"\n",
        python.display()
    );
    let file = scratch.join("broken.toml");
    fs::write(&file, topology)?;
    let output = pytest(&file.to_string_lossy(), &scratch.join("test_it.py"))?.output()?;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 error"), "{said}");
    let why = "hop \"gateway\" (gateway) ended while it was starting";
    assert_eq!(said.matches(why).count(), 1, "{said}");
    assert!(said.contains("ModuleNotFoundError: No module named 'nothing'"), "{said}");
    assert!(!said.contains("stack.py"), "our own lines are nobody's business: {said}");
    Ok(())
}

#[test]
fn a_test_without_a_topology_fails() -> Result<()> {
    let scratch = tests("def test_never(stack): raise SystemExit\n")?;
    let mut command = Command::new(environment()?.python());
    command.current_dir(scratch.path()).args(["-m", "pytest", "-p", "no:cacheprovider"]);
    let output = command.output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("the fixture `stack` needs a topology: pytest --stack FILE"));
    Ok(())
}

#[tokio::test]
async fn killing_pytest_leaves_nothing() -> Result<()> {
    let scratch = tests(
        "import json, os, pathlib\n\
         def test_stays(stack):\n    \
             here = pathlib.Path(__file__).parent\n    \
             told = {'pids': [hop.pid for hop in stack.hops], 'folder': str(stack.folder)}\n    \
             (here / 'draft').write_text(json.dumps(told))\n    \
             (here / 'draft').rename(here / 'told')\n    \
             (here / 'fifo').read_text()\n",
    )?;
    nix::unistd::mkfifo(&scratch.join("fifo"), nix::sys::stat::Mode::S_IRWXU)?;
    let mut running = Hop::start(
        "pytest",
        pytest("topologies/default.toml", &scratch.join("test_it.py"))?,
        &scratch.join("log"),
    )?;
    let told = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        while !scratch.join("told").exists() {
            tick.tick().await;
        }
    };
    let came = tokio::time::timeout(PATIENCE, told).await;
    came.with_context(|| scratch.read("log"))?;
    let told: serde_json::Value = serde_json::from_str(&scratch.read("told"))?;
    let pids = told["pids"].as_array().context("a list")?;
    let pids = pids.iter().filter_map(|pid| Process::of(pid.as_i64()? as i32));
    let processes: Vec<Process> = pids.flat_map(Process::tree).collect();
    assert!(processes.len() > 2, "{told}");
    running.stop(Signal::SIGKILL).await?;
    for process in processes {
        assert!(process.gone_within(PATIENCE).await, "{}", process.command_line());
    }
    Ok(())
}
