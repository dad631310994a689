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
    io::{AsyncReadExt, AsyncWrite, Interest},
    net::{TcpStream, UnixStream},
};

pub enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Io {
    /// Whether there is something to read, or the end.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Tcp(tcp) => tcp.poll_read_ready(context),
            Io::Unix(unix) => unix.poll_read_ready(context),
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
        }
    }

    /// Writes once, as much as the other end takes.
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match (self, parts) {
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
        }
    }

    /// A system call of our own on the socket, when it takes bytes.
    pub fn poll_send(
        &self,
        context: &mut Context<'_>,
        mut send: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(match self {
                Io::Tcp(tcp) => tcp.poll_write_ready(context),
                Io::Unix(unix) => unix.poll_write_ready(context),
            })?;
            let sent = match self {
                Io::Tcp(tcp) => tcp.try_io(Interest::WRITABLE, || send(tcp.as_fd())),
                Io::Unix(unix) => unix.try_io(Interest::WRITABLE, || send(unix.as_fd())),
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
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let peeked = match self {
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
        recv(self.as_fd().as_raw_fd(), &mut [0], flags) == Err(nix::errno::Errno::EAGAIN)
    }

    /// Makes the close that follows a reset, which leaves nothing behind in the kernel.
    pub fn reset_on_close(&self) {
        let linger = Some(Duration::ZERO);
        // A socket that is gone already needs no reset.
        let _gone = match self {
            Io::Tcp(tcp) => socket2::SockRef::from(tcp).set_linger(linger),
            Io::Unix(_) => Ok(()),
        };
    }
}

impl AsFd for Io {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Io::Tcp(tcp) => tcp.as_fd(),
            Io::Unix(unix) => unix.as_fd(),
        }
    }
}
