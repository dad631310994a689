//! Which upstream a name means: an `upstream` block, an address, or, where variables decide, what
//! the request says.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    conf::ConfError,
    exchange::Exchange,
    load::Site,
    log::Level,
    modules::upstream::{Upstreams, resolve, split_port},
    story::Proxied,
    upstream::{Address, Balance, Keepalive, PeerOptions, Upstream},
};

/// The upstreams of a file, for names that are known only when a request comes.
pub struct Known(Vec<Arc<Upstream>>);

/// The port of a place that says none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPort {
    Port(u16),
    /// The place has to say it.
    None,
}

impl DefaultPort {
    fn number(self) -> u16 {
        match self {
            DefaultPort::Port(port) => port,
            DefaultPort::None => 0,
        }
    }
}

/// What `127.0.0.1:8000`, `name` or `unix:/path` means, when the file is read.
pub fn settle(
    authority: &str,
    port: DefaultPort,
    site: &Site<'_>,
) -> Result<Arc<Upstream>, String> {
    let words = |error: ConfError| error.to_string();
    if let Some(upstream) = site.http::<Upstreams>().find(authority).map_err(words)? {
        return Ok(upstream);
    }
    check_port(authority, port)?;
    Ok(Arc::new(implicit(authority, resolve(authority, port.number())?)))
}

impl Known {
    pub fn all(site: &Site<'_>) -> Result<Known, String> {
        site.http::<Upstreams>().list().map(Known).map_err(|error| error.to_string())
    }

    /// What it means, when a request comes. `Err`: the status, after the log has heard why.
    pub fn find(
        &self,
        exchange: &Exchange,
        authority: &str,
        port: DefaultPort,
    ) -> Result<Arc<Upstream>, u16> {
        let named = |upstream: &&Arc<Upstream>| upstream.name.eq_ignore_ascii_case(authority);
        if let Some(upstream) = self.0.iter().find(named) {
            return Ok(Arc::clone(upstream));
        }
        if !is_numeric(authority) {
            // As nginx without a `resolver`: a name is never looked up while a client waits.
            let host = split_port(authority).map_or(authority, |(host, _)| host);
            exchange.log(Level::Error, &format!("no resolver defined to resolve {host}"));
            return Err(502);
        }
        let found = check_port(authority, port).and_then(|()| resolve(authority, port.number()));
        match found {
            Ok(addresses) => Ok(Arc::new(implicit(authority, addresses))),
            Err(message) => {
                exchange.log(Level::Error, &message);
                Err(500)
            }
        }
    }
}

fn check_port(authority: &str, port: DefaultPort) -> Result<(), String> {
    let says_none = || split_port(authority).is_some_and(|(_, port)| port.is_none());
    if port == DefaultPort::None && !authority.starts_with("unix:") && says_none() {
        return Err(format!("no port in upstream \"{authority}\""));
    }
    Ok(())
}

fn is_numeric(authority: &str) -> bool {
    let host = split_port(authority).map_or("", |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    authority.starts_with("unix:") || bare.parse::<std::net::IpAddr>().is_ok()
}

/// An address that is an upstream by itself keeps no idle connections: nginx keeps them for
/// `upstream` blocks only, and a server behind may well serve one connection at a time.
fn implicit(name: &str, addresses: Vec<Address>) -> Upstream {
    let peers = addresses.into_iter().map(|address| (address, PeerOptions::default()));
    Upstream::new(name, peers.collect(), Balance::RoundRobin, Keepalive::default())
}

/// What `$proxy_host` and `$proxy_port` say of it: as written, but `localhost` for a socket of the
/// file system.
pub fn proxied(authority: &str, default_port: u16) -> Proxied {
    if authority.starts_with("unix:") {
        return Proxied { host: Bytes::from_static(b"localhost"), port: default_port };
    }
    let (_, port) = split_port(authority).unwrap_or((authority, None));
    let host = Bytes::copy_from_slice(authority.as_bytes());
    Proxied { host, port: port.unwrap_or(default_port) }
}
