//! What `listen` says: an address and how to open it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use crate::conf::ConfError;

#[derive(Clone, Debug)]
pub struct Listen {
    pub address: ListenAddress,
    pub default_server: bool,
    pub backlog: Option<i32>,
    pub ipv6only: bool,
    pub reuseport: bool,
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
        Listen { address, default_server: false, backlog: None, ipv6only: true, reuseport: false }
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
            ("backlog", value) => {
                let backlog = value.parse().ok().filter(|backlog| *backlog > 0);
                self.backlog = Some(backlog.ok_or_else(|| format!("invalid backlog \"{value}\""))?);
            }
            ("ipv6only", "on") => self.ipv6only = true,
            ("ipv6only", "off") => self.ipv6only = false,
            (
                "ssl" | "http2" | "quic" | "proxy_protocol" | "deferred" | "bind" | "fastopen"
                | "setfib" | "rcvbuf" | "sndbuf" | "accept_filter" | "so_keepalive",
                _,
            ) => {
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
        Ok(())
    }
}

/// `8000`, `*:8000`, `127.0.0.1:8000`, `127.0.0.1`, `[::]:80`, `localhost:80`, `unix:/path`.
fn addresses(text: &str) -> Result<Vec<ListenAddress>, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() {
            return Err(format!("no path in the unix domain socket \"{text}\""));
        }
        return Ok(vec![ListenAddress::Unix(PathBuf::from(path))]);
    }
    let port = |text: &str| match text.parse() {
        Ok(0) | Err(_) => Err(format!("invalid port in \"{text}\" of the \"listen\" directive")),
        Ok(port) => Ok(port),
    };
    let one = |address: IpAddr, port: u16| Ok(vec![ListenAddress::Ip((address, port).into())]);
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(format!("invalid host in \"{text}\""))?;
        let address: Ipv6Addr =
            address.parse().map_err(|_| format!("invalid IPv6 address in \"{text}\""))?;
        let port = rest.strip_prefix(':').map_or(Ok(80), port)?;
        return one(IpAddr::V6(address), port);
    }
    match text.split_once(':') {
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => one(any, port(text)?),
        None if text == "*" => one(any, 80),
        None => by_name(text, 80),
        Some(("*", digits)) => one(any, port(digits)?),
        Some((host, digits)) => by_name(host, port(digits)?),
    }
}

fn by_name(host: &str, port: u16) -> Result<Vec<ListenAddress>, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![ListenAddress::Ip((address, port).into())]);
    }
    let found = std::net::ToSocketAddrs::to_socket_addrs(&(host, port));
    let found: Vec<_> = found.into_iter().flatten().map(ListenAddress::Ip).collect();
    if found.is_empty() { Err(format!("host not found in \"{host}:{port}\"")) } else { Ok(found) }
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
        for bad in ["0", "65536", "[::1", "unix:", "127.0.0.1:x"] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_there_yet_is_named() {
        let error = Listen::read(&["443", "ssl"]).unwrap_err();
        assert_eq!(error, "\"ssl\" parameter of \"listen\": nginx has this; the edge does not yet");
        assert_eq!(Listen::read(&["80", "x"]).unwrap_err(), "invalid parameter \"x\"");
    }
}
