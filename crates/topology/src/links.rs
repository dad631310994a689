//! What lies between two hops. Usually nothing does; with `Links::Faulty` there is a proxy of `fault`
//! between any two and before the first, which passes everything on until it is told to do worse: by
//! these handles, or by Toxiproxy's API.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fault::{Fault, Journal, Proxy};

use crate::probe::Address;

/// Whether faults can be put between the hops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    #[default]
    Direct,
    Faulty,
}

/// The way to one hop.
#[derive(Debug)]
pub struct Link {
    /// `client-edge`, `edge-gateway`; with a number when the right one is there several times.
    pub name: String,
    /// The hops' names in the topology.
    pub left: String,
    pub right: String,
    /// Where the left one connects to.
    pub address: Address,
    pub proxy: Proxy,
}

/// All of a stack.
#[derive(Debug)]
pub struct Wiring {
    pub links: Vec<Link>,
    /// Where Toxiproxy's control API listens.
    pub api: SocketAddr,
    /// What the proxies did.
    pub log: PathBuf,
    fault: Fault,
}

impl Wiring {
    pub(crate) async fn new(run: &Path) -> Result<Wiring> {
        let log = run.join("links.log");
        let file = File::create(&log)?;
        // A log that can not be written to must not stop what it tells of.
        let journal = Journal::new(move |line| drop(writeln!(&file, "{line}")));
        let (fault, api) = Fault::start("127.0.0.1:0", journal).await?;
        Ok(Wiring { links: Vec::new(), api, log, fault })
    }

    /// Puts a proxy at `front` for what listens, or will listen, at `back`.
    pub(crate) async fn add(
        &mut self,
        left: &str,
        right: (&str, &str),
        front: Address,
        back: &Address,
    ) -> Result<()> {
        let (right, instance) = right;
        let name = format!("{left}-{instance}");
        let proxy = self.fault.proxy(&name, &front.to_string(), &back.to_string()).await?;
        let (left, right) = (left.to_owned(), right.to_owned());
        self.links.push(Link { name, left, right, address: front, proxy });
        Ok(())
    }

    /// The first of that name; `first` and `last` are known, too.
    pub fn link(&self, name: &str) -> Result<&Link> {
        let links = &self.links;
        let found = match name {
            "first" => links.first(),
            "last" => links.last(),
            _ => links.iter().find(|link| {
                link.name == name
                    || name.strip_prefix(&link.left) == Some(&format!("-{}", link.right))
            }),
        };
        let known = || links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(", ");
        found.with_context(|| format!("there is no link \"{name}\": there are {}", known()))
    }

    /// The sockets that a hop's keeper has to unlink should we not be there to do it.
    pub(crate) fn sockets_of(&self, left: &str) -> Vec<PathBuf> {
        let links = self.links.iter().filter(|link| link.left == left);
        let sockets = links.filter_map(|link| match &link.address {
            Address::Unix(socket) => Some(socket.clone()),
            Address::Tcp(_) => None,
        });
        sockets.collect()
    }

    /// Makes anew the sockets that went with a hop.
    pub(crate) async fn mend(&self, left: &str) -> Result<()> {
        for link in self.links.iter().filter(|link| link.left == left) {
            if matches!(link.address, Address::Unix(_)) && link.proxy.is_enabled() {
                link.proxy.disable().await;
                link.proxy.enable().await?;
            }
        }
        Ok(())
    }
}
