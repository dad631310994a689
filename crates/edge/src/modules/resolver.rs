//! `resolver`, `resolver_timeout`: who is asked for the addresses of names that only a request
//! knows. The families that pass requests on take it from their location when they are installed.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use super::upstream::split_port;
use crate::{
    conf::ConfError,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Exactly},
        Block, Directive, Module, Setting, Site, directive, parse_time,
    },
    resolver::{Families, Resolver},
};

#[derive(Default)]
pub struct Resolvers {
    resolver: Setting<Arc<Resolver>>,
    timeout: Setting<Duration>,
}

const HTTP: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for Resolvers {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("resolver", HTTP, AtLeast(1), |resolvers, args| {
            let resolver = read(args)?;
            resolvers.resolver.set(Arc::new(resolver), args)
        }),
        directive("resolver_timeout", HTTP, Exactly(1), |resolvers, args| {
            resolvers.timeout.set(args.time(0)?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.resolver.inherit(&outer.resolver);
        self.timeout.inherit(&outer.timeout);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Resolvers {
    pub fn resolver(&self) -> Option<Arc<Resolver>> {
        self.resolver.said().cloned()
    }

    pub fn timeout(&self) -> Duration {
        self.timeout.or(Duration::from_secs(30))
    }
}

/// `address[:port] ... [valid=time] [ipv4=on|off] [ipv6=on|off]`
pub fn read(args: &Args<'_>) -> Result<Resolver, ConfError> {
    let (mut servers, mut valid) = (Vec::new(), None);
    let (mut ipv4, mut ipv6) = (true, true);
    for place in 0..args.len() {
        let word = args.word(place);
        let wrong = || args.complain(format!("invalid parameter: {word}"));
        let flag = |word: &str| match word {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(wrong()),
        };
        match word.split_once('=') {
            Some(("valid", time)) => valid = Some(parse_time(time).ok_or_else(wrong)?),
            Some(("ipv4", word)) => ipv4 = flag(word)?,
            Some(("ipv6", word)) => ipv6 = flag(word)?,
            Some(("status_zone", _)) => {
                let message = format!("\"{word}\": nginx has this; the edge does not yet");
                return Err(args.complain(message));
            }
            Some(_) => return Err(wrong()),
            None => servers.extend(
                addresses(word)
                    .map_err(|why| args.complain(format!("{why} in resolver \"{word}\"")))?,
            ),
        }
    }
    let families = match (ipv4, ipv6) {
        (true, true) => Families::Both,
        (true, false) => Families::Ipv4,
        (false, true) => Families::Ipv6,
        (false, false) => {
            return Err(args.complain("\"ipv4\" and \"ipv6\" cannot both be \"off\""));
        }
    };
    if servers.is_empty() {
        return Err(args.complain("no name servers defined"));
    }
    Ok(Resolver::new(servers, valid, families))
}

/// A server named by a name is looked up once, when the file is read.
fn addresses(server: &str) -> Result<Vec<SocketAddr>, &'static str> {
    let (host, port) = split_port(server).ok_or("invalid port")?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = (bare, port.unwrap_or(53)).to_socket_addrs().map_err(|_| "host not found")?;
    Ok(found.collect())
}
