//! `syslog:server=…`: lines as datagrams to a syslog daemon, over UDP or a unix socket (RFC 3164).
//!
//! A datagram that can not be sent is lost, as any line of a log that can not be written; the socket
//! is then made anew, since the daemon may have come back under the same name.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{PoisonError, RwLock},
};

use super::Level;
use crate::clock;

pub struct Syslog {
    server: Server,
    facility: u8,
    /// Of access logs; a line of an error log has its own.
    severity: Level,
    tag: String,
    /// This machine's name, where it is told.
    hostname: Option<String>,
    socket: RwLock<Option<Socket>>,
}

enum Server {
    Udp(SocketAddr),
    Unix(PathBuf),
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

/// In the order of their numbers.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv",
    "ftp", "ntp", "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

const LOCAL7: u8 = 23;
const PORT: u16 = 514;
const LONGEST_TAG: usize = 32;

impl Syslog {
    /// What follows `syslog:`.
    pub fn read(text: &str) -> Result<Syslog, String> {
        let (mut server, mut facility, mut severity, mut tag) = (None, None, None, None);
        let mut with_hostname = true;
        for word in text.split(',') {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let again = match name {
                "server" => server.replace(Server::read(value)?).is_some(),
                "facility" => {
                    let number = FACILITIES.iter().position(|known| *known == value);
                    let unknown = || format!("unknown syslog facility \"{value}\"");
                    facility.replace(number.ok_or_else(unknown)? as u8).is_some()
                }
                "severity" => {
                    let unknown = || format!("unknown syslog severity \"{value}\"");
                    severity.replace(Level::parse(value).ok_or_else(unknown)?).is_some()
                }
                "tag" => tag.replace(check_tag(value)?).is_some(),
                _ if word == "nohostname" => {
                    with_hostname = false;
                    false
                }
                _ => return Err(format!("unknown syslog parameter \"{word}\"")),
            };
            if again {
                return Err(format!("duplicate syslog \"{name}\""));
            }
        }
        Ok(Syslog {
            server: server.ok_or("no syslog server specified")?,
            facility: facility.unwrap_or(LOCAL7),
            severity: severity.unwrap_or(Level::Info),
            tag: tag.unwrap_or_else(|| "nginx".to_owned()),
            hostname: with_hostname.then(crate::vars::hostname),
            socket: RwLock::new(None),
        })
    }

    /// A line of an access log.
    pub fn send(&self, line: &[u8]) -> io::Result<()> {
        self.send_at(self.severity, line)
    }

    pub fn send_at(&self, severity: Level, line: &[u8]) -> io::Result<()> {
        let mut datagram = self.head(severity).into_bytes();
        datagram.extend_from_slice(line);
        let sent = self.send_by(&datagram);
        if sent.is_err() {
            *self.socket.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        sent
    }

    fn head(&self, severity: Level) -> String {
        let priority = self.facility * 8 + severity as u8;
        let time = clock::syslog_time();
        let time = String::from_utf8_lossy(&time);
        let tag = &self.tag;
        match &self.hostname {
            Some(name) => format!("<{priority}>{time} {name} {tag}: "),
            None => format!("<{priority}>{time} {tag}: "),
        }
    }

    fn send_by(&self, datagram: &[u8]) -> io::Result<()> {
        if let Some(socket) = &*self.socket.read().unwrap_or_else(PoisonError::into_inner) {
            return socket.send(datagram);
        }
        let mut place = self.socket.write().unwrap_or_else(PoisonError::into_inner);
        let socket = match &mut *place {
            Some(made_meanwhile) => made_meanwhile,
            none => none.insert(self.server.connect()?),
        };
        socket.send(datagram)
    }
}

fn check_tag(tag: &str) -> Result<String, String> {
    if tag.len() > LONGEST_TAG {
        return Err(format!("syslog tag length exceeds {LONGEST_TAG}"));
    }
    if tag.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'_') {
        let message = "syslog \"tag\" only allows alphanumeric characters and underscore";
        return Err(message.to_owned());
    }
    Ok(tag.to_owned())
}

impl Server {
    fn read(text: &str) -> Result<Server, String> {
        let refused = |what: &str| format!("{what} in syslog server \"{text}\"");
        if let Some(path) = text.strip_prefix("unix:") {
            let none = || format!("no path in the unix domain socket in syslog server \"{text}\"");
            return if path.is_empty() { Err(none()) } else { Ok(Server::Unix(path.into())) };
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let (host, port) = match (bare, text.rsplit_once(':')) {
            (Some(literal), _) => (literal, PORT),
            (None, Some((host, digits))) => {
                let port = digits.parse().ok().filter(|port| *port > 0);
                let host = host.trim_start_matches('[').trim_end_matches(']');
                (host, port.ok_or_else(|| refused("invalid port"))?)
            }
            (None, None) => (text, PORT),
        };
        let found = (host, port).to_socket_addrs().ok().and_then(|mut found| found.next());
        found.map(Server::Udp).ok_or_else(|| refused("host not found"))
    }

    fn connect(&self) -> io::Result<Socket> {
        match self {
            Server::Udp(address) => {
                let any: SocketAddr = match address {
                    SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                socket.set_nonblocking(true)?;
                Ok(Socket::Udp(socket))
            }
            Server::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_nonblocking(true)?;
                Ok(Socket::Unix(socket))
            }
        }
    }
}

impl Socket {
    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Socket::Udp(socket) => socket.send(datagram).map(drop),
            Socket::Unix(socket) => socket.send(datagram).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_target() {
        let syslog =
            Syslog::read("server=127.0.0.1:5514,facility=user,tag=x_1,nohostname").unwrap();
        let head = syslog.head(Level::Error);
        assert!(head.starts_with("<11>") && head.ends_with(" x_1: "), "{head}");
        let syslog = Syslog::read("severity=alert,server=[::1]").unwrap();
        assert!(
            matches!(syslog.server, Server::Udp(address) if address.to_string() == "[::1]:514")
        );
        assert!(syslog.head(syslog.severity).starts_with("<185>"));
    }

    #[test]
    fn slips() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Syslog::read(text).err().as_deref(), Some(expected), "{text}");
        };
        check("tag=x", "no syslog server specified");
        check("server=127.0.0.1,facility=x", "unknown syslog facility \"x\"");
        check("server=127.0.0.1,severity=err", "unknown syslog severity \"err\"");
        check(
            "server=127.0.0.1,tag=a-b",
            "syslog \"tag\" only allows alphanumeric characters and underscore",
        );
        check("server=127.0.0.1,server=127.0.0.1", "duplicate syslog \"server\"");
        check("server=127.0.0.1,x", "unknown syslog parameter \"x\"");
        check("server=127.0.0.1:x", "invalid port in syslog server \"127.0.0.1:x\"");
        check(&format!("tag={}", "x".repeat(33)), "syslog tag length exceeds 32");
    }

    #[test]
    fn a_daemon_that_comes_back_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let syslog = Syslog::read(&format!("server=unix:{}", path.display())).unwrap();
        assert!(syslog.send(b"nobody").is_err());
        let mut text = [0; 200];
        for line in ["first", "second"] {
            let daemon = UnixDatagram::bind(&path).unwrap();
            // What the old socket led to is gone; the next line goes to who is there now.
            let _lost = syslog.send(b"lost");
            syslog.send(line.as_bytes()).unwrap();
            daemon.set_nonblocking(true).unwrap();
            let mut last = String::new();
            while let Ok(length) = daemon.recv(&mut text) {
                last = String::from_utf8_lossy(&text[..length]).into_owned();
            }
            assert!(last.ends_with(&format!(" nginx: {line}")), "{last}");
            drop(daemon);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
