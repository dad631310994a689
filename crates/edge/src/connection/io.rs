//! The ways bytes come and go: what a [`Client`](super::Client) and an upstream's connection are
//! built on. All that differs from one kind of socket to another stands here.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::BytesMut;
use nix::sys::socket::{MsgFlags, recv};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{Tls, http2::Stream};

pub enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Over one of the others.
    Tls(Box<Tls>),
    /// One of several over any of the others.
    Stream(Stream),
}

impl Io {
    /// Whether there is something to read, or the end.
    pub fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(tcp) => tcp.poll_read_ready(context),
            Io::Unix(unix) => unix.poll_read_ready(context),
            Io::Tls(tls) => tls.poll_read_ready(context),
            // Who reads a stream asks for its bytes at once.
            Io::Stream(_) => Poll::Ready(Ok(())),
        }
    }

    /// Reads once, into the room the buffer has; 0 is the end.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Io::Tcp(tcp) => pin!(tcp.read_buf(buffer)).poll(context),
            Io::Unix(unix) => pin!(unix.read_buf(buffer)).poll(context),
            Io::Tls(tls) => tls.poll_read(context, buffer),
            Io::Stream(stream) => stream.poll_read(context, buffer),
        }
    }

    /// Reads once from a socket, into memory that is there.
    pub(super) fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Io::Tcp(tcp) => Pin::new(tcp).poll_read(context, &mut buffer),
            Io::Unix(unix) => Pin::new(unix).poll_read(context, &mut buffer),
            Io::Tls(_) | Io::Stream(_) => unreachable!("{NOT_NESTED}"),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes once, as much as the other end takes.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, parts) {
            (Io::Tls(tls), parts) => tls.poll_write(context, parts),
            (Io::Stream(stream), parts) => stream.poll_write(context, parts),
            (Io::Tcp(tcp), [part]) => Pin::new(tcp).poll_write(context, part),
            (Io::Unix(unix), [part]) => Pin::new(unix).poll_write(context, part),
            (Io::Tcp(tcp), parts) => Pin::new(tcp).poll_write_vectored(context, parts),
            (Io::Unix(unix), parts) => Pin::new(unix).poll_write_vectored(context, parts),
        }
    }

    /// Says that no more will come; the other end may go on talking.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Io::Unix(unix) => Pin::new(unix).poll_shutdown(context),
            Io::Tls(tls) => tls.poll_shutdown(context),
            // Its end is said when its answer is over.
            Io::Stream(_) => Poll::Ready(Ok(())),
        }
    }

    /// Whether bytes may be put into the socket by other calls than [`Io::poll_write`].
    pub fn is_plain(&self) -> bool {
        matches!(self, Io::Tcp(_) | Io::Unix(_))
    }

    /// A system call of our own on the socket, when it takes bytes. Only where [`Io::is_plain`].
    pub fn poll_send(
        &self,
        context: &mut Context<'_>,
        mut send: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(match self {
                Io::Tcp(tcp) => tcp.poll_write_ready(context),
                Io::Unix(unix) => unix.poll_write_ready(context),
                Io::Tls(_) | Io::Stream(_) => {
                    return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
                }
            })?;
            let sent = match self {
                Io::Tcp(tcp) => tcp.try_io(Interest::WRITABLE, || send(tcp.as_fd())),
                Io::Unix(unix) => unix.try_io(Interest::WRITABLE, || send(unix.as_fd())),
                Io::Tls(_) | Io::Stream(_) => Err(io::ErrorKind::Unsupported.into()),
            };
            match sent {
                // Not ready after all: ask again, and wait.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// Whether the other end has closed its side, or the connection broke. What it sent stays unread.
    pub fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let peeked = match self {
            Io::Tls(tls) => return tls.poll_gone(context),
            Io::Stream(stream) => return stream.poll_gone(context),
            Io::Tcp(tcp) => {
                let mut byte = [0];
                ready!(tcp.poll_peek(context, &mut tokio::io::ReadBuf::new(&mut byte)))
            }
            Io::Unix(unix) => loop {
                if let Err(error) = ready!(unix.poll_read_ready(context)) {
                    break Err(error);
                }
                let peek = || Ok(recv(unix.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK)?);
                match unix.try_io(Interest::READABLE, peek) {
                    // Not ready after all: ask again, and wait.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                    peeked => break peeked,
                }
            },
        };
        match peeked {
            Ok(0) | Err(_) => Poll::Ready(()),
            // More was said: the reader will be woken by nothing new until it is read.
            Ok(_) => Poll::Pending,
        }
    }

    /// Asks the system whether an idle connection is one: the other end has neither closed it nor
    /// said something nobody asked for.
    pub fn is_silent(&self) -> bool {
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let peek = |socket: BorrowedFd<'_>| recv(socket.as_raw_fd(), &mut [0], flags);
        self.socket().map(peek) == Some(Err(nix::errno::Errno::EAGAIN))
    }

    /// A stream has none of its own.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Io::Tcp(tcp) => Some(tcp.as_fd()),
            Io::Unix(unix) => Some(unix.as_fd()),
            Io::Tls(tls) => tls.socket().socket(),
            Io::Stream(_) => None,
        }
    }

    /// Makes the close that follows a reset, which leaves nothing behind in the kernel.
    pub fn reset_on_close(&mut self) {
        self.break_off();
        let linger = Some(Duration::ZERO);
        if let (Some(socket), false) = (self.socket(), matches!(self, Io::Unix(_))) {
            // A socket that is gone already needs no reset.
            let _gone = socket2::SockRef::from(&socket).set_linger(linger);
        }
    }

    /// Makes the close one that the other end can tell from an orderly one, where there is a way to.
    pub fn break_off(&mut self) {
        if let Io::Tls(tls) = self {
            tls.break_off();
        }
    }
}

const NOT_NESTED: &str = "TLS is spoken over a socket, and not over TLS or a stream";
