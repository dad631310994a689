//! What `listen` says: an address and how to open it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use crate::{
    conf::ConfError,
    load::{parse_size, parse_time},
};

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of its own")]
pub struct Listen {
    pub address: ListenAddress,
    pub default_server: bool,
    pub backlog: Option<i32>,
    pub ipv6only: bool,
    /// Set on the socket, so that another program may share it; the edge's own threads share one
    /// socket with or without it, since they share its connections out themselves.
    pub reuseport: bool,
    /// Who connects here says first for whom (`connection/proxy_protocol.rs`).
    pub proxy_protocol: bool,
    pub ssl: bool,
    /// HTTP/2 may be spoken to every server here, as `listen` used to say it.
    pub http2: bool,
    pub keepalive: Option<KeepAlive>,
    pub receive_buffer: Option<usize>,
    pub send_buffer: Option<usize>,
    /// `fastopen=`: how many connections may wait that said something with their first packet.
    pub fast_open: Option<i32>,
    /// A connection is accepted only once it has said something.
    pub deferred: bool,
    /// Connections may use several ways at once (MPTCP).
    pub multipath: bool,
}

/// `so_keepalive`: what is `None` in it, the system decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    Off,
    On { idle: Option<Duration>, interval: Option<Duration>, probes: Option<u32> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Ip(address) => write!(f, "{address}"),
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Default for Listen {
    /// `*:80`, or `*:8000` where the ports below 1024 are not ours to open.
    fn default() -> Listen {
        let port = if nix::unistd::geteuid().is_root() { 80 } else { 8000 };
        Listen::on(ListenAddress::Ip((Ipv4Addr::UNSPECIFIED, port).into()))
    }
}

impl Listen {
    fn on(address: ListenAddress) -> Listen {
        Listen {
            address,
            default_server: false,
            backlog: None,
            ipv6only: true,
            reuseport: false,
            proxy_protocol: false,
            ssl: false,
            http2: false,
            keepalive: None,
            receive_buffer: None,
            send_buffer: None,
            fast_open: None,
            deferred: false,
            multipath: false,
        }
    }

    /// The words of one `listen`; a name may stand for several addresses.
    pub fn read(words: &[&str]) -> Result<Vec<Listen>, String> {
        let mut listens: Vec<Listen> = addresses(words[0])?.into_iter().map(Listen::on).collect();
        for word in &words[1..] {
            for listen in &mut listens {
                listen.parameter(word)?;
            }
        }
        Ok(listens)
    }

    fn parameter(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match (name, value) {
            ("default_server" | "default", "") => self.default_server = true,
            ("reuseport", "") => self.reuseport = true,
            ("proxy_protocol", "") => self.proxy_protocol = true,
            ("ssl", "") => self.ssl = true,
            ("http2", "") => self.http2 = true,
            ("backlog", value) => {
                let backlog = value.parse().ok().filter(|backlog| *backlog > 0);
                self.backlog = Some(backlog.ok_or_else(|| format!("invalid backlog \"{word}\""))?);
            }
            ("ipv6only", "on") => self.ipv6only = true,
            ("ipv6only", "off") => self.ipv6only = false,
            ("ipv6only", value) if value.starts_with('o') => {
                return Err(format!("invalid ipv6only flags \"{value}\""));
            }
            ("fastopen", value) => {
                let queue = value.parse().ok().filter(|queue| *queue >= 0);
                self.fast_open = Some(queue.ok_or_else(|| format!("invalid fastopen \"{word}\""))?);
            }
            ("deferred", "") => self.deferred = true,
            ("multipath", "") => self.multipath = true,
            // As nginx where the system has none.
            ("accept_filter", _) => (),
            ("so_keepalive", value) => self.keepalive = Some(KeepAlive::read(value)?),
            ("rcvbuf", value) => self.receive_buffer = Some(buffer(name, value)?),
            ("sndbuf", value) => self.send_buffer = Some(buffer(name, value)?),
            // Every address has a socket of its own, unless a wildcard has its port.
            ("bind", "") => (),
            ("quic", _) => {
                let message = "nginx has this; the edge does not yet";
                return Err(format!("\"{name}\" parameter of \"listen\": {message}"));
            }
            _ => return Err(format!("invalid parameter \"{word}\"")),
        }
        Ok(())
    }

    /// The same address said in another server: options are said once, and count for both.
    pub fn merge(&mut self, other: &Listen) -> Result<(), ConfError> {
        self.backlog = self.backlog.or(other.backlog);
        self.reuseport |= other.reuseport;
        self.proxy_protocol |= other.proxy_protocol;
        self.ssl |= other.ssl;
        self.http2 |= other.http2;
        self.keepalive = self.keepalive.take().or_else(|| other.keepalive.clone());
        self.receive_buffer = self.receive_buffer.or(other.receive_buffer);
        self.send_buffer = self.send_buffer.or(other.send_buffer);
        self.fast_open = self.fast_open.or(other.fast_open);
        self.deferred |= other.deferred;
        self.multipath |= other.multipath;
        Ok(())
    }
}

impl KeepAlive {
    /// `on`, `off`, or `[idle]:[interval]:[probes]`.
    fn read(text: &str) -> Result<KeepAlive, String> {
        let invalid = || format!("invalid so_keepalive value: \"{text}\"");
        let time = |part: &str| match part {
            "" => Ok(None),
            part => parse_time(part).map(Some).ok_or_else(invalid),
        };
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            ["on"] => Ok(KeepAlive::On { idle: None, interval: None, probes: None }),
            ["off"] => Ok(KeepAlive::Off),
            [idle, interval, probes] if text != "::" => {
                let (idle, interval) = (time(idle)?, time(interval)?);
                let probes = Some(probes).filter(|probes| !probes.is_empty());
                let probes = probes.map(|probes| probes.parse().map_err(|_| invalid()));
                Ok(KeepAlive::On { idle, interval, probes: probes.transpose()? })
            }
            _ => Err(invalid()),
        }
    }
}

fn buffer(name: &str, value: &str) -> Result<usize, String> {
    let size = parse_size(value).and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| format!("invalid {name} \"{name}={value}\""))
}

impl ListenAddress {
    /// Whether a socket here gets what is sent to `other` as well: `*:80` and `127.0.0.1:80`.
    pub fn covers(&self, other: &ListenAddress) -> bool {
        match (self, other) {
            (ListenAddress::Ip(this), ListenAddress::Ip(other)) => {
                this.ip().is_unspecified()
                    && this.port() == other.port()
                    && this.is_ipv4() == other.is_ipv4()
                    && this != other
            }
            _ => false,
        }
    }
}

/// `8000`, `*:8000`, `127.0.0.1:8000`, `127.0.0.1`, `[::]:80`, `localhost:80`, `unix:/path`, and
/// `8000-8003` wherever a port may stand.
fn addresses(text: &str) -> Result<Vec<ListenAddress>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(format!("no path in the unix domain socket \"{text}\""));
        }
        return Ok(vec![ListenAddress::Unix(PathBuf::from(path))]);
    }
    let refused = |what: &str| format!("{what} in \"{text}\" of the \"listen\" directive");
    let (host, ports) = host_and_ports(text).map_err(refused)?;
    let hosts = match host {
        "*" => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        "" => return Err(refused("no host")),
        host => by_name(host).ok_or_else(|| refused("host not found"))?,
    };
    let each = ports.flat_map(|port| hosts.iter().map(move |host| (*host, port).into()));
    Ok(each.map(ListenAddress::Ip).collect())
}

fn host_and_ports(text: &str) -> Result<(&str, RangeInclusive<u16>), &'static str> {
    if let Some(literal) = text.strip_prefix('[') {
        let (address, rest) = literal.split_once(']').ok_or("invalid host")?;
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("invalid IPv6 address");
        }
        let range = match rest.strip_prefix(':') {
            Some(digits) => ports(digits)?,
            None if rest.is_empty() => 80..=80,
            None => return Err("invalid port"),
        };
        return Ok((address, range));
    }
    match text.split_once(':') {
        Some((host, digits)) => Ok((host, ports(digits)?)),
        None if text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains('.') => {
            Ok(("*", ports(text)?))
        }
        None => Ok((text, 80..=80)),
    }
}

fn ports(digits: &str) -> Result<RangeInclusive<u16>, &'static str> {
    let (first, last) = digits.split_once('-').unwrap_or((digits, digits));
    let port = |digits: &str| match digits.parse() {
        Ok(0) | Err(_) => Err("invalid port"),
        Ok(port) => Ok(port),
    };
    let range = port(first)?..=port(last)?;
    if range.is_empty() { Err("invalid port range") } else { Ok(range) }
}

fn by_name(host: &str) -> Option<Vec<IpAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![address]);
    }
    let found = std::net::ToSocketAddrs::to_socket_addrs(&(host, 0)).ok()?;
    let found: Vec<_> = found.map(|address| address.ip()).collect();
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_listen() {
        let check = |text: &str, expected: &str| {
            assert_eq!(addresses(text).unwrap()[0].to_string(), expected);
        };
        check("8000", "0.0.0.0:8000");
        check("*:8000", "0.0.0.0:8000");
        check("127.0.0.1", "127.0.0.1:80");
        check("127.0.0.1:81", "127.0.0.1:81");
        check("[::]:80", "[::]:80");
        check("[::1]", "[::1]:80");
        check("unix:/run/x.sock", "unix:/run/x.sock");
        let ports = |text: &str| addresses(text).unwrap().len();
        assert_eq!((ports("[::1]:80-82"), ports("80-80"), ports("*:1-65535")), (3, 1, 65535));
        for bad in ["0", "65536", "[::1", "[::1]x", "unix:", "127.0.0.1:x", "82-80", "80-", ":80"] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_named() {
        let error = Listen::read(&["443", "quic"]).unwrap_err();
        assert_eq!(
            error,
            "\"quic\" parameter of \"listen\": nginx has this; the edge does not yet"
        );
        assert_eq!(Listen::read(&["80", "x"]).unwrap_err(), "invalid parameter \"x\"");
    }

    #[test]
    fn keepalive_of_the_socket() {
        let check = |text: &str, expected| assert_eq!(KeepAlive::read(text).ok(), expected);
        let (idle, probes) = (Some(Duration::from_mins(30)), Some(10));
        check("30m::10", Some(KeepAlive::On { idle, interval: None, probes }));
        check("off", Some(KeepAlive::Off));
        check("x", None);
        check("::", None);
    }

    #[test]
    fn a_wildcard_covers_its_port() {
        let address = |text: &str| addresses(text).unwrap().remove(0);
        assert!(address("80").covers(&address("127.0.0.1:80")));
        assert!(!address("80").covers(&address("127.0.0.1:81")));
        assert!(!address("127.0.0.1:80").covers(&address("80")));
        assert!(!address("80").covers(&address("[::1]:80")));
    }
}
