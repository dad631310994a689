//! The request on its way to the worker, and the events that come back.
//!
//! A small request is one write. A large body goes in pieces, and answers are read meanwhile: an
//! application may answer before it has read everything, and if neither side read, both would wait.

use std::{
    io::{self, Read},
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use fastcgi::{ClientEvent, abort_request, stdin, stdin_end};

use super::DispatchError;
use crate::{
    front::{Body, Place},
    pool::{Lease, REQUEST, WireError},
};

/// A write's worth of body.
const PIECE: usize = 64 * 1024;

pub(super) struct Exchange {
    pub(super) lease: Lease,
    outgoing: Outgoing,
}

struct Outgoing {
    buffer: Vec<u8>,
    at: usize,
    /// Whether the worker's socket has taken anything yet.
    begun: bool,
    rest: Rest,
}

enum Rest {
    /// The end of the body is in the buffer.
    None,
    /// The last comes first.
    Memory(Vec<Bytes>),
    File(std::fs::File),
    /// The worker reads no more. What it has to say may still come.
    Refused,
}

/// `request` holds the records up to the body.
pub(super) fn begin(
    mut lease: Lease,
    request: Vec<u8>,
    body: &mut Body,
) -> Result<Exchange, DispatchError> {
    let pid = lease.worker().pid;
    if let Err(error) = lease.connection() {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            lease.worker().shun();
        }
        return Err(DispatchError::Connect { pid, error });
    }
    let mut buffer = request;
    let unreadable = |error: io::Error| DispatchError::Spool { error };
    body.rewind().map_err(unreadable)?;
    let rest = match &body.place {
        Place::Memory(pieces) if body.length <= PIECE as u64 => {
            for piece in pieces {
                stdin(&mut buffer, REQUEST, piece);
            }
            stdin_end(&mut buffer, REQUEST);
            Rest::None
        }
        Place::Memory(pieces) => Rest::Memory(pieces.iter().rev().cloned().collect()),
        Place::File(file) => Rest::File(file.try_clone().map_err(unreadable)?),
    };
    lease.expect_word(Some(Instant::now()));
    Ok(Exchange { lease, outgoing: Outgoing { buffer, at: 0, begun: false, rest } })
}

impl Exchange {
    pub(super) fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<ClientEvent, DispatchError>> {
        let pid = self.lease.worker().pid;
        if self.lease.is_overdue() {
            self.lease.spoil();
            return Poll::Ready(Err(DispatchError::Timeout { pid }));
        }
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(Err(error));
        }
        let connection = self.lease.connection().expect("it was opened before");
        match connection.poll_event(context) {
            Poll::Pending => {
                self.lease.park(context.waker());
                Poll::Pending
            }
            Poll::Ready(Ok(event)) => {
                self.lease.expect_word(Some(Instant::now()));
                Poll::Ready(Ok(event))
            }
            Poll::Ready(Err(error)) => {
                self.lease.spoil();
                Poll::Ready(Err(match error {
                    WireError::Protocol(error) => {
                        DispatchError::Protocol { pid, what: error.to_string() }
                    }
                    WireError::Closed | WireError::Read(_) => {
                        DispatchError::WorkerGone { pid, seen: Seen::Perhaps, ended: None }
                    }
                    WireError::Reset => {
                        DispatchError::WorkerGone { pid, seen: Seen::Unlikely, ended: None }
                    }
                }))
            }
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), DispatchError>> {
        let outgoing = &mut self.outgoing;
        while !outgoing.is_done() {
            if outgoing.at == outgoing.buffer.len() {
                outgoing.refill().map_err(|error| DispatchError::Spool { error })?;
                continue;
            }
            let connection = self.lease.connection().expect("it was opened before");
            match connection.poll_write(context, &outgoing.buffer[outgoing.at..]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(written)) => {
                    outgoing.at += written;
                    outgoing.begun = true;
                }
                Poll::Ready(Err(_)) if outgoing.begun => outgoing.rest = Rest::Refused,
                Poll::Ready(Err(_)) => {
                    self.lease.spoil();
                    let pid = self.lease.worker().pid;
                    return Poll::Ready(Err(DispatchError::WorkerGone {
                        pid,
                        seen: Seen::Never,
                        ended: None,
                    }));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The worker is not owed anything while we keep it waiting.
    pub(super) fn pause(&self) {
        self.lease.expect_word(None);
    }

    /// The worker is done with this request, and the connection fit for another: unless it left
    /// part of the body unread, which would be taken for the next request.
    pub(super) fn finish(mut self) {
        if !self.outgoing.is_done() || matches!(self.outgoing.rest, Rest::Refused) {
            self.lease.spoil();
        }
    }

    /// Nobody waits for the answer any more. The worker is told, and stays busy until it has heard.
    pub(super) async fn abandon(mut self) {
        if self.outgoing.is_done() {
            self.outgoing.buffer.clear();
            self.outgoing.at = 0;
            abort_request(&mut self.outgoing.buffer, REQUEST);
        }
        loop {
            match std::future::poll_fn(|context| self.poll_event(context)).await {
                Ok(ClientEvent::End(_)) => return self.finish(),
                Ok(_) => (),
                Err(_) => return,
            }
        }
    }
}

/// Whether the application may have seen a request whose worker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The worker's socket took nothing.
    Never,
    /// The worker died with bytes of it unread.
    Unlikely,
    Perhaps,
}

impl Outgoing {
    fn is_done(&self) -> bool {
        match self.rest {
            Rest::None => self.at == self.buffer.len(),
            Rest::Refused => true,
            Rest::Memory(_) | Rest::File(_) => false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.at = 0;
        let is_end = match &mut self.rest {
            Rest::None | Rest::Refused => false,
            Rest::Memory(pieces) => match pieces.pop() {
                None => true,
                Some(piece) => {
                    stdin(&mut self.buffer, REQUEST, &piece);
                    false
                }
            },
            Rest::File(file) => {
                let mut piece = vec![0; PIECE];
                let length = file.read(&mut piece)?;
                if length > 0 {
                    stdin(&mut self.buffer, REQUEST, &piece[..length]);
                }
                length == 0
            }
        };
        if is_end {
            stdin_end(&mut self.buffer, REQUEST);
            self.rest = Rest::None;
        }
        Ok(())
    }
}
