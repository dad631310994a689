//! One connection to a worker: bytes out, FastCGI events in.

use std::{
    future::Future,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::UnixStream as StdUnixStream,
    },
    path::Path,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use fastcgi::{ClientConnection, ClientError, ClientEvent};
use nix::sys::socket::{UnixAddr, bind};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    net::UnixStream,
};

/// One request at a time, so one number is enough.
pub(crate) const REQUEST: u16 = 1;

/// A worker's write of a whole small response, or a large one's piece.
const READ: usize = 64 * 1024;

pub(crate) struct WorkerConn {
    stream: UnixStream,
    input: BytesMut,
    wire: ClientConnection,
}

/// Why no event came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the connection was closed")]
    Closed,
    /// The kernel says so when the worker died with our bytes unread.
    #[error("the connection was reset")]
    Reset,
    #[error("{0}")]
    Read(io::Error),
    #[error("{0}")]
    Protocol(#[from] ClientError),
}

impl WorkerConn {
    /// Returns at once: the worker's queue of connections is longer than it has threads. Goes along
    /// with the connection's name, by which the worker can be asked about it: the kernel's choice,
    /// and the same on both sides.
    pub(super) fn open(path: &Path) -> io::Result<(WorkerConn, Rc<str>)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
        socket.connect(&SockAddr::unix(path)?)?;
        let stream = StdUnixStream::from(OwnedFd::from(socket));
        let name = stream.local_addr()?;
        let name = name.as_abstract_name().unwrap_or_default().escape_ascii().to_string();
        let mut wire = ClientConnection::new();
        wire.expect(REQUEST);
        let stream = UnixStream::from_std(stream)?;
        Ok((WorkerConn { stream, input: BytesMut::new(), wire }, name.into()))
    }

    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    pub(crate) fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<ClientEvent, WireError>> {
        loop {
            if let Some(event) = self.wire.next(&mut self.input)? {
                return Poll::Ready(Ok(event));
            }
            self.input.reserve(READ);
            let read = pin!(self.stream.read_buf(&mut self.input));
            match ready!(read.poll(context)) {
                Ok(0) => return Poll::Ready(Err(WireError::Closed)),
                Ok(_) => (),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Poll::Ready(Err(WireError::Reset));
                }
                Err(error) => return Poll::Ready(Err(WireError::Read(error))),
            }
        }
    }
}
