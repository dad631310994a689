//! Faults that topologies suffer: what was expected of each comes, what was not is found, and the sockets
//! of the proxies between the hops go with whoever made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::binary;
use e2e::scratch::Scratch;
use e2e::wire::PATIENCE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use topology::Topology;
use topology::faults::{Outcome, Scenario, Table};
use topology::kinds::Places;
use topology::progress::Progress;

use crate::deployment::shipped;

fn folder() -> PathBuf {
    xtask::workspace::root().join("faults")
}

fn shipped_fault(name: &str) -> Result<Scenario> {
    Scenario::read(&folder().join(name).with_extension("toml"))
}

fn built() -> Result<()> {
    for program in ["causeway-edge", "causeway-gateway", "causeway-app-host"] {
        binary::program(program)?;
    }
    Ok(())
}

async fn suffered(topology: &str, scenarios: &[Scenario]) -> Result<Vec<Outcome>> {
    built()?;
    let topology = Topology::read(&shipped(topology))?;
    let mut table = Table::of(&topology, &Places::default(), Progress::Quiet);
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        outcomes.push(table.suffer(scenario).await?);
    }
    Ok(outcomes)
}

#[test]
fn every_shipped_fault_can_be_read() -> Result<()> {
    let mut count = 0;
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Scenario::read(&path)?;
            count += 1;
        }
    }
    assert!(count >= 25, "{count}");
    Ok(())
}

#[tokio::test]
async fn our_own_chain_bears_what_it_promises_to_bear() -> Result<()> {
    let names = ["down", "http_drop", "http_huge_header", "broken_configuration", "kill_worker"];
    let scenarios = names.iter().map(|name| shipped_fault(name)).collect::<Result<Vec<_>>>()?;
    for outcome in suffered("default", &scenarios).await? {
        assert_eq!(outcome.failures, Vec::<String>::new(), "{outcome:?}");
        assert!(outcome.right > 0, "{outcome:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_not_expected_is_found_and_so_is_what_did_not_come() -> Result<()> {
    let scratch = Scratch::new();
    let read = |name: &str, expected: &str| {
        let application = xtask::workspace::root().join("apps/flaskr");
        let file = scratch.path().join(name);
        let text = format!(
            "about = \"\"\nseconds = 0.3\napplication = \"{}\"\n[[step]]\ndo = \"down\"\nlink = \"edge-gateway\"\n[[expect]]\non = [\"*\"]\n{expected}",
            application.display()
        );
        fs::write(&file, text)?;
        Scenario::read(&file)
    };
    let scenarios = [
        read("nothing.toml", "")?,
        read("another.toml", "sees = [\"504\"]\nmay_see = [\"502\"]")?,
        read("fewer.toml", "sees = [\"502\"]\nat_most = 0")?,
        read("slower.toml", "sees = [\"502\"]\nslowest_ms = 60000")?,
        read("end.toml", "sees = [\"502\"]\nends = [\"gateway\"]")?,
        read("line.toml", "sees = [\"502\"]\nlog = { gateway = \"nobody writes this\" }")?,
    ];
    let expected = [
        "users saw \"502\"",
        "users were expected to see \"504\", and nobody did",
        "and 0 at most were expected",
        "and 60000 ms at least were expected",
        "hop \"gateway\" was expected to end, and it did not",
        "hop \"gateway\" wrote no line that matches \"nobody writes this\"",
    ];
    let outcomes = suffered("default", &scenarios).await?;
    for (outcome, expected) in outcomes.iter().zip(expected) {
        assert_eq!(outcome.failures.len(), 1, "{outcome:?}");
        assert!(outcome.failures[0].contains(expected), "{outcome:?}");
    }
    Ok(())
}

#[test]
fn a_fault_that_is_not_understood_is_refused_by_its_file() -> Result<()> {
    let scratch = Scratch::new();
    let file = scratch.path().join("own.toml");
    let step = "[[step]]\ndo = \"signal\"\nhop = \"last\"\nsignal = \"KILL\"\n";
    for (text, expected) in [
        ("about = \"\"\n", "missing field `step`"),
        ("about = \"\"\nstep = []\n", "a fault has at least one [[step]]"),
        ("about = \"\"\n[[step]]\ndo = \"explode\"\n", "unknown variant `explode`"),
        (
            "about = \"\"\n[[step]]\ndo = \"signal\"\nhop = \"last\"\nsignal = \"BANG\"\n",
            "\"BANG\" is not a signal",
        ),
        (
            "about = \"\"\n[[step]]\ndo = \"toxic\"\nlink = \"last\"\ntoxic = { type = \"acid\" }\n",
            "invalid toxic type: \"acid\"",
        ),
        (&format!("about = \"\"\nseconds = 3600.0\n{step}"), "seconds = 3600 is not between"),
        (
            &format!("about = \"\"\n{step}[[expect]]\non = [\"*\"]\nsees = [\"sorrow\"]\n"),
            "\"sorrow\" is neither a status nor one of",
        ),
    ] {
        fs::write(&file, text)?;
        let error = Scenario::read(&file).err().with_context(|| text.to_owned())?;
        let error = format!("{error:#}");
        assert!(error.contains("own.toml") && error.contains(expected), "{error}");
    }
    Ok(())
}

/// `up --faults` by hand: Toxiproxy's API takes a link down, and after a `kill -9` no socket is left.
#[tokio::test]
async fn the_proxies_obey_toxiproxys_api_and_leave_no_socket_behind() -> Result<()> {
    built()?;
    let scratch = Scratch::new();
    let root = xtask::workspace::root();
    let mut command = tokio::process::Command::new(binary::program("causeway-topology")?);
    command.args(["up", "--json", "--faults", "--topology"]).arg(shipped("default"));
    command.arg("--application").arg(root.join("apps/flaskr"));
    command.current_dir(root).env("TMPDIR", scratch.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().context("it is a pipe")?);
    tokio::time::timeout(PATIENCE * 6, out.read_line(&mut line)).await.context("no word")??;
    let said: serde_json::Value = serde_json::from_str(&line).with_context(|| line.clone())?;
    let names = said["links"].as_array().context("links")?.iter().map(|link| &link["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["client-edge", "edge-gateway"]);
    let place = |name: &str| {
        let url = said[name].as_str()?;
        Some(url.strip_prefix("http://")?.trim_end_matches('/').to_owned())
    };
    let (front, api) = (place("url").context("url")?, place("faults").context("faults")?);

    ensure!(status(&front, "GET / HTTP/1.1", "").await? == 200, "no right answer");
    let down = "{\"enabled\": false}";
    ensure!(status(&api, "POST /proxies/edge-gateway HTTP/1.1", down).await? == 200, "the API");
    ensure!(status(&front, "GET / HTTP/1.1", "").await? == 502, "the link is not down");
    ensure!(status(&api, "POST /reset HTTP/1.1", "").await? == 204, "the API");
    ensure!(status(&front, "GET / HTTP/1.1", "").await? == 200, "the link is not up");
    ensure!(!sockets(scratch.path()).is_empty(), "the links are no unix sockets");

    let pid = Pid::from_raw(child.id().context("it runs")? as i32);
    kill(pid, Signal::SIGKILL)?;
    child.wait().await?;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let gone = async {
        while !sockets(scratch.path()).is_empty() {
            tick.tick().await;
        }
    };
    let gone = tokio::time::timeout(PATIENCE, gone).await;
    gone.with_context(|| format!("left: {:?}", sockets(scratch.path())))
}

async fn status(address: &str, line: &str, body: &str) -> Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{line}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("not an answer: {answer:?}"))
}

/// Every unix socket below a folder.
fn sockets(folder: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::FileTypeExt as _;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(sockets(&entry.path())),
            Ok(kind) if kind.is_socket() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
