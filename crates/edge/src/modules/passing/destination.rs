//! Which upstream a name means: an `upstream` block, an address, or, where variables decide, what
//! the request says.

use std::{future::poll_fn, net::IpAddr, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;

use crate::{
    exchange::Exchange,
    load::Site,
    log::Level,
    modules::{
        resolver::Resolvers,
        upstream::{Upstreams, resolve, split_port},
    },
    resolver::{ResolveError, Resolver},
    story::Proxied,
    upstream::{Address, Upstream},
};

/// What a location can make of a name that is known only when a request comes.
pub struct Known {
    upstreams: Arc<Upstreams>,
    resolver: Option<Arc<Resolver>>,
    timeout: Duration,
}

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
    let upstreams = site.http::<Upstreams>();
    if !upstreams.has_block(authority) {
        check_port(authority, port)?;
    }
    upstreams.settle(authority, port.number())
}

impl Known {
    pub fn all(site: &Site<'_>) -> Known {
        let resolvers = site.get::<Resolvers>();
        Known {
            upstreams: site.http(),
            resolver: resolvers.resolver(),
            timeout: resolvers.timeout(),
        }
    }

    /// What it means, when a request comes. `Err`: the status, after the log has heard why.
    pub async fn find(
        &self,
        exchange: &Exchange,
        authority: &str,
        port: DefaultPort,
    ) -> Result<Arc<Upstream>, u16> {
        if let Some(upstream) = self.upstreams.find(authority, port.number()) {
            return Ok(upstream);
        }
        let fail = |status: u16, message: &str| {
            exchange.log(Level::Error, message);
            Err(status)
        };
        if let Err(message) = check_port(authority, port) {
            return fail(500, &message);
        }
        if is_numeric(authority) {
            return match resolve(authority, port.number()) {
                Ok(addresses) => Ok(Arc::new(Upstream::implicit(authority, addresses))),
                Err(message) => fail(500, &message),
            };
        }
        let (host, said) = match split_port(authority) {
            Some((host, said)) if !host.is_empty() => (host, said),
            Some(_) => return fail(500, &format!("no host in upstream \"{authority}\"")),
            None => return fail(500, &format!("invalid port in upstream \"{authority}\"")),
        };
        let Some(resolver) = &self.resolver else {
            return fail(502, &format!("no resolver defined to resolve {host}"));
        };
        // Boxed: it is seldom waited for, and should not make every wait large.
        match Box::pin(self.look_up(resolver, exchange, host)).await {
            None => {
                let message = "client prematurely closed connection while resolving";
                exchange.log(Level::Info, message);
                Err(499)
            }
            Some(Err(error)) => fail(502, &format!("{host} could not be resolved ({error})")),
            Some(Ok(found)) => {
                let port = said.unwrap_or(port.number());
                let found = found.into_iter().map(|ip| Address::Ip((ip, port).into()));
                Ok(Arc::new(Upstream::implicit(authority, found.collect())))
            }
        }
    }

    /// `None`: the client has left.
    async fn look_up(
        &self,
        resolver: &Arc<Resolver>,
        exchange: &Exchange,
        host: &str,
    ) -> Option<Result<Vec<IpAddr>, ResolveError>> {
        let log = &exchange.location.error_log;
        let mut resolving = pin!(resolver.resolve(host, self.timeout, log));
        poll_fn(|context| match resolving.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => exchange.client.poll_gone(context).map(|()| None),
        })
        .await
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
