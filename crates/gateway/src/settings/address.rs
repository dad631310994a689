//! `--bind`: gunicorn's notations for where to listen.

use std::{fmt, os::fd::RawFd, path::PathBuf};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// A socket that already listens, handed over by whoever started this process.
    Inherited(RawFd),
}

/// `HOST`, `HOST:PORT`, `[V6]:PORT`, `:PORT`, `PORT`, `unix:PATH`, `fd://N`.
pub(super) fn address(text: &str) -> Result<Address, String> {
    address_or_port(text, "8000")
}

/// Where a statsd is. A number behind `unix:` is the port of a host of that name.
pub(super) fn statsd(text: &str) -> Result<Address, String> {
    if let Some(Ok(port)) = text.strip_prefix("unix:").map(str::parse) {
        return Ok(Address::Tcp { host: "unix".to_owned(), port });
    }
    match address_or_port(text, "8125")? {
        Address::Inherited(_) => Err(format!("\"{text}\" is neither HOST:PORT nor unix://PATH")),
        address => Ok(address),
    }
}

fn address_or_port(text: &str, usual: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(format!("\"{text}\" names no path"));
        }
        if path.starts_with('@') {
            return Err(format!("\"{text}\" is an abstract socket, which is not supported"));
        }
        return Ok(Address::Unix(PathBuf::from(path)));
    }
    if let Some(number) = text.strip_prefix("fd://") {
        return match number.parse() {
            Ok(number) if number >= 0 => Ok(Address::Inherited(number)),
            _ => Err(format!("\"{number}\" is not a valid file descriptor")),
        };
    }
    let rest = text.strip_prefix("tcp://").unwrap_or(text);
    let (host, port) =
        if let Some((host, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            (host, after.strip_prefix(':').unwrap_or(usual))
        } else if let Some((host, port)) = rest.split_once(':') {
            (host, port)
        } else if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
            ("", rest)
        } else {
            (rest, usual)
        };
    let port = port.parse().map_err(|_| format!("\"{port}\" is not a valid port number"))?;
    let host = if host.is_empty() { "0.0.0.0".to_owned() } else { host.to_lowercase() };
    Ok(Address::Tcp { host, port })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Inherited(number) => write!(f, "fd://{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    #[test]
    fn every_notation_of_gunicorn() {
        assert_eq!(address("127.0.0.1:8001").unwrap(), tcp("127.0.0.1", 8001));
        assert_eq!(address("LocalHost").unwrap(), tcp("localhost", 8000));
        assert_eq!(address(":9000").unwrap(), tcp("0.0.0.0", 9000));
        assert_eq!(address("9000").unwrap(), tcp("0.0.0.0", 9000));
        assert_eq!(address("tcp://0.0.0.0:1").unwrap(), tcp("0.0.0.0", 1));
        assert_eq!(address("[::1]:8080").unwrap(), tcp("::1", 8080));
        assert_eq!(address("[::]").unwrap(), tcp("::", 8000));
        assert_eq!(address("unix:/run/a.sock"), Ok(Address::Unix("/run/a.sock".into())));
        assert_eq!(address("unix:///run/a.sock"), Ok(Address::Unix("/run/a.sock".into())));
        assert_eq!(address("unix:a.sock"), Ok(Address::Unix("a.sock".into())));
        assert_eq!(address("fd://3"), Ok(Address::Inherited(3)));
    }

    #[test]
    fn what_is_no_address() {
        for text in ["127.0.0.1:x", "h:99999", "unix:", "unix:@a", "fd://x", "fd://-1", "[::1]:"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
