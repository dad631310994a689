//! Hosts that are network namespaces: each reaches the others by its own address, and this machine none
//! of them but by the entrance. They need root.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use topology::probe::Address;
use topology::{Options, Stack, Topology};

use crate::deployment::shipped;

fn network(pid: i32) -> Result<PathBuf> {
    Ok(std::fs::read_link(format!("/proc/{pid}/ns/net"))?)
}

async fn text(stack: &Stack, path: &str) -> Result<serde_json::Value> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(stack.url.join(path)?).send().await?;
    serde_json::from_str(&answer.text().await?).context("not JSON")
}

#[tokio::test]
async fn each_hop_is_on_a_machine_of_its_own() {
    let topology = Topology::read(&shipped("hosts")).unwrap();
    let topology = topology.serving(&xtask::workspace::root().join("apps/flaskr")).unwrap();
    let before = interfaces().unwrap();
    // Two runs have the same addresses, and never meet.
    let options = Options::default();
    let (one, two) =
        tokio::join!(Stack::start(&topology, &options), Stack::start(&topology, &options));
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    assert_eq!(interfaces().unwrap(), before);
    let mut networks = BTreeSet::from([network(std::process::id() as i32).unwrap()]);
    for hop in one.hops.iter().chain(&two.hops) {
        assert!(
            networks.insert(network(hop.process.pid).unwrap()),
            "{} shares a network",
            hop.name
        );
    }
    for stack in [&one, &two] {
        let said = text(stack, "environ").await.unwrap();
        let environ = &said["environ"];
        let hosts = &stack.hosts.as_ref().unwrap().hosts;
        assert_eq!(environ["REMOTE_ADDR"], hosts["web"].address.to_string());
        assert_eq!(environ["HTTP_X_REAL_IP"], "10.77.0.1", "the entrance is on the switch");
        let Address::Tcp(database) = stack.hop("database").unwrap().address else { panic!() };
        assert_eq!(database.ip(), hosts["data"].address);
        assert!(hosts["application"].namespace.inside(|| TcpStream::connect(database)).is_ok());
    }
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

/// What this machine's own network consists of.
fn interfaces() -> Result<BTreeSet<String>> {
    let table = std::fs::read_to_string("/proc/self/net/dev")?;
    let lines = table.lines();
    Ok(lines.filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect())
}
