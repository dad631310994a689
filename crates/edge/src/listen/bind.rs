//! The sockets, opened by the master and inherited by its workers.

use std::{io, os::fd::OwnedFd, sync::Arc};

use nix::{libc, setsockopt_impl, sockopt_impl, sys::socket::setsockopt};
use socket2::{Domain, Protocol, SockAddr, Type};

use super::{Listen, ListenAddress, address::KeepAlive};
use crate::conf::ConfError;

/// An open listening socket.
#[derive(Clone, Debug)]
pub struct Socket {
    pub address: ListenAddress,
    pub fd: Arc<OwnedFd>,
}

/// nginx's default on Linux.
const BACKLOG: i32 = 511;

/// Why a socket could not be opened: `bind() to 0.0.0.0:80 failed (98: Address already in use)`.
#[derive(Debug, thiserror::Error)]
#[error("{call} {subject} failed ({})", crate::conf::errno(source))]
pub struct BindError {
    call: &'static str,
    subject: String,
    pub source: io::Error,
}

pub fn bind(listen: &Listen) -> Result<Socket, BindError> {
    let address = &listen.address;
    let fail = |call: &'static str, source: io::Error| {
        let preposition = if call == "bind()" { "to" } else { "for" };
        BindError { call, subject: format!("{preposition} {address}"), source }
    };
    let (domain, target) = match address {
        ListenAddress::Ip(ip) => (Domain::for_address(*ip), SockAddr::from(*ip)),
        ListenAddress::Unix(path) => {
            let target = SockAddr::unix(path).map_err(|error| fail("bind()", error))?;
            (Domain::UNIX, target)
        }
    };
    let protocol = (listen.multipath && domain != Domain::UNIX).then_some(Protocol::MPTCP);
    let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking().cloexec(), protocol)
        .map_err(|error| fail("socket()", error))?;
    if let ListenAddress::Ip(ip) = address {
        socket.set_reuse_address(true).map_err(|error| fail("setsockopt(SO_REUSEADDR)", error))?;
        if ip.is_ipv6() {
            socket
                .set_only_v6(listen.ipv6only)
                .map_err(|error| fail("setsockopt(IPV6_V6ONLY)", error))?;
        }
        if listen.reuseport {
            socket.set_reuse_port(true).map_err(|error| fail("setsockopt(SO_REUSEPORT)", error))?;
        }
    }
    tune(&socket, listen).map_err(|error| fail("setsockopt()", error))?;
    socket.bind(&target).map_err(|error| fail("bind()", error))?;
    if let ListenAddress::Unix(path) = address {
        // As nginx: whoever may reach the folder may connect.
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(path, everyone).map_err(|error| fail("chmod()", error))?;
    }
    let backlog = listen.backlog.unwrap_or(BACKLOG);
    socket.listen(backlog).map_err(|error| fail("listen()", error))?;
    Ok(Socket { address: address.clone(), fd: Arc::new(socket.into()) })
}

sockopt_impl!(
    /// nix has no name for it.
    DeferAccept,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    i32
);
sockopt_impl!(
    /// nix has no name for it.
    FastOpen,
    SetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_FASTOPEN,
    i32
);

/// What accepted connections inherit, and how they are accepted.
fn tune(socket: &socket2::Socket, listen: &Listen) -> io::Result<()> {
    if let Some(size) = listen.receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    if let Some(size) = listen.send_buffer {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(queue) = listen.fast_open {
        setsockopt(socket, FastOpen, &queue)?;
    }
    if listen.deferred {
        setsockopt(socket, DeferAccept, &1)?;
    }
    match &listen.keepalive {
        None => Ok(()),
        Some(KeepAlive::Off) => socket.set_keepalive(false),
        Some(KeepAlive::On { idle, interval, probes }) => {
            socket.set_keepalive(true)?;
            let mut tuned = socket2::TcpKeepalive::new();
            if let Some(idle) = idle {
                tuned = tuned.with_time(*idle);
            }
            if let Some(interval) = interval {
                tuned = tuned.with_interval(*interval);
            }
            if let Some(probes) = probes {
                tuned = tuned.with_retries(*probes);
            }
            socket.set_tcp_keepalive(&tuned)
        }
    }
}

impl Socket {
    /// A socket that a new configuration takes over, perhaps with another backlog.
    pub fn listen_again(&self, listen: &Listen) -> Result<(), ConfError> {
        let backlog = listen.backlog.unwrap_or(BACKLOG);
        socket2::SockRef::from(&*self.fd)
            .listen(backlog)
            .map_err(|error| ConfError::io("listen()", &format!("for {}", self.address), &error))
    }
}
