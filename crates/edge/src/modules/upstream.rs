//! `upstream`: several servers under one name.
//!
//! The block lives in `http` alone; `proxy_pass` finds it by name when its location is installed.
//! `zone` is taken and means nothing more: the threads of a worker share what they know of a peer
//! anyway, which is what nginx needs a zone for.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::ToSocketAddrs,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::{
    conf::{ConfError, Span},
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Between, Exactly},
        Block, Body, Directive, Module, Site, block, directive, lacking, parse_time,
    },
    upstream::{Address, Balance, HashKey, Keepalive, PeerOptions, Upstream},
    vars::Template,
};

#[derive(Default)]
pub struct Upstreams {
    written: Vec<Written>,
    /// Made once, when the first location asks; every location then shares them.
    made: OnceLock<Result<Vec<Arc<Upstream>>, ConfError>>,
    /// Places that no block names, by host and port: two locations that lead to the same place share
    /// what is known of it. Only asked while the file is read.
    implicit: Mutex<HashMap<String, Arc<Upstream>>>,
    /// All of them, once requests come that say themselves where they want to go.
    known: OnceLock<HashMap<String, Arc<Upstream>>>,
}

/// One block, as it stands in the file.
struct Written {
    name: String,
    span: Span,
    servers: Vec<(String, Vec<Address>, PeerOptions)>,
    method: Method,
    keepalive: Keepalive,
    keepalive_is_said: bool,
}

#[derive(Clone)]
enum Method {
    RoundRobin,
    LeastConnections,
    IpHash,
    Hash { key: Template, consistent: bool },
    Random { two: bool },
}

const INSIDE: &[Block] = &[Block::Upstream];

impl Module for Upstreams {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        block(
            "upstream",
            &[Block::Http],
            Exactly(1),
            Body::Inside(Block::Upstream),
            |all, args| {
                let name = args.word(0).to_owned();
                if all.written.iter().any(|known| known.name == name) {
                    return Err(args.complain(format!("duplicate upstream \"{name}\"")));
                }
                all.written.push(Written {
                    name,
                    span: args.node.name.span.clone(),
                    servers: Vec::new(),
                    method: Method::RoundRobin,
                    keepalive: Keepalive::of_a_block(),
                    keepalive_is_said: false,
                });
                Ok(())
            },
        ),
        directive("server", INSIDE, AtLeast(1), |all, args| all.current().add_server(args)),
        directive("least_conn", INSIDE, Exactly(0), |all, args| {
            all.current().set_method(Method::LeastConnections, args)
        }),
        directive("ip_hash", INSIDE, Exactly(0), |all, args| {
            all.current().set_method(Method::IpHash, args)
        }),
        directive("hash", INSIDE, Between(1, 2), |all, args| {
            let key = args.template(0)?;
            let consistent = match args.get(1) {
                None => false,
                Some("consistent") => true,
                Some(_) => return Err(args.invalid_parameter(1)),
            };
            all.current().set_method(Method::Hash { key, consistent }, args)
        }),
        directive("random", INSIDE, Between(0, 2), |all, args| {
            let two = match (args.get(0), args.get(1)) {
                (None, _) => false,
                (Some("two"), None | Some("least_conn")) => true,
                (Some("two"), Some(word)) => {
                    let message = format!("random by \"{word}\": the edge does not yet");
                    return Err(args.complain(message));
                }
                _ => return Err(args.invalid_parameter(0)),
            };
            all.current().set_method(Method::Random { two }, args)
        }),
        directive("zone", INSIDE, Between(1, 2), |_, args| {
            if args.len() == 2 {
                args.size(1)?;
            }
            Ok(())
        }),
        directive("keepalive", INSIDE, Between(1, 2), |all, args| {
            let connections = args.number(0)?;
            let local = match args.get(1) {
                None => false,
                Some("local") => true,
                Some(_) => return Err(args.invalid_parameter(1)),
            };
            let current = all.current();
            if std::mem::replace(&mut current.keepalive_is_said, true) {
                return Err(args.refuse("is duplicate"));
            }
            current.keepalive.connections = connections;
            current.keepalive.local = local;
            Ok(())
        }),
        directive("keepalive_requests", INSIDE, Exactly(1), |all, args| {
            all.current().keepalive.requests = args.number(0)?;
            Ok(())
        }),
        directive("keepalive_time", INSIDE, Exactly(1), |all, args| {
            all.current().keepalive.time = args.time(0)?;
            Ok(())
        }),
        directive("keepalive_timeout", INSIDE, Exactly(1), |all, args| {
            all.current().keepalive.timeout = args.time(0)?;
            Ok(())
        }),
        lacking("resolver", INSIDE),
        lacking("resolver_timeout", INSIDE),
    ];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        // A block that nobody passes to must be right as well.
        site.http::<Upstreams>().all().map(|_| ())
    }
}

impl Upstreams {
    fn current(&mut self) -> &mut Written {
        self.written.last_mut().expect("its own directives stand inside of `upstream`")
    }

    fn all(&self) -> Result<&[Arc<Upstream>], ConfError> {
        let made = self.made.get_or_init(|| {
            self.written.iter().map(|written| written.make().map(Arc::new)).collect()
        });
        made.as_ref().map(Vec::as_slice).map_err(Clone::clone)
    }

    /// Whether the file has a block of this name.
    pub fn has_block(&self, name: &str) -> bool {
        self.written.iter().any(|block| block.name.eq_ignore_ascii_case(name))
    }

    /// What a place means when the file is read: the block of this name, or the place itself.
    pub fn settle(&self, authority: &str, default_port: u16) -> Result<Arc<Upstream>, String> {
        let (host, port) = split_port(authority).unwrap_or((authority, None));
        let blocks = self.all().map_err(|error| error.to_string())?;
        // nginx compares names of hosts without case.
        let block = blocks.iter().find(|block| block.name.eq_ignore_ascii_case(host));
        match (block, port) {
            (Some(block), None) => return Ok(Arc::clone(block)),
            (Some(_), Some(port)) => {
                return Err(format!("upstream \"{host}\" may not have port {port}"));
            }
            (None, _) => (),
        }
        let mut implicit = self.implicit.lock().unwrap_or_else(PoisonError::into_inner);
        match implicit.entry(place(authority, default_port)) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(free) => {
                let upstream = Upstream::implicit(authority, resolve(authority, default_port)?);
                Ok(Arc::clone(free.insert(Arc::new(upstream))))
            }
        }
    }

    /// What a place means when a request says it, if the file knows it.
    pub fn find(&self, authority: &str, default_port: u16) -> Option<Arc<Upstream>> {
        let known = self.known.get_or_init(|| {
            let implicit = self.implicit.lock().unwrap_or_else(PoisonError::into_inner);
            // Whatever is wrong with a block has been said when the file was read.
            let blocks = self.all().unwrap_or_default().iter();
            let blocks = blocks.map(|block| (block.name.to_ascii_lowercase(), Arc::clone(block)));
            implicit.clone().into_iter().chain(blocks).collect()
        });
        if known.is_empty() {
            return None;
        }
        let named = known.get(&*authority.to_ascii_lowercase());
        named.or_else(|| known.get(&place(authority, default_port))).cloned()
    }
}

/// A place as it is compared: `host:port` without case, the path of a socket as it is.
fn place(authority: &str, default_port: u16) -> String {
    match split_port(authority) {
        _ if authority.starts_with("unix:") => authority.to_owned(),
        Some((host, port)) => {
            format!("{}:{}", host.to_ascii_lowercase(), port.unwrap_or(default_port))
        }
        None => authority.to_owned(),
    }
}

impl Written {
    fn set_method(&mut self, method: Method, args: &mut Args<'_>) -> Result<(), ConfError> {
        if !matches!(self.method, Method::RoundRobin) {
            return Err(args.complain("load balancing method redefined"));
        }
        self.method = method;
        Ok(())
    }

    fn add_server(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut options = PeerOptions::default();
        for place in 1..args.len() {
            let word = args.word(place);
            let wrong = || args.invalid_parameter(place);
            match word.split_once('=') {
                None if word == "backup" => options.backup = true,
                None if word == "down" => options.down = true,
                Some(("weight", number)) => {
                    options.weight = number.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
                }
                Some(("max_fails", number)) => {
                    options.max_fails = number.parse().map_err(|_| wrong())?;
                }
                Some(("fail_timeout", time)) => {
                    options.fail_timeout = parse_time(time).ok_or_else(wrong)?;
                }
                Some(("max_conns", number)) => {
                    options.max_conns = number.parse().map_err(|_| wrong())?;
                }
                Some(("slow_start" | "route" | "service", _)) => {
                    let message = format!("\"{word}\": nginx has this; the edge does not yet");
                    return Err(args.complain(message));
                }
                None if matches!(word, "resolve" | "drain") => {
                    let message = format!("\"{word}\": nginx has this; the edge does not yet");
                    return Err(args.complain(message));
                }
                _ => return Err(wrong()),
            }
        }
        let name = args.word(0).to_owned();
        let addresses = resolve(&name, 80).map_err(|message| args.complain(message))?;
        self.servers.push((name, addresses, options));
        Ok(())
    }

    fn make(&self) -> Result<Upstream, ConfError> {
        if self.servers.iter().all(|(_, _, options)| options.backup) {
            let message = format!("no servers are inside upstream \"{}\"", self.name);
            return Err(self.span.error(message));
        }
        let backups = self.servers.iter().any(|(_, _, options)| options.backup);
        if backups
            && matches!(self.method, Method::IpHash | Method::Hash { .. } | Method::Random { .. })
        {
            // nginx: the parameter can not be used along with these methods.
            return Err(self.span.error("invalid parameter \"backup\""));
        }
        let balance = match &self.method {
            Method::RoundRobin => Balance::RoundRobin,
            Method::LeastConnections => Balance::LeastConnections,
            Method::IpHash => Balance::IpHash,
            Method::Random { two } => Balance::Random { two: *two },
            Method::Hash { key, consistent } => {
                let servers = self.servers.iter().flat_map(|(name, addresses, options)| {
                    addresses.iter().map(move |_| (name.as_str(), options.weight))
                });
                let points = if *consistent { HashKey::points(servers) } else { Vec::new() };
                Balance::Hash(HashKey { key: key.clone(), points })
            }
        };
        let peers = self.servers.iter().flat_map(|(_, addresses, options)| {
            addresses.iter().map(move |address| (address.clone(), options.clone()))
        });
        Ok(Upstream::new(&self.name, peers.collect(), balance, self.keepalive.clone()))
    }
}

/// `host`, `host:port`, `[v6]:port` or `unix:/path`, each of its addresses a peer. A name is looked
/// up once, when the file is read, as in nginx.
pub fn resolve(text: &str, default_port: u16) -> Result<Vec<Address>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err("no path in the unix domain socket in upstream".to_owned());
        }
        return Ok(vec![Address::Unix(PathBuf::from(path))]);
    }
    let (host, port) =
        split_port(text).ok_or_else(|| format!("invalid port in upstream \"{text}\""))?;
    if host.is_empty() {
        return Err(format!("no host in upstream \"{text}\""));
    }
    let port = port.unwrap_or(default_port);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = (bare, port).to_socket_addrs();
    let mut addresses: Vec<Address> = found
        .map_err(|_| format!("host not found in upstream \"{text}\""))?
        .map(Address::Ip)
        .collect();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(format!("host not found in upstream \"{text}\""));
    }
    Ok(addresses)
}

/// A host and, if one is said, its port. `None`: what stands there is no port.
pub fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let colon = match text.strip_prefix('[') {
        Some(_) => text.find("]:").map(|at| at + 1),
        None => text.rfind(':'),
    };
    let Some(colon) = colon else { return Some((text, None)) };
    let port = text[colon + 1..].parse().ok().filter(|port| *port != 0)?;
    Some((&text[..colon], Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let one = |text: &str| resolve(text, 80).map(|found| found[0].to_string());
        assert_eq!(one("127.0.0.1").unwrap(), "127.0.0.1:80");
        assert_eq!(one("127.0.0.1:8000").unwrap(), "127.0.0.1:8000");
        assert_eq!(one("[::1]:8000").unwrap(), "[::1]:8000");
        assert_eq!(one("[::1]").unwrap(), "[::1]:80");
        assert_eq!(one("unix:/run/x.sock").unwrap(), "unix:/run/x.sock");
        for bad in ["127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:70000", ":80", "unix:"] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }
}
