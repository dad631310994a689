//! `--log-syslog`: gunicorn's lines as Python's SysLogHandler sends them: `<PRIORITY>TAG: [PID] line`
//! and a NUL. A syslog that is not there costs one warning, and its lines.

use std::{
    io::{self, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::net::{UnixDatagram, UnixStream},
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    address::host_and_port,
    courier::{Carry, Courier},
};
use crate::settings::{Level, Settings};

const PORT: u16 = 514;
/// A peer that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to reach one that is not there.
const PAUSE: Duration = Duration::from_secs(1);

/// Names and numbers of RFC 5424 §6.2.1, `security` being an old name of `auth`.
const FACILITIES: &[(&str, u8)] = &[
    ("auth", 4),
    ("authpriv", 10),
    ("cron", 9),
    ("daemon", 3),
    ("ftp", 11),
    ("kern", 0),
    ("lpr", 6),
    ("mail", 2),
    ("news", 7),
    ("security", 4),
    ("syslog", 5),
    ("user", 1),
    ("uucp", 8),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

fn facility(name: &str) -> Result<u8, String> {
    let name = name.to_ascii_lowercase();
    let found = FACILITIES.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| *number).ok_or_else(|| format!("\"{name}\" is no facility of syslog"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Udp(String, u16),
    Tcp(String, u16),
    /// Datagrams only, or a stream where there are none.
    Unix(PathBuf, Datagrams),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Datagrams {
    Only,
    First,
}

fn address(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix://") {
        let (path, kind) = path.split_once('#').unwrap_or((path, ""));
        let kind = if kind == "dgram" { Datagrams::Only } else { Datagrams::First };
        return Ok(Address::Unix(path.into(), kind));
    }
    if let Some(text) = text.strip_prefix("udp://") {
        return host_and_port(text, PORT).map(|(host, port)| Address::Udp(host, port));
    }
    if let Some(text) = text.strip_prefix("tcp://") {
        return host_and_port(text, PORT).map(|(host, port)| Address::Tcp(host, port));
    }
    Err(format!("\"{text}\" is not udp://HOST:PORT, tcp://HOST:PORT or unix://PATH#dgram"))
}

pub(crate) fn check_address(text: &str) -> Result<(), String> {
    address(text).map(drop)
}

pub(crate) fn check_facility(text: &str) -> Result<(), String> {
    facility(text).map(drop)
}

pub(super) struct Syslog {
    courier: Courier,
    facility: u8,
    /// `gunicorn.NAME`.
    tag: String,
    pub(super) takes_requests: bool,
}

impl Syslog {
    pub(super) fn open(settings: &Settings) -> Result<Option<Syslog>, String> {
        if !settings.syslog {
            return Ok(None);
        }
        let address = address(&settings.syslog_addr)?;
        let carrier = Carrier {
            address,
            shown: settings.syslog_addr.clone(),
            connection: None,
            away_since: None,
            was_said: false,
        };
        Ok(Some(Syslog {
            courier: Courier::new("syslog", carrier),
            facility: facility(&settings.syslog_facility)?,
            tag: tag(settings),
            takes_requests: !settings.disable_redirect_access_to_syslog,
        }))
    }

    pub(super) fn line(&self, level: Level, message: &str) {
        self.send(level, "error", std::process::id(), message.as_bytes());
    }

    pub(super) fn request(&self, pid: u32, line: &[u8]) {
        self.send(Level::Info, "access", pid, line);
    }

    fn send(&self, level: Level, which: &str, pid: u32, text: &[u8]) {
        let severity = match level {
            Level::Debug => 7,
            Level::Info => 6,
            Level::Warning => 4,
            Level::Error => 3,
            Level::Critical => 2,
        };
        let priority = u32::from(self.facility) << 3 | severity;
        let mut message = format!("<{priority}>{}.{which}: [{pid}] ", self.tag).into_bytes();
        // A NUL is the end of a message.
        message.extend(text.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }));
        message.push(0);
        self.courier.send(message);
    }

    pub(super) fn troubles(&self) -> Vec<String> {
        self.courier.troubles()
    }
}

/// What the lines of this deployment are known by.
pub(super) fn tag(settings: &Settings) -> String {
    let name = settings.syslog_prefix.clone().unwrap_or_else(|| {
        settings.name.as_ref().unwrap_or(&settings.application).replace(':', ".")
    });
    format!("gunicorn.{name}")
}

/// The courier's side: blocks, and connects anew.
struct Carrier {
    address: Address,
    shown: String,
    connection: Option<Connection>,
    away_since: Option<Instant>,
    was_said: bool,
}

enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Datagrams(UnixDatagram),
    Stream(UnixStream),
}

impl Carry for Carrier {
    fn carry(&mut self, message: &[u8], tell: &dyn Fn(String)) {
        if self.away_since.is_some_and(|since| since.elapsed() < PAUSE) {
            return;
        }
        let Err(error) = self.send(message) else { return self.away_since = None };
        if let (Some(Connection::Udp(_)), io::ErrorKind::ConnectionRefused) =
            (&self.connection, error.kind())
        {
            // That is about the datagram before this one.
            self.complain(&error, tell);
        }
        // The old connection may be what is gone.
        self.connection = None;
        self.away_since = None;
        if let Err(error) = self.send(message) {
            self.connection = None;
            self.away_since = Some(Instant::now());
            self.complain(&error, tell);
        }
    }

    fn finish(&mut self, _: &dyn Fn(String)) {}
}

impl Carrier {
    fn complain(&mut self, error: &io::Error, tell: &dyn Fn(String)) {
        if !std::mem::replace(&mut self.was_said, true) {
            let address = &self.shown;
            tell(format!(
                "syslog at \"{address}\" can not be reached: {error}; its lines are lost"
            ));
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        if self.connection.is_none() {
            self.connection = Some(connect(&self.address)?);
        }
        match self.connection.as_mut().expect("it was just made") {
            Connection::Udp(socket) => socket.send(message).map(drop),
            Connection::Datagrams(socket) => socket.send(message).map(drop),
            Connection::Tcp(stream) => stream.write_all(message),
            Connection::Stream(stream) => stream.write_all(message),
        }
    }
}

fn connect(address: &Address) -> io::Result<Connection> {
    match address {
        Address::Udp(host, port) => first_of(host, *port, |address| {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any)?;
            socket.connect(address)?;
            Ok(Connection::Udp(socket))
        }),
        Address::Tcp(host, port) => first_of(host, *port, |address| {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection::Tcp(stream))
        }),
        Address::Unix(path, kind) => {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            match socket.connect(path) {
                Ok(()) => Ok(Connection::Datagrams(socket)),
                Err(error) if *kind == Datagrams::Only => Err(error),
                Err(_) => {
                    let stream = UnixStream::connect(path)?;
                    stream.set_write_timeout(Some(PATIENCE))?;
                    Ok(Connection::Stream(stream))
                }
            }
        }
    }
}

fn first_of(
    host: &str,
    port: u16,
    connect: impl Fn(SocketAddr) -> io::Result<Connection>,
) -> io::Result<Connection> {
    let mut failure = io::Error::other("the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match connect(address) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_gunicorns() {
        let udp = |host: &str, port| Ok(Address::Udp(host.to_owned(), port));
        assert_eq!(address("udp://localhost:514"), udp("localhost", 514));
        assert_eq!(address("udp://"), udp("localhost", 514));
        assert_eq!(address("tcp://[::1]:99"), Ok(Address::Tcp("::1".to_owned(), 99)));
        let unix = |kind| Ok(Address::Unix("/dev/log".into(), kind));
        assert_eq!(address("unix:///dev/log"), unix(Datagrams::First));
        assert_eq!(address("unix:///dev/log#dgram"), unix(Datagrams::Only));
        assert!(address("/dev/log").is_err());
        assert!(address("udp://h:x").is_err());
        assert_eq!(facility("LOCAL3"), Ok(19));
        assert!(facility("local9").is_err());
    }
}
