//! TLS over a socket: records in, plaintext out, and back.
//!
//! rustls keeps the session and does no input or output of its own; this file moves bytes between it
//! and the socket. A write is one record where it fits into one, and every record of it leaves in one
//! system call. It is only done when all of it has left, as OpenSSL's is: whoever was told that it
//! waits comes again with the same bytes, and nobody has to ask for a flush.

use std::{
    io::{self, BufRead, IoSlice, Read, Write},
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use rustls::Connection;

use super::Io;

pub struct Tls {
    io: Io,
    session: Connection,
    /// Plaintext that is encrypted, and whose records have not all left yet.
    taken: usize,
    /// Whether the other end is told that nothing follows.
    goodbye: Goodbye,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    /// When the connection is closed.
    Due,
    Said,
    /// Never: what was being sent has broken off, and must not look whole.
    Withheld,
}

impl Tls {
    pub fn new(io: Io, session: Connection) -> Tls {
        Tls { io, session, taken: 0, goodbye: Goodbye::Due }
    }

    /// Shakes hands; what is agreed on stays inside.
    pub fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_flush(context))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_records(context))?;
            // Nothing can be said inside before it is over: this is the end.
            if self.session.is_handshaking() && self.next().is_some() {
                let message = "peer closed connection in SSL handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
            }
        }
    }

    pub(super) fn socket(&self) -> &Io {
        &self.io
    }

    /// Whether there is plaintext to read, or the end. What says neither is dealt with here: a ticket,
    /// a new key.
    pub(super) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.next().is_none() {
            ready!(self.poll_records(context))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Into the room the buffer has; 0 is the end, whether or not it was announced.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_read_ready(context))?;
        let before = buffer.len();
        while let Some(plaintext) = self.next().filter(|plaintext| !plaintext.is_empty()) {
            let room = buffer.capacity() - buffer.len();
            let taken = plaintext.len().min(room);
            if taken == 0 {
                break;
            }
            buffer.extend_from_slice(&plaintext[..taken]);
            self.session.reader().consume(taken);
        }
        Poll::Ready(Ok(buffer.len() - before))
    }

    /// Of what is decrypted, the first piece; empty at the end, `None` before more was received.
    fn next(&mut self) -> Option<&[u8]> {
        match self.session.reader().into_first_chunk() {
            Ok(plaintext) => Some(plaintext),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // An end that was not announced. HTTP says for itself whether a message is whole.
            Err(_) => Some(&[]),
        }
    }

    /// Receives once, and decrypts what is complete.
    fn poll_records(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = Socket { io: &mut self.io, context };
        match self.session.read_tls(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            read => read?,
        };
        if let Err(error) = self.session.process_new_packets() {
            // An alert says why. If it can not leave, the close says that much.
            let _unsaid = self.poll_flush(context);
            self.goodbye = Goodbye::Said;
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        // What asks for an answer of TLS's own gets it now; after a request there will be another.
        if self.next().is_none()
            && let Poll::Ready(flushed) = self.poll_flush(context)
        {
            flushed?;
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts and sends. After `Pending`, the next call must be for the same bytes.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            self.taken = self.session.writer().write_vectored(parts)?;
        }
        ready!(self.poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.taken)))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut socket = Socket { io: &mut self.io, context };
            match self.session.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that no more will come, in TLS and in TCP.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_goodbye();
        ready!(self.poll_flush(context))?;
        self.io.poll_shutdown(context)
    }

    fn say_goodbye(&mut self) {
        if self.goodbye == Goodbye::Due {
            self.goodbye = Goodbye::Said;
            self.session.send_close_notify();
        }
    }

    /// Makes the close one without a goodbye.
    pub(super) fn break_off(&mut self) {
        self.goodbye = Goodbye::Withheld;
    }

    /// Whether the other end has closed its side, or the connection broke.
    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.poll_read_ready(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) => match self.next() {
                // More was said: until that is read, nothing new is heard.
                Some(plaintext) if !plaintext.is_empty() => Poll::Pending,
                _ => Poll::Ready(()),
            },
        }
    }
}

/// The goodbye of a connection that is simply let go of. It is a few bytes: a socket that can not take
/// them now has a client that does not read.
impl Drop for Tls {
    fn drop(&mut self) {
        if self.goodbye == Goodbye::Due {
            self.say_goodbye();
            let _unsaid = self.poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// The socket as rustls wants it: what would wait is an error.
struct Socket<'a, 'c> {
    io: &'a mut Io,
    context: &'a mut Context<'c>,
}

impl Read for Socket<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        or_would_block(self.io.poll_read_into(self.context, buffer))
    }
}

impl Write for Socket<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(self.io.poll_write(self.context, parts))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
