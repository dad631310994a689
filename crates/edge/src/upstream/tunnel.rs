//! After 101: bytes from the client to the peer and back, until both have said their last.
//!
//! nginx ends both directions when the client ends one. Here the peer hears of that end and may
//! still answer: what it says last is not lost.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};

use super::{Connection, ask::Ticket};
use crate::{connection::Client, response::Tunnel};

pub struct UpgradeTunnel {
    pub connection: Box<Connection>,
    pub ticket: Ticket,
    /// `proxy_read_timeout`: how long both may be silent.
    pub timeout: Duration,
}

/// One direction.
struct Flow {
    buffer: BytesMut,
    /// How many bytes the receiver has taken.
    moved: u64,
    /// The sender has said its last.
    ended: bool,
    /// And the receiver has been told.
    closed: bool,
}

const READ: usize = 16 << 10;

impl Tunnel for UpgradeTunnel {
    fn run(mut self: Box<Self>, client: Rc<Client>) -> Pin<Box<dyn Future<Output = u64>>> {
        Box::pin(async move {
            let flow = |buffer| Flow { buffer, moved: 0, ended: false, closed: false };
            let mut up = flow(std::mem::take(&mut *client.buffer.borrow_mut()));
            let mut down = flow(std::mem::take(&mut self.connection.buffer));
            let peer = &mut self.connection;
            let timeout = self.timeout;
            let mut deadline = Instant::now() + timeout;
            // An error in either direction ends both: nothing can be said of it any more.
            let _broken: io::Result<()> = poll_fn(|context| {
                loop {
                    let before = deadline;
                    let upward = up.poll_up(context, &client, peer)?;
                    let downward = down.poll_down(context, &client, peer)?;
                    if up.closed && down.closed {
                        return Poll::Ready(Ok(()));
                    }
                    if upward || downward {
                        deadline = Instant::now() + timeout;
                    }
                    if before == deadline {
                        return client.poll_deadline(context, deadline).map(Ok);
                    }
                }
            })
            .await;
            down.moved
        })
    }
}

impl Flow {
    fn advance(&mut self, written: usize) {
        self.buffer.advance(written);
        self.moved += written as u64;
    }

    /// Client to peer. `true`: something moved.
    fn poll_up(
        &mut self,
        context: &mut Context<'_>,
        client: &Client,
        peer: &mut Connection,
    ) -> io::Result<bool> {
        let mut moved = false;
        if !self.ended && self.buffer.is_empty() {
            match client.poll_read(context, &mut self.buffer, READ) {
                Poll::Ready(read) => {
                    self.ended = read? == 0;
                    moved = true;
                }
                Poll::Pending => (),
            }
        }
        if !self.buffer.is_empty() {
            if let Poll::Ready(written) = peer.poll_write(context, &[IoSlice::new(&self.buffer)]) {
                self.advance(written?);
                moved = true;
            }
        } else if self.ended && !self.closed {
            self.closed = peer.poll_shutdown(context)?.is_ready();
            moved |= self.closed;
        }
        Ok(moved)
    }

    /// Peer to client. The peer's end is the end of both: nobody is left to hear the client.
    fn poll_down(
        &mut self,
        context: &mut Context<'_>,
        client: &Client,
        peer: &mut Connection,
    ) -> io::Result<bool> {
        let mut moved = false;
        if !self.ended && self.buffer.is_empty() {
            match peer.poll_read(context) {
                Poll::Ready(read) => {
                    self.ended = read? == 0;
                    self.buffer = peer.buffer.split();
                    moved = true;
                }
                Poll::Pending => (),
            }
        }
        if !self.buffer.is_empty() {
            if let Poll::Ready(written) = client.poll_write(context, &[IoSlice::new(&self.buffer)])
            {
                self.advance(written?);
                moved = true;
            }
        } else if self.ended && !self.closed {
            self.closed = true;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(moved)
    }
}
