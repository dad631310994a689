//! One socket to a peer, and what was read from it and not yet used.

use std::{
    fmt,
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::BytesMut;
use rustls::ClientConnection;
use tokio::net::UnixStream;

use super::SocketRules;
use crate::{
    clock,
    connection::{Io, Tls},
    tls::Called,
};

/// Where a peer listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Ip(SocketAddr),
    Unix(PathBuf),
}

/// As logs and `$upstream_addr` show it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub struct Connection {
    io: Io,
    pub buffer: BytesMut,
    /// Requests it has carried.
    pub requests: u64,
    /// [`clock::tick`] at that moment.
    pub opened: Duration,
    /// Where it was told to come from: who wants it from elsewhere can not use it.
    pub(super) local: Option<SocketAddr>,
    /// And who was met there, where that was to be made sure of.
    pub(super) called: Option<Called>,
}

/// Reads of this size cost the fewest system calls a byte, and that is what a body costs.
pub(super) const READ: usize = 64 << 10;

/// Small answers share one such stretch, one after the other, until it has less than this left.
const ROOM: usize = 16 << 10;

impl Connection {
    /// `local` is where it comes from, if that matters; `called`, who is to be met there by TLS. In a
    /// box, because it goes from hand to hand: from those that are idle to a request, to its body,
    /// and back.
    pub(super) async fn open(
        address: &Address,
        rules: &SocketRules,
        local: Option<SocketAddr>,
        called: Option<&Called>,
    ) -> io::Result<Box<Connection>> {
        let io = match address {
            Address::Ip(address) => {
                let stream = rules.connect(*address, local).await?;
                stream.set_nodelay(true)?;
                Io::Tcp(stream)
            }
            Address::Unix(path) => Io::Unix(UnixStream::connect(path).await?),
        };
        let io = match called {
            None => io,
            Some(called) => {
                let config = Arc::clone(&called.config);
                let session = ClientConnection::new(config, called.name.clone());
                let session = session.map_err(io::Error::other)?;
                let mut tls = Box::new(Tls::new(io, session.into()));
                poll_fn(|context| tls.poll_handshake(context)).await?;
                Io::Tls(tls)
            }
        };
        let (opened, called) = (clock::tick(), called.cloned());
        let buffer = BytesMut::new();
        Ok(Box::new(Connection { io, buffer, requests: 0, opened, local, called }))
    }

    /// Reads once; 0 is the end. When nobody holds what was read before, its memory is used again.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.capacity() - self.buffer.len() < ROOM {
            self.buffer.reserve(READ);
        }
        self.io.poll_read(context, &mut self.buffer)
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_write(context, parts)
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_shutdown(context)
    }

    /// Whether an idle connection can carry another request: the peer has neither closed it nor
    /// said something nobody asked for.
    pub(super) fn is_reusable(&mut self, look: Look) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        match (self.io.poll_read_ready(&mut context), look) {
            (Poll::Ready(Err(_)), _) => false,
            // The runtime has heard of nothing to read, and it listens.
            (Poll::Pending, Look::Quick) => true,
            // Inside of TLS, what was looked for is there.
            (Poll::Ready(Ok(())), _) if !self.io.is_plain() => false,
            (Poll::Pending, Look::Sure) | (Poll::Ready(Ok(())), _) => self.io.is_silent(),
        }
    }
}

/// How carefully an idle connection is looked at before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// By what the runtime knows: for requests that can be repeated.
    Quick,
    /// By a system call: for those that can not.
    Sure,
}
