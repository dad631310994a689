//! The socket of a client, what was read from it and not yet used, and how long it may take.
//!
//! Shared by reference inside one thread: the connection waits on it for a request, the request's
//! body reads from it, the response writes to it. Nothing holds a borrow across an await.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    path::PathBuf,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use nix::sys::socket::{MsgFlags, sendmsg};
use rustls::ServerConnection;
use tokio::time::Sleep;

use super::{Io, ProxyHeader, Secured, Tls};
use crate::{
    load::{Address, Reached},
    process::Drain,
    response::FilePart,
};

pub struct Client {
    pub(super) io: RefCell<Io>,
    /// Read and not yet used: the next request, or a part of this one's body.
    pub buffer: RefCell<BytesMut>,
    /// Shared with whoever else speaks for the same connection.
    pub peer: Rc<Peer>,
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
}

/// Who is at the other end.
pub struct Peer {
    /// nginx's connection number, `*1` in the error log.
    pub number: u64,
    pub remote: Remote,
    /// For whom the other end says it has made the connection (`listen ... proxy_protocol`).
    pub proxied: OnceCell<ProxyHeader>,
    /// The address that was connected to.
    pub local: PeerAddress,
    /// Requests on this connection, this one included.
    pub requests: Cell<u64>,
    since: Instant,
    /// Whether all about it is logged, whatever the levels (`debug_connection`).
    pub debugged: bool,
    /// What was agreed on, once it was, where the connection speaks TLS.
    tls: OnceCell<Box<Secured>>,
}

/// Who asks: an address, and its text once it was wanted.
#[derive(Clone, Debug)]
pub struct Remote {
    pub address: PeerAddress,
    text: OnceCell<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    Ip(SocketAddr),
    Unix(Option<PathBuf>),
}

/// Why nothing more comes from a client, or goes to it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("client timed out (110: Connection timed out)")]
    Timeout,
    #[error("client prematurely closed connection")]
    Gone,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One sendfile at a time: a fast client must not keep the thread from the others.
const SENDFILE_STEP: u64 = 2 << 20;

/// nix has no name for it.
const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);

/// How long a connection without an answer is waited for when the server ends.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The first read of a request: most heads fit, and an idle connection holds nothing.
const FIRST_READ: usize = 4096;

/// How long something may take: the clock is only looked at when there is something to wait for.
pub struct Deadline {
    limit: Duration,
    at: Option<Instant>,
}

impl Deadline {
    pub fn after(limit: Duration) -> Deadline {
        Deadline { limit, at: None }
    }

    pub fn until(at: Instant) -> Deadline {
        Deadline { limit: Duration::ZERO, at: Some(at) }
    }

    fn at(&mut self) -> Instant {
        *self.at.get_or_insert_with(|| Instant::now() + self.limit)
    }

    /// The first part of it, no longer than this; the rest is what is left of it.
    pub fn split(&mut self, first: Duration) -> Deadline {
        let first = self.limit.min(first);
        self.limit -= first;
        Deadline::after(first)
    }

    fn no_later_than(&mut self, limit: Duration) {
        self.at = Some(self.at().min(Instant::now() + limit));
    }
}

impl Peer {
    pub fn new(number: u64, address: PeerAddress, local: PeerAddress) -> Peer {
        let remote = Remote::new(address);
        Peer {
            number,
            remote,
            proxied: OnceCell::new(),
            local,
            requests: Cell::new(0),
            since: Instant::now(),
            debugged: false,
            tls: OnceCell::new(),
        }
    }

    pub fn tls(&self) -> Option<&Secured> {
        self.tls.get().map(|secured| &**secured)
    }

    pub(super) fn secure(&self, secured: Secured) {
        let set = self.tls.set(Box::new(secured));
        debug_assert!(set.is_ok(), "a connection shakes hands once");
    }

    /// The address as it was reached: with TLS, the handshake has named a server.
    pub fn reached<'a>(&'a self, address: &'a Address) -> Reached<'a> {
        let default = self.tls().map_or(&address.default, |secured| &secured.server);
        Reached { address, default }
    }

    /// How long the connection has lasted.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Remote {
    pub fn new(address: PeerAddress) -> Remote {
        Remote { address, text: OnceCell::new() }
    }

    /// `$remote_addr`: the address without its port, or `unix:`.
    pub fn text(&self) -> &Bytes {
        self.text.get_or_init(|| match &self.address {
            PeerAddress::Ip(address) => address.ip().to_string().into(),
            PeerAddress::Unix(_) => Bytes::from_static(b"unix:"),
        })
    }
}

impl Client {
    pub fn new(io: Io, peer: Rc<Peer>) -> Client {
        let (io, buffer) = (RefCell::new(io), RefCell::new(BytesMut::new()));
        Client { io, buffer, peer, timer: RefCell::new(None) }
    }

    /// The same client, whose socket now speaks TLS.
    pub(super) fn over_tls(self, session: ServerConnection) -> Client {
        let tls = Tls::new(self.io.into_inner(), session.into());
        Client { io: RefCell::new(Io::Tls(Box::new(tls))), ..self }
    }

    /// Waits for the first byte of a request. `false`: none will come, or the server ends. A
    /// connection that has had no answer yet gets a moment even then, since its request may be on
    /// the way; any other has `grace`.
    pub async fn wait_for_request(
        &self,
        deadline: &mut Deadline,
        grace: Duration,
        drain: &Drain,
    ) -> bool {
        if !self.buffer.borrow().is_empty() {
            return true;
        }
        // An idle connection keeps no buffer.
        *self.buffer.borrow_mut() = BytesMut::new();
        let grace = if self.peer.requests.get() == 0 { LAST_MOMENT } else { grace };
        let mut hurried = false;
        let mut draining = pin!(drain.begun());
        poll_fn(|context| {
            if let Poll::Ready(came) = self.poll_first_read(context) {
                return Poll::Ready(came);
            }
            if !hurried && (drain.has_begun() || draining.as_mut().poll(context).is_ready()) {
                if grace.is_zero() {
                    return Poll::Ready(false);
                }
                hurried = true;
                deadline.no_later_than(grace);
            }
            self.poll_deadline(context, deadline.at()).map(|()| false)
        })
        .await
    }

    /// Reads what has come to an idle connection. The buffer is only there while there is something
    /// to read: the runtime takes a new socket to be readable until it has tried.
    fn poll_first_read(&self, context: &mut Context<'_>) -> Poll<bool> {
        if ready!(self.io.borrow_mut().poll_read_ready(context)).is_err() {
            return Poll::Ready(false);
        }
        let mut buffer = self.buffer.borrow_mut();
        let read = self.poll_read(context, &mut buffer, FIRST_READ);
        if read.is_pending() {
            *buffer = BytesMut::new();
        }
        read.map(|read| read.is_ok_and(|length| length > 0))
    }

    /// Whether there is something to read, or the end.
    pub fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.borrow_mut().poll_read_ready(context)
    }

    /// Reads once into `buffer`, with room for at least `room` bytes.
    pub fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
        room: usize,
    ) -> Poll<io::Result<usize>> {
        buffer.reserve(room);
        self.io.borrow_mut().poll_read(context, buffer)
    }

    /// Reads more into the connection's own buffer.
    pub async fn fill(&self, room: usize, deadline: &mut Deadline) -> Result<(), ClientError> {
        poll_fn(|context| {
            let read = self.poll_read(context, &mut self.buffer.borrow_mut(), room);
            match read {
                Poll::Ready(Ok(0)) if !self.has_ended() => Poll::Ready(Err(ClientError::Gone)),
                Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    self.poll_deadline(context, deadline.at()).map(|()| Err(ClientError::Timeout))
                }
            }
        })
        .await
    }

    /// Reads what has come, without waiting. `false`: nothing, or it is over, as the next read will
    /// say.
    pub async fn fill_now(&self, room: usize) -> bool {
        poll_fn(|context| {
            let read = self.poll_read(context, &mut self.buffer.borrow_mut(), room);
            Poll::Ready(matches!(read, Poll::Ready(Ok(1..))))
        })
        .await
    }

    /// As [`Client::fill`], with the room a head wants.
    pub async fn fill_head(&self, deadline: &mut Deadline) -> Result<(), ClientError> {
        self.fill(FIRST_READ, deadline).await
    }

    /// Writes everything; `timeout` bounds the wait between two writes (`send_timeout`).
    pub async fn write_all(
        &self,
        parts: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.write_by(parts, timeout, |context, parts| self.poll_write(context, parts)).await
    }

    /// Writes once, as much as the client takes.
    pub fn poll_write(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.borrow_mut().poll_write(context, parts)
    }

    /// Whether [`Client::sendfile`] is possible: not where bytes are encrypted on their way.
    pub fn can_sendfile(&self) -> bool {
        self.io.borrow().is_plain()
    }

    /// Sends a stretch of a file without its bytes passing through here. `Ok` with less than its
    /// length: the file has become shorter.
    pub async fn sendfile(&self, part: &FilePart, timeout: Duration) -> Result<u64, ClientError> {
        let mut sent = 0;
        while sent < part.length {
            let mut deadline = Deadline::after(timeout);
            let step = (part.length - sent).min(SENDFILE_STEP) as usize;
            let mut offset = (part.offset + sent) as i64;
            let written = poll_fn(|context| {
                let send = |socket: BorrowedFd<'_>| sendfile(socket, part, &mut offset, step);
                let written = self.poll_send(context, send);
                self.or_deadline(context, &mut deadline, written)
            })
            .await?;
            if written == 0 {
                break;
            }
            sent += written as u64;
        }
        Ok(sent)
    }

    /// Writes everything, and tells the kernel that more comes at once, so that a head shares its
    /// packet with the beginning of its file (`tcp_nopush`).
    pub async fn write_before_more(
        &self,
        parts: &mut [IoSlice<'_>],
        timeout: Duration,
    ) -> Result<(), ClientError> {
        if !self.can_sendfile() {
            return self.write_all(parts, timeout).await;
        }
        self.write_by(parts, timeout, |context, parts| {
            self.poll_send(context, |socket| {
                let flags = MORE | MsgFlags::MSG_NOSIGNAL;
                Ok(sendmsg::<()>(socket.as_raw_fd(), parts, &[], flags, None)?)
            })
        })
        .await
    }

    /// Writes until nothing is left, by whichever call writes once.
    async fn write_by(
        &self,
        mut parts: &mut [IoSlice<'_>],
        timeout: Duration,
        write: impl Fn(&mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>,
    ) -> Result<(), ClientError> {
        // Takes empty slices off the front, so that no call is made for them.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let mut deadline = Deadline::after(timeout);
            let written = poll_fn(|context| {
                let written = write(context, parts);
                self.or_deadline(context, &mut deadline, written)
            })
            .await?;
            IoSlice::advance_slices(&mut parts, written);
        }
        Ok(())
    }

    /// A system call of our own on the socket, when it takes bytes.
    fn poll_send(
        &self,
        context: &mut Context<'_>,
        send: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.io.borrow().poll_send(context, send)
    }

    /// Waits, for as long as the client does.
    pub async fn pause(&self, end: Instant) -> Result<(), ClientError> {
        poll_fn(|context| {
            if self.poll_gone(context).is_ready() {
                return Poll::Ready(Err(ClientError::Gone));
            }
            self.poll_deadline(context, end).map(Ok)
        })
        .await
    }

    /// Whether the client has closed its side, or the connection broke. Bytes it sent stay unread.
    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        self.io.borrow_mut().poll_gone(context)
    }

    /// Makes the close that follows one that can not be taken for the end of what was being sent.
    pub fn break_off(&self) {
        self.io.borrow_mut().break_off();
    }

    /// Makes the close that follows a reset, which leaves nothing behind in the kernel
    /// (`reset_timedout_connection`).
    pub fn reset_on_close(&self) {
        self.io.borrow_mut().reset_on_close();
    }

    /// Says that no more will come, and lets the client go on reading.
    pub async fn shutdown(&self) {
        let _closed_already = poll_fn(|context| self.io.borrow_mut().poll_shutdown(context)).await;
    }

    fn or_deadline(
        &self,
        context: &mut Context<'_>,
        deadline: &mut Deadline,
        written: Poll<io::Result<usize>>,
    ) -> Poll<Result<usize, ClientError>> {
        match written {
            Poll::Ready(written) => Poll::Ready(written.map_err(ClientError::from)),
            Poll::Pending => {
                self.poll_deadline(context, deadline.at()).map(|()| Err(ClientError::Timeout))
            }
        }
    }

    /// One timer a connection, moved seldom: a deadline that lies later than the timer is only
    /// looked at when the timer goes off. A request sets no timer of its own.
    pub fn poll_deadline(&self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(deadline);
        let mut timer = self.timer.borrow_mut();
        let sleep = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if deadline <= tokio::time::Instant::now() {
                *timer = None;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

fn sendfile(
    socket: BorrowedFd<'_>,
    part: &FilePart,
    offset: &mut i64,
    length: usize,
) -> io::Result<usize> {
    Ok(nix::sys::sendfile::sendfile(socket, part.file.as_fd(), Some(offset), length)?)
}
