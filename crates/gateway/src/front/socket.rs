//! A client's socket, TCP or unix, plain or with TLS over it, under its connection's deadline.

use std::{
    future::poll_fn,
    io,
    net::Shutdown,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rustls::ServerConnection;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

use super::{
    connections::{Phase, Watch},
    http2,
    tls::{Tls, Unshaken},
};

/// What was accepted.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What requests come by.
enum Channel {
    Plain(Stream),
    Tls(Box<Tls>),
    /// One of many over one of the others.
    Http2(http2::Stream),
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The deadline passed.
    Silent,
    Closed,
}

pub(crate) struct Socket {
    channel: Channel,
    watch: Rc<Watch>,
}

impl Socket {
    pub(crate) fn new(stream: Stream, watch: Rc<Watch>) -> Socket {
        Socket { channel: Channel::Plain(stream), watch }
    }

    /// Shakes hands, of which `begun` was read already.
    pub(super) async fn secure(
        self,
        session: ServerConnection,
        begun: &[u8],
    ) -> Result<Socket, Unshaken> {
        let Socket { channel: Channel::Plain(stream), watch } = self else {
            unreachable!("a connection begins once");
        };
        let (mut tls, mut begun) = (Box::new(Tls::new(stream, session)), begun);
        poll_fn(|context| match tls.poll_handshake(context, &mut begun) {
            Poll::Ready(done) => Poll::Ready(done.map_err(Unshaken::Failed)),
            Poll::Pending => watch.wait(context).map(|gone| Err(Unshaken::Gone(gone))),
        })
        .await?;
        Ok(Socket { channel: Channel::Tls(tls), watch })
    }

    pub(super) fn of_stream(stream: http2::Stream, watch: Rc<Watch>) -> Socket {
        Socket { channel: Channel::Http2(stream), watch }
    }

    /// What the client has asked for over TLS.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match &self.channel {
            Channel::Tls(tls) => tls.alpn(),
            Channel::Plain(_) | Channel::Http2(_) => None,
        }
    }

    /// For a connection that waits for several things at once.
    pub(super) fn wait_until(&mut self, deadline: Option<Instant>, phase: Phase) {
        self.watch.deadline.set(deadline);
        self.watch.phase.set(phase);
    }

    pub(crate) fn set_phase(&mut self, phase: Phase) {
        self.watch.phase.set(phase);
    }

    pub(crate) fn expect_within(&mut self, patience: Duration) {
        self.watch.expect_within(patience);
    }

    /// What the socket has, up to the buffer's free room.
    pub(crate) async fn read(&mut self, buffer: &mut BytesMut) -> Result<usize, Gone> {
        poll_fn(|context| self.poll_read(context, buffer)).await
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<Result<usize, Gone>> {
        match pin!(self.channel.read_buf(buffer)).poll(context) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Gone::Closed)),
            Poll::Ready(Ok(length)) => Poll::Ready(Ok(length)),
            Poll::Pending => self.watch.wait(context).map(Err),
        }
    }

    /// Whether the client has said that a body is at its end, which on other connections it can not.
    pub(super) fn has_ended(&self) -> bool {
        matches!(&self.channel, Channel::Http2(stream) if stream.has_ended())
    }

    /// The answer is said, to its end or not: a stream of HTTP/2 has an end of its own.
    pub(super) fn finish(&mut self) {
        if let Channel::Http2(stream) = &mut self.channel {
            stream.finish();
        }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = poll_fn(|context| self.poll_write(context, &[io::IoSlice::new(rest)]));
            rest = &rest[written.await?..];
        }
        Ok(())
    }

    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<Result<usize, Gone>> {
        match self.channel.poll_write(context, pieces) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(Gone::Closed)),
            Poll::Ready(Ok(length)) => Poll::Ready(Ok(length)),
            Poll::Pending => self.watch.wait(context).map(|gone| {
                if let Channel::Http2(stream) = &mut self.channel {
                    stream.break_off();
                }
                Err(gone)
            }),
        }
    }

    /// Returns when the client has closed its side. What it sends meanwhile is kept, up to a bound.
    ///
    /// A client that only half closes looks the same on TCP; like nginx, we take it to have left.
    pub(crate) async fn closed(&mut self, buffer: &mut BytesMut) {
        /// Of requests sent ahead of their turn. Beyond it, we look no further.
        const MOST: usize = 64 * 1024;
        if let Channel::Http2(stream) = &self.channel {
            // What it sends, it sends on other streams; and this one may well be half closed.
            return poll_fn(|context| stream.poll_gone(context)).await;
        }
        loop {
            if buffer.len() >= MOST {
                return std::future::pending().await;
            }
            buffer.reserve(4096);
            match self.channel.read_buf(buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => (),
            }
        }
    }

    /// Before an idle connection is closed: whether a request came in the very last moment. On a unix
    /// socket no later one can: the peer's next write fails, so it knows that it was not read.
    ///
    /// Not through the runtime: it has not heard yet of what came this instant.
    pub(crate) fn last_look(&mut self, buffer: &mut BytesMut) -> bool {
        let mut found = [0; 4096];
        let Some(stream) = self.channel.stream() else { return false };
        let read = match stream {
            Stream::Tcp(stream) => nix::unistd::read(stream, &mut found),
            Stream::Unix(stream) => {
                // Fails only if the peer has closed already.
                let _ = socket2::SockRef::from(stream).shutdown(Shutdown::Read);
                nix::unistd::read(stream, &mut found)
            }
        };
        let found = &found[..read.unwrap_or(0)];
        match &mut self.channel {
            Channel::Tls(tls) => tls.put(found),
            Channel::Plain(_) | Channel::Http2(_) => buffer.extend_from_slice(found),
        }
        !found.is_empty()
    }

    /// Closes with an error, where a plain end would pass for the end of an answer.
    pub(crate) fn reset(&mut self) {
        match &mut self.channel {
            Channel::Plain(_) => (),
            Channel::Tls(tls) => tls.break_off(),
            Channel::Http2(stream) => stream.break_off(),
        }
        let sockets = match self.channel.stream() {
            None => return,
            Some(Stream::Tcp(stream)) => socket2::SockRef::from(stream),
            Some(Stream::Unix(stream)) => socket2::SockRef::from(stream),
        };
        // Where the system has no such option, the client sees the plain end.
        let _ = sockets.set_linger(Some(Duration::ZERO));
    }

    /// Closes so that the client still gets our last words: a socket closed with unread bytes in it
    /// is reset, and a reset overtakes the answer.
    pub(crate) async fn linger(&mut self, buffer: &mut BytesMut) {
        const MOST: usize = 1024 * 1024;
        self.expect_within(Duration::from_secs(2));
        self.set_phase(Phase::Busy);
        let Socket { channel, watch } = self;
        let closed = poll_fn(|context| match channel.poll_shutdown(context) {
            Poll::Ready(closed) => Poll::Ready(closed.is_ok()),
            Poll::Pending => watch.wait(context).map(|_| false),
        });
        if !closed.await {
            return;
        }
        let mut dropped = 0;
        while dropped < MOST {
            buffer.clear();
            buffer.reserve(4096);
            match self.read(buffer).await {
                Ok(length) => dropped += length,
                Err(_) => return,
            }
        }
    }
}

impl Channel {
    /// What the system knows of.
    fn stream(&self) -> Option<&Stream> {
        match self {
            Channel::Plain(stream) => Some(stream),
            Channel::Tls(tls) => Some(tls.stream()),
            Channel::Http2(_) => None,
        }
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Channel::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Channel::Tls(tls) => tls.poll_write(context, pieces),
            Channel::Http2(stream) => stream.poll_write(context, pieces),
        }
    }

    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Channel::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Channel::Tls(tls) => tls.poll_shutdown(context),
            Channel::Http2(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Channel::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Channel::Tls(tls) => Pin::new(&mut **tls).poll_read(context, buffer),
            Channel::Http2(stream) => stream.poll_read(context, buffer),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
