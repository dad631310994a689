//! A topology that runs: laid out from the browser's side, started from the application's, each hop only
//! when the one behind it can be used; stopped the other way round. Whatever becomes of us, nothing of it
//! is left: see `keeper`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use url::Url;

use crate::database;
use crate::file::{Hop, Listen, Protocol, Topology};
use crate::hop::Running;
use crate::hosts::{Entrance, Hosts};
use crate::kinds::{Found, Places};
use crate::links::{Link, Links, Wiring};
use crate::place::{Place, Purpose};
use crate::port::Port;
use crate::prepared;
use crate::probe::Address;
use crate::progress::Progress;
use crate::run_folder::RunFolder;
use crate::step::on_a_thread;
use crate::subject::{Server, Subject};
use crate::tls::Tls;

/// `sockaddr_un` has 108 bytes, the last of them a zero.
const LONGEST_SOCKET: usize = 107;

/// Where the first hop of a topology listens on its host, and the others from there on.
const FIRST_OF_HOST: u16 = 8000;

/// How a topology is to be started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub places: Places,
    pub progress: Progress,
    /// Where the first hop listens; any free port when nothing is said.
    pub port: Option<u16>,
    /// More variables for the application.
    pub variables: Vec<(String, String)>,
    /// Where the application's data is, and stays; a copy for this run when nothing is said. What is in
    /// PostgreSQL is always this run's own.
    pub data: Option<PathBuf>,
    /// Keep the folder with configurations and logs.
    pub keep: bool,
    /// Whether faults can be put between the hops.
    pub links: Links,
    /// Serve a copy of the application, which may then be spoilt.
    pub own_application: bool,
}

/// A running topology. Dropping it ends every process of it.
#[derive(Debug)]
pub struct Stack {
    /// In the order in which a request meets them; then the database, when it is a server.
    pub hops: Vec<Running>,
    pub url: Url,
    /// Whom to trust when the URL is https.
    pub authority: Option<PathBuf>,
    pub subject: Subject,
    /// The proxies between the hops, when there are some.
    pub wiring: Option<Wiring>,
    /// The machines they are on, when these are several.
    pub hosts: Option<Hosts>,
    _entrance: Option<Entrance>,
    _ports: Vec<Port>,
    folder: RunFolder,
}

impl Stack {
    /// Once every hop can be used.
    pub async fn start(topology: &Topology, options: &Options) -> Result<Stack> {
        // What is missing is said before anything is made.
        let (hops, places) = (topology.hops.clone(), options.places.clone());
        let find = move || hops.iter().map(|hop| hop.kind.find(&places)).collect();
        let found: Vec<Found> = on_a_thread(find).await?;
        let folder = RunFolder::make(options.keep)?;
        let run = folder.path().to_owned();
        let hosts = Hosts::of(topology, &options.places, &run)?;
        let server = server(topology, options, &folder, hosts.as_ref())?;
        let mut ports = Vec::new();
        let addresses = addresses(topology, options, &run, hosts.as_ref(), &mut ports)?;
        let (fronts, wiring) = fronts(topology, options, &run, &addresses, &mut ports).await?;
        let mut subject = {
            let (topology, server) = (topology.clone(), server.clone());
            let (options, run) = (options.clone(), run.clone());
            on_a_thread(move || Subject::of(&topology, server.as_ref(), &options, &run)).await?
        };
        if options.own_application {
            let copy = run.join("application");
            prepared::copy(&subject.application.folder, &copy)?;
            subject.application.folder = copy;
        }
        if topology.hops.iter().any(|hop| hop.user.is_some()) {
            // Whoever that is has to come by here to reach a socket.
            fs::set_permissions(&run, fs::Permissions::from_mode(0o711))?;
        }
        let first = &topology.hops[0];
        let outside = match (&hosts, &fronts[0][0]) {
            (None, Address::Tcp(address)) => *address,
            _ => loopback(loopback_port(options.port, &mut ports)?),
        };
        let scheme = if first.tls { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{outside}/"))?;
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend(
            hosts
                .iter()
                .filter_map(|hosts| Some(hosts.host(first.host.as_deref())?.address.to_string())),
        );
        let tls = if first.tls { Some(Tls::make(&run, &names)?) } else { None };

        let mut hops = Vec::new();
        let namespace = |hop: &Hop| Some(&hosts.as_ref()?.host(hop.host.as_deref())?.namespace);
        if let (Some(server), Some(hop)) = (&server, &topology.database_hop) {
            let place = Place {
                purpose: Purpose::Run,
                name: hop.name.clone(),
                hop,
                folder: server.folder.clone(),
                listen: server.address.clone(),
                upstreams: Vec::new(),
                upstream_protocol: Protocol::Http,
                also_unlinks: Vec::new(),
                subject: &subject,
                tls: None,
                namespace: namespace(hop),
            };
            hops.push(start(&place, &server.found, options.progress).await?);
        }
        for (at, hop) in topology.hops.iter().enumerate().rev() {
            for (number, listen) in addresses[at].iter().enumerate().rev() {
                let name = instance(hop, number);
                let place = Place {
                    purpose: Purpose::Run,
                    folder: run.join(&name),
                    hop,
                    listen: listen.clone(),
                    upstreams: fronts.get(at + 1).cloned().unwrap_or_default(),
                    upstream_protocol: topology.protocol_behind(at),
                    also_unlinks: wiring
                        .iter()
                        .flat_map(|wiring| wiring.sockets_of(&hop.name))
                        .collect(),
                    subject: &subject,
                    tls: tls.as_ref().filter(|_| at == 0),
                    namespace: namespace(hop),
                    name,
                };
                hops.push(start(&place, &found[at], options.progress).await?);
            }
        }
        hops.reverse();
        let entrance = match (&hosts, &addresses[0][0]) {
            (Some(hosts), Address::Tcp(inside)) => {
                Some(Entrance::open(outside, *inside, &hosts.switch).context("the entrance")?)
            }
            _ => None,
        };
        let authority = tls.map(|tls| tls.authority);
        Ok(Stack {
            hops,
            url,
            authority,
            subject,
            wiring,
            hosts,
            _entrance: entrance,
            _ports: ports,
            folder,
        })
    }

    /// Configurations, logs, sockets, data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The first of that name.
    pub fn hop(&self, name: &str) -> Result<&Running> {
        let known = || self.hops.iter().map(|hop| hop.name.as_str()).collect::<Vec<_>>().join(", ");
        let mut hops = self.hops.iter();
        hops.find(|hop| hop.name == name || hop.of == name)
            .with_context(|| format!("there is no hop \"{name}\": there are {}", known()))
    }

    /// The way from one hop to the next, as `edge-gateway`, or to the first, as `client-edge`. The stack has
    /// to be started with `Links::Faulty`.
    pub fn link(&self, name: &str) -> Result<&Link> {
        self.wiring
            .as_ref()
            .context("nothing can be put between these hops: start them with faulty links")?
            .link(name)
    }

    /// Starts once more every hop that has ended, and names them. Nobody waits until they can be used.
    pub(crate) async fn revive(&mut self) -> Result<Vec<String>> {
        let mut revived = Vec::new();
        for hop in self.hops.iter_mut().filter(|hop| !hop.process.alive()) {
            hop.start_again()?;
            if let Some(wiring) = &self.wiring {
                wiring.mend(&hop.of).await?;
            }
            revived.push(hop.name.clone());
        }
        Ok(revived)
    }

    /// Which hop has ended, when one does that nobody stopped.
    pub async fn first_to_end(&self) -> &Running {
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            if let Some(hop) = self.hops.iter().find(|hop| !hop.process.alive()) {
                return hop;
            }
        }
    }

    /// From the browser's side on: each hop has finished before the one it forwards to goes.
    pub async fn stop(&mut self) -> Result<()> {
        for hop in &mut self.hops {
            hop.stop().await?;
        }
        Ok(())
    }
}

impl Drop for Stack {
    /// All at once, and then each is waited for.
    fn drop(&mut self) {
        self.hops.iter_mut().for_each(Running::cut);
    }
}

/// Once it can be used.
async fn start(place: &Place<'_>, found: &Found, progress: Progress) -> Result<Running> {
    fs::create_dir_all(&place.folder)?;
    let _step = progress.step(&format!("{} ({})", place.name, place.hop.kind.name()));
    let mut running = Running::start(place, found)?;
    running.until_ready(place).await?;
    Ok(running)
}

/// The database's server before it runs, when it is one.
fn server(
    topology: &Topology,
    options: &Options,
    run: &RunFolder,
    hosts: Option<&Hosts>,
) -> Result<Option<Server>> {
    let Some(hop) = &topology.database_hop else { return Ok(None) };
    let found = hop.kind.find(&options.places)?;
    let folder = run.path().join(&hop.name);
    let host = hosts.and_then(|hosts| hosts.host(hop.host.as_deref()));
    let address = host.map_or_else(
        || database::socket(&folder),
        |host| Address::Tcp((host.address, database::PORT).into()),
    );
    Ok(Some(Server { found, address, folder }))
}

/// Where each hop listens; several addresses for one that is there several times.
fn addresses(
    topology: &Topology,
    options: &Options,
    run: &Path,
    hosts: Option<&Hosts>,
    ports: &mut Vec<Port>,
) -> Result<Vec<Vec<Address>>> {
    let mut addresses = Vec::new();
    // A host's ports are its own, and nobody else is there.
    let mut own_ports = FIRST_OF_HOST..;
    for (at, hop) in topology.hops.iter().enumerate() {
        let of_hop = (0..hop.count).map(|number| match (hop.listen, hosts) {
            (Listen::Tcp, Some(hosts)) => {
                let host = hosts.host(hop.host.as_deref()).context("every hop has its host")?;
                let port = own_ports.next().context("there are as many ports as hops")?;
                Ok(Address::Tcp((host.address, port).into()))
            }
            (Listen::Tcp, None) => {
                // With a proxy before it, it is the proxy that browsers come to.
                let wanted = options.port.filter(|_| at == 0 && options.links == Links::Direct);
                Ok(Address::Tcp(loopback(loopback_port(wanted, ports)?)))
            }
            (Listen::Unix, _) => socket(run, &instance(hop, number)),
        });
        addresses.push(of_hop.collect::<Result<Vec<Address>>>()?);
    }
    Ok(addresses)
}

/// Where each hop is found by the one before it: itself, or the proxy that lies between.
async fn fronts(
    topology: &Topology,
    options: &Options,
    run: &Path,
    addresses: &[Vec<Address>],
    ports: &mut Vec<Port>,
) -> Result<(Vec<Vec<Address>>, Option<Wiring>)> {
    if options.links == Links::Direct {
        return Ok((addresses.to_vec(), None));
    }
    ensure!(
        topology.hops.iter().all(|hop| hop.host.is_none()),
        "no faults can be put between hops that have hosts of their own yet"
    );
    let mut wiring = Wiring::new(run).await?;
    let mut fronts = Vec::new();
    for (at, hop) in topology.hops.iter().enumerate() {
        let left = at.checked_sub(1).map_or("client", |left| topology.hops[left].name.as_str());
        let mut of_hop = Vec::new();
        for (number, back) in addresses[at].iter().enumerate() {
            let instance = instance(hop, number);
            let front = match back {
                Address::Tcp(_) => {
                    let wanted = options.port.filter(|_| at == 0);
                    Address::Tcp(loopback(loopback_port(wanted, ports)?))
                }
                Address::Unix(_) => socket(run, &format!("{left}-{instance}"))?,
            };
            wiring.add(left, (&hop.name, &instance), front.clone(), back).await?;
            of_hop.push(front);
        }
        fronts.push(of_hop);
    }
    Ok((fronts, Some(wiring)))
}

fn socket(run: &Path, name: &str) -> Result<Address> {
    let socket = run.join(format!("{name}.sock"));
    let length = socket.as_os_str().len();
    ensure!(
        length <= LONGEST_SOCKET,
        "\"{}\" is {length} bytes long, and a unix socket's name has {LONGEST_SOCKET} at most: set TMPDIR to a shorter folder",
        socket.display()
    );
    Ok(Address::Unix(socket))
}

/// This one, if it is free; else any.
fn loopback_port(wanted: Option<u16>, ports: &mut Vec<Port>) -> Result<u16> {
    let port = match wanted {
        Some(number) => Port::this(number)?,
        None => Port::any()?,
    };
    let number = port.number;
    ports.push(port);
    Ok(number)
}

fn instance(hop: &Hop, number: usize) -> String {
    if hop.count == 1 { hop.name.clone() } else { format!("{}-{}", hop.name, number + 1) }
}

fn loopback(port: u16) -> SocketAddr {
    (IpAddr::V4(Ipv4Addr::LOCALHOST), port).into()
}
