//! The service manager: sockets it hands over, and what it is told (sd_listen_fds(3), sd_notify(3)).
//!
//! Two variables and a datagram; no library of theirs is worth linking for that. Must not know what a
//! worker is: whoever calls decides when we are ready.

use std::{
    cell::RefCell,
    env, fmt, io,
    os::{
        fd::RawFd,
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

const FIRST: RawFd = 3;
/// Those that must not reach workers: what they describe is ours, and used up.
pub(crate) const VARIABLES: &[&str] = &["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Numbers of the sockets that were handed over to this very process.
pub(crate) fn sockets(variable: impl Fn(&str) -> Option<String>) -> Result<Vec<RawFd>, String> {
    let is_for_us = variable("LISTEN_PID").is_some_and(|pid| pid == process::id().to_string());
    let Some(count) = variable("LISTEN_FDS").filter(|_| is_for_us) else {
        return Ok(Vec::new());
    };
    match count.parse::<RawFd>() {
        Ok(count) if (0..=1024).contains(&count) => Ok((FIRST..FIRST + count).collect()),
        _ => Err(format!("LISTEN_FDS: \"{count}\" is not a number of sockets")),
    }
}

/// Whom to tell how we are. Telling never blocks, and never fails what it is about.
pub(crate) struct Notifier {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Said last: the same again is not news.
    status: RefCell<String>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// `None`: nobody wants to know.
    pub(crate) fn from_environment() -> Result<Option<Notifier>, String> {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let watchdog = watchdog(|name| env::var(name).ok());
        Notifier::new(name.as_bytes(), watchdog)
            .map(Some)
            .map_err(|error| format!("NOTIFY_SOCKET: \"{}\": {error}", name.display()))
    }

    fn new(name: &[u8], watchdog: Option<Duration>) -> io::Result<Notifier> {
        let address = match name {
            [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name)?,
            [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
            _ => return Err(io::Error::other("neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Notifier { socket, address, status: RefCell::default(), watchdog })
    }

    /// Half of what the manager waits for a sign of life.
    pub(crate) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    pub(crate) fn ready(&self) -> io::Result<()> {
        self.send("READY=1")
    }

    pub(crate) fn reloading(&self) -> io::Result<()> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        let microseconds = Duration::from(now).as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"))
    }

    pub(crate) fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// Another process is the service from now on.
    pub(crate) fn main_process(&self, pid: u32) -> io::Result<()> {
        self.send(&format!("MAINPID={pid}"))
    }

    pub(crate) fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1")
    }

    /// For `systemctl status`.
    pub(crate) fn status(&self, status: impl fmt::Display) -> io::Result<()> {
        // One line is one variable.
        let status = status.to_string().replace('\n', " ");
        if *self.status.borrow() == status {
            return Ok(());
        }
        let told = self.send(&format!("STATUS={status}"));
        *self.status.borrow_mut() = status;
        told
    }

    fn send(&self, state: &str) -> io::Result<()> {
        self.socket.send_to_addr(state.as_bytes(), &self.address).map(drop)
    }
}

fn watchdog(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let for_another = variable("WATCHDOG_PID").is_some_and(|pid| pid != process::id().to_string());
    let microseconds: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    (!for_another && microseconds > 1).then(|| Duration::from_micros(microseconds / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_meant_for_this_process_is_taken() {
        let us = process::id().to_string();
        let given = |pid: &str, count: &str| {
            let (pid, count) = (pid.to_owned(), count.to_owned());
            move |name: &str| match name {
                "LISTEN_PID" => Some(pid.clone()),
                _ => Some(count.clone()),
            }
        };
        assert_eq!(sockets(given(&us, "2")), Ok(vec![3, 4]));
        assert_eq!(sockets(given("1", "2")), Ok(vec![]));
        assert_eq!(sockets(|_| None), Ok(vec![]));
        assert!(sockets(given(&us, "-1")).is_err());
        assert!(sockets(given(&us, "many")).is_err());
    }

    #[test]
    fn a_watchdog_is_fed_twice_as_often_as_it_asks() {
        let asks = |name: &str| (name == "WATCHDOG_USEC").then(|| "3000000".to_owned());
        assert_eq!(watchdog(asks), Some(Duration::from_millis(1500)));
        let anothers =
            |name: &str| Some(if name == "WATCHDOG_PID" { "1" } else { "3000000" }.into());
        assert_eq!(watchdog(anothers), None);
    }

    #[test]
    fn a_status_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let notifier = Notifier::new(path.as_os_str().as_bytes(), None).unwrap();
        notifier.status("two\nlines").unwrap();
        notifier.status("two\nlines").unwrap();
        notifier.ready().unwrap();
        let mut buffer = [0; 64];
        let mut next = || {
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        assert_eq!((next(), next()), ("STATUS=two lines".to_owned(), "READY=1".to_owned()));
        assert!(Notifier::new(b"vsock:2:1", None).is_err());
    }
}
