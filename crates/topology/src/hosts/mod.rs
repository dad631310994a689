//! Several machines on this one: each host a network namespace with one cable to a switch, which is a
//! bridge in a namespace of its own. They hang on descriptors of this process and on the programs inside
//! of them, and on nothing else: no name, no file, nothing in the machine's own network. So they are gone
//! with us and the programs.

mod entrance; // the way in from outside
mod namespace;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::file::Topology;
use crate::kinds::Places;
use crate::{step, sys};

pub use self::entrance::Entrance;
pub use self::namespace::Namespace;

/// The addresses in there: `10.77.0.0/24`, the same in every run, since no two runs see each other.
const NETWORK: [u8; 3] = [10, 77, 0];

/// The switch's own, from which those outside come in.
const OUTSIDE: u8 = 1;

/// As many as there are addresses for, less the switch's and the two that are none.
const MOST: usize = 250;

/// The hosts of one run.
#[derive(Debug)]
pub struct Hosts {
    pub switch: Namespace,
    pub hosts: BTreeMap<String, Host>,
}

/// One machine.
#[derive(Debug)]
pub struct Host {
    pub address: Ipv4Addr,
    pub namespace: Namespace,
}

impl Hosts {
    /// Those the topology names; `None` when it names none.
    pub(crate) fn of(topology: &Topology, places: &Places, run: &Path) -> Result<Option<Hosts>> {
        let hops = topology.hops.iter().chain(&topology.database_hop);
        let mut names: Vec<&str> = hops.filter_map(|hop| hop.host.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            return Ok(None);
        }
        ensure!(names.len() <= MOST, "{} hosts are more than {MOST}", names.len());
        let ip = places.debian(&["ip"], "iproute2")?;
        let switch = Namespace::new()?;
        let mut hosts = BTreeMap::new();
        let mut cables = format!(
            "link set lo up\nlink add name switch type bridge\naddr add {}/24 dev switch\nlink set switch up\n",
            address(OUTSIDE)
        );
        for (number, name) in (OUTSIDE + 1..).zip(names) {
            let namespace = Namespace::new()?;
            let host = Host { address: address(number), namespace };
            // A host's name may be longer than an interface's.
            let end = host.namespace.path();
            let end = end.display();
            write!(
                cables,
                "link add name host{number} type veth peer name eth0 netns {end}\nlink set host{number} master switch up\n"
            )?;
            hosts.insert(name.to_owned(), host);
        }
        command(&ip, &switch, &run.join("switch.ip"), &cables)?;
        for (name, host) in &hosts {
            let settings = format!(
                "link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\n",
                host.address
            );
            command(&ip, &host.namespace, &run.join(format!("{name}.ip")), &settings)?;
        }
        Ok(Some(Hosts { switch, hosts }))
    }

    /// The one of that name, which the topology has.
    pub(crate) fn host(&self, name: Option<&str>) -> Option<&Host> {
        self.hosts.get(name?)
    }
}

fn address(number: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, number)
}

/// Lets `ip` do what the text says, inside of the namespace.
fn command(ip: &Path, namespace: &Namespace, file: &PathBuf, text: &str) -> Result<()> {
    fs::write(file, text)?;
    let mut command = Command::new(ip);
    command.arg("-batch").arg(file);
    sys::enter(&mut command, namespace.descriptor()?);
    step::run(command, "the hosts can not be connected")
}
