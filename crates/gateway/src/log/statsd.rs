//! `--statsd-host`: gunicorn's metrics, a datagram each, under gunicorn's names.
//!
//! The socket does not block and is never waited for: a metric that does not leave at once is lost, as
//! all of statsd may be. Must not know where the figures come from.

use std::{
    cell::Cell,
    fmt,
    io::{self, Write},
    net::{ToSocketAddrs, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    time::Duration,
};

use super::address::host_and_port;
use crate::settings::{Level, Settings};

const PORT: u16 = 8125;
/// Longer is no datagram that arrives.
const MOST: usize = 8192;

pub(super) struct Statsd {
    socket: Socket,
    prefix: String,
    /// What each metric ends with.
    tags: String,
    /// The count sent last.
    workers: Cell<Option<usize>>,
    /// One did not leave: that was said, and is not said again. Of two sent to where nobody listens
    /// only every other one fails, so that success says little.
    was_said: Cell<bool>,
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram, PathBuf),
}

enum Address {
    Udp(String, u16),
    Unix(PathBuf),
}

/// `unix:PATH` and `unix://PATH`; a host and a port, either of which may be missing.
fn address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let is_port = !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_digit());
        return match path.parse() {
            // gunicorn takes `unix:8125` for a host of that name.
            Ok(port) if is_port => Ok(Address::Udp("unix".to_owned(), port)),
            _ if path.is_empty() => Err(format!("\"{text}\" has no path")),
            _ => Ok(Address::Unix(PathBuf::from(path))),
        };
    }
    let (host, port) = host_and_port(text, PORT)?;
    Ok(Address::Udp(host, port))
}

/// Why it can not be sent to, found before anything is started.
pub(crate) fn check_address(text: &str) -> Result<(), String> {
    address(text).map(drop)
}

/// gunicorn's: one dot at the end, where there are two letters or more before it.
fn prefix(text: &str) -> String {
    let stem = text.trim_end_matches('.');
    if stem.chars().count() < 2 { text.to_owned() } else { format!("{stem}.") }
}

impl Statsd {
    pub(super) fn open(settings: &Settings) -> Result<Option<Statsd>, String> {
        let Some(host) = &settings.statsd_host else { return Ok(None) };
        let failed = |error: io::Error| format!("statsd at \"{host}\" can not be reached: {error}");
        let socket = match address(host)? {
            Address::Udp(host, port) => Socket::Udp(udp(&host, port).map_err(failed)?),
            Address::Unix(path) => {
                let socket = UnixDatagram::unbound().map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                Socket::Unix(socket, path)
            }
        };
        let tags = &settings.dogstatsd_tags;
        Ok(Some(Statsd {
            socket,
            prefix: prefix(&settings.statsd_prefix),
            tags: if tags.is_empty() { String::new() } else { format!("|#{tags}") },
            workers: Cell::new(None),
            was_said: Cell::new(false),
        }))
    }

    /// A request's three.
    pub(super) fn request(&self, status: u16, took: Duration) -> Option<String> {
        let milliseconds = took.as_micros() as f64 / 1000.0;
        // With its fraction even where that is zero, as Python has it.
        let first = self.send(format_args!("gunicorn.request.duration:{milliseconds:?}|ms"));
        let second = self.send(format_args!("gunicorn.requests:1|c|@1.0"));
        let third = self.send(format_args!("gunicorn.request.status.{status}:1|c|@1.0"));
        first.or(second).or(third)
    }

    /// A line of the error log, whether it is shown or not.
    pub(super) fn line(&self, level: Level) -> Option<String> {
        let name = match level {
            Level::Debug | Level::Info => return None,
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        self.send(format_args!("gunicorn.log.{name}:1|c|@1.0"))
    }

    /// Whether this is news. That there is none yet is not.
    pub(super) fn workers(&self, count: usize) -> bool {
        if count == 0 && self.workers.get().is_none() {
            return false;
        }
        let is_news = self.workers.replace(Some(count)) != Some(count);
        if is_news {
            // Should it not leave, a request's will say so.
            let _ = self.send(format_args!("gunicorn.workers:{count}|g"));
        }
        is_news
    }

    pub(super) fn backlog(&self, waiting: u64) -> Option<String> {
        self.send(format_args!("gunicorn.backlog:{waiting}|h"))
    }

    /// Why it did not leave, the first time.
    fn send(&self, metric: fmt::Arguments<'_>) -> Option<String> {
        let mut buffer = [0; MOST];
        let mut rest = &mut buffer[..];
        let written = write!(rest, "{}{metric}{}", self.prefix, self.tags);
        let left = rest.len();
        let datagram = &buffer[..MOST - left];
        let sent = written.and_then(|()| match &self.socket {
            Socket::Udp(socket) => socket.send(datagram),
            Socket::Unix(socket, path) => socket.send_to(datagram, path),
        });
        let error = sent.err()?;
        (!self.was_said.replace(true)).then(|| error.to_string())
    }
}

fn udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_gunicorns() {
        for (text, expected) in [
            ("", ""),
            ("app", "app."),
            ("app.", "app."),
            ("a.b..", "a.b."),
            ("a", "a"),
            ("a.", "a."),
        ] {
            assert_eq!(prefix(text), expected, "{text:?}");
        }
    }

    #[test]
    fn addresses() {
        for text in ["localhost:8125", "unix:///run/statsd", "[::1]:8125", "localhost", "unix:8125"]
        {
            assert_eq!(check_address(text), Ok(()), "{text}");
        }
        assert!(check_address("localhost:port").is_err());
        assert!(check_address("unix://").is_err());
    }
}
