//! Plaintext to TLS records and back, over a client's socket.
//!
//! rustls keeps the session and does no input or output; this moves bytes between the two. A write is
//! done only when every record of it has left: whoever is told that it waits comes again with the same
//! bytes, and nobody has to ask for a flush.

use std::{
    io::{self, BufRead, IoSlice, Read, Write},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use rustls::{ProtocolVersion, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::socket::Stream;

pub(crate) struct Tls {
    stream: Stream,
    session: ServerConnection,
    /// Plaintext that is encrypted, and whose records have not all left yet.
    taken: usize,
    goodbye: Goodbye,
    /// Bytes of records that came while hands were shaken.
    received: usize,
}

/// Whether the client is told, when the connection is closed, that nothing was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goodbye {
    Due,
    Said,
    /// What was being sent has broken off, and must not look whole.
    Withheld,
}

/// What a client may send before hands are shaken. The longest is a chain of certificates, and a
/// message of TLS ends at 64 KiB.
const MOST_HANDSHAKE: usize = 128 * 1024;

impl Tls {
    pub(crate) fn new(stream: Stream, session: ServerConnection) -> Tls {
        Tls { stream, session, taken: 0, goodbye: Goodbye::Due, received: 0 }
    }

    /// Shakes hands, beginning with what was read already.
    pub(crate) fn poll_handshake(
        &mut self,
        context: &mut Context<'_>,
        begun: &mut &[u8],
    ) -> Poll<io::Result<()>> {
        while !begun.is_empty() {
            self.received += self.session.read_tls(begun)?;
            self.decrypt(context)?;
        }
        loop {
            let is_done = !self.session.is_handshaking();
            // What is left of one of TLS 1.3 are tickets, which go along with the first answer.
            if !is_done || self.session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
                ready!(self.poll_flush(context))?;
            }
            if is_done {
                return Poll::Ready(Ok(()));
            }
            if self.received > MOST_HANDSHAKE {
                let message = format!("more than {MOST_HANDSHAKE} bytes without an end");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
            }
            ready!(self.poll_records(context))?;
            // Nothing can be said inside before it is over: this is the end.
            if self.session.is_handshaking() && self.plaintext().is_some() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Of what is decrypted, the first piece; empty at the end, `None` before more was received.
    fn plaintext(&mut self) -> Option<&[u8]> {
        match self.session.reader().into_first_chunk() {
            Ok(plaintext) => Some(plaintext),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            // An end that was not announced. HTTP says for itself whether a message is whole.
            Err(_) => Some(&[]),
        }
    }

    /// Receives once, and decrypts what is complete.
    fn poll_records(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = Blocking { stream: &mut self.stream, context };
        match self.session.read_tls(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            read => self.received = self.received.saturating_add(read?),
        }
        self.decrypt(context)?;
        // What asks for an answer of TLS's own gets it now; after a request there will be another.
        if self.plaintext().is_none()
            && let Poll::Ready(flushed) = self.poll_flush(context)
        {
            flushed?;
        }
        Poll::Ready(Ok(()))
    }

    fn decrypt(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Err(error) = self.session.process_new_packets() else { return Ok(()) };
        // An alert says why. If it can not leave, the close says that much.
        let _unsaid = self.poll_flush(context);
        self.goodbye = Goodbye::Said;
        Err(io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Encrypts and sends. After `Pending`, the next call must be for the same bytes.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            self.taken = self.session.writer().write_vectored(pieces)?;
        }
        ready!(self.poll_flush(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.taken)))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut socket = Blocking { stream: &mut self.stream, context };
            match self.session.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that no more will come, in TLS and in the socket.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_goodbye();
        ready!(self.poll_flush(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn say_goodbye(&mut self) {
        if self.goodbye == Goodbye::Due {
            self.goodbye = Goodbye::Said;
            self.session.send_close_notify();
        }
    }

    /// Makes the close one without a goodbye.
    pub(crate) fn break_off(&mut self) {
        self.goodbye = Goodbye::Withheld;
    }

    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.session.alpn_protocol()
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Takes records that were read past the runtime; whether they are good is for the next read.
    pub(crate) fn put(&mut self, mut records: &[u8]) {
        while !records.is_empty() && self.session.read_tls(&mut records).is_ok() {
            if self.session.process_new_packets().is_err() {
                return;
            }
        }
    }
}

impl AsyncRead for Tls {
    /// Fills nothing at the end, whether or not it was announced.
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tls = self.get_mut();
        while tls.plaintext().is_none() {
            ready!(tls.poll_records(context))?;
        }
        while let Some(plaintext @ [_, ..]) = tls.plaintext() {
            let taken = plaintext.len().min(buffer.remaining());
            if taken == 0 {
                break;
            }
            buffer.put_slice(&plaintext[..taken]);
            tls.session.reader().consume(taken);
        }
        Poll::Ready(Ok(()))
    }
}

/// The goodbye of a connection that is simply let go of. It is a few bytes: a socket that can not take
/// them now has a client that does not read.
impl Drop for Tls {
    fn drop(&mut self) {
        if self.goodbye == Goodbye::Due && !self.session.is_handshaking() {
            self.say_goodbye();
            let _unsaid = self.poll_flush(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// The socket as rustls wants it: what would wait is an error.
struct Blocking<'a, 'c> {
    stream: &'a mut Stream,
    context: &'a mut Context<'c>,
}

impl Read for Blocking<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.stream).poll_read(self.context, &mut buffer) {
            Poll::Ready(read) => read.map(|()| buffer.filled().len()),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Blocking<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.stream).poll_write_vectored(self.context, pieces) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
