//! A server that is a few lines of Python, so that a test says when it becomes ready and how it fails.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use topology::kinds::{Found, Kind, Launch, Places, Ready, Role};
use topology::place::Place;
use topology::probe::Address;
use topology::{Options, Stack, Topology};

use crate::deployment::shipped;

/// The script finds its port in `sys.argv[1]`, and the test's file in `sys.argv[2]`.
#[derive(Debug)]
pub(crate) struct OwnKind {
    pub(crate) script: &'static str,
    pub(crate) ready: Ready,
    pub(crate) file: PathBuf,
}

impl Kind for OwnKind {
    fn name(&self) -> &'static str {
        "script"
    }

    fn role(&self) -> Role {
        Role::Server
    }

    fn find(&self, _places: &Places) -> Result<Found> {
        Ok(Found { program: "python3".into(), version: "0".to_owned() })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let Address::Tcp(address) = &place.listen else { anyhow::bail!("it is the first hop") };
        let mut command = Command::new(&found.program);
        command.args(["-c", self.script, &address.port().to_string()]).arg(&self.file);
        Ok(Launch { command, logs: Vec::new(), ready: self.ready })
    }
}

/// A topology of this hop alone, at this port.
pub(crate) async fn start(kind: OwnKind, port: Option<u16>) -> Result<Stack> {
    let topology = Topology::read(&shipped("default"))?;
    let mut topology = topology.serving(&xtask::workspace::root().join("apps/flaskr"))?;
    topology.hops.truncate(1);
    // For the rest of the test process: a topology's kinds are as lasting as their programs.
    topology.hops[0].kind = Box::leak(Box::new(kind));
    Stack::start(&topology, &Options { port, ..Options::default() }).await
}
