//! The request while it is being sent: head and body in one vectored write where the body is in
//! memory, in stretches where it is in a file.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use fastcgi::{HEADER_LENGTH, MAX_CONTENT, stdin_header};
use http1::chunk_head;

use super::{Connection, records::REQUEST_ID};
use crate::body::Spool;

pub struct Outgoing {
    /// To be written, in order.
    pieces: VecDeque<Bytes>,
    envelope: Envelope,
    /// The body, as far as it has not been read into `pieces`.
    file: Option<(Rc<Spool>, u64)>,
    pub sent: u64,
}

/// What a body is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    /// Nothing: its length is known.
    Plain,
    /// HTTP's chunks.
    Chunked,
    /// FastCGI's records.
    Stdin,
}

static STDIN_END: [u8; HEADER_LENGTH] = stdin_header(REQUEST_ID, 0);

/// No more than a FastCGI record can carry.
const STRETCH: usize = 32 << 10;
/// More pieces than this go in several writes.
const SLICES: usize = 16;

impl Outgoing {
    pub(super) fn new(head: Bytes, body: Option<&Rc<Spool>>, envelope: Envelope) -> Outgoing {
        let mut pieces = VecDeque::with_capacity(2);
        pieces.push_back(head);
        let mut outgoing = Outgoing { pieces, envelope, file: None, sent: 0 };
        match body.map(|spool| (spool, &**spool)) {
            Some((spool, Spool::File { .. })) => outgoing.file = Some((Rc::clone(spool), 0)),
            Some((_, Spool::Memory(parts))) => {
                for part in parts {
                    outgoing.push(part.clone());
                }
                outgoing.end();
            }
            None => outgoing.end(),
        }
        outgoing
    }

    /// One whose body is sent as it comes: nothing but the head for now.
    pub(super) fn begin(head: Bytes, envelope: Envelope) -> Outgoing {
        Outgoing { pieces: VecDeque::from([head]), envelope, file: None, sent: 0 }
    }

    /// More of the body.
    pub(super) fn push(&mut self, mut piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        match self.envelope {
            Envelope::Plain => self.pieces.push_back(piece),
            Envelope::Chunked => {
                let mut size = Vec::with_capacity(10);
                chunk_head(piece.len(), &mut size);
                self.pieces.extend([size.into(), piece, Bytes::from_static(b"\r\n")]);
            }
            Envelope::Stdin => {
                while !piece.is_empty() {
                    let content = piece.split_to(piece.len().min(MAX_CONTENT));
                    let header = stdin_header(REQUEST_ID, content.len() as u16);
                    self.pieces.extend([Bytes::copy_from_slice(&header), content]);
                }
            }
        }
    }

    /// There is no more of the body.
    pub(super) fn end(&mut self) {
        match self.envelope {
            Envelope::Plain => (),
            Envelope::Chunked => self.pieces.push_back(Bytes::from_static(b"0\r\n\r\n")),
            Envelope::Stdin => self.pieces.push_back(Bytes::from_static(&STDIN_END)),
        }
    }

    /// Sends as much as the peer takes; ready when all is sent.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.pieces.is_empty() && !self.refill()? {
                return Poll::Ready(Ok(()));
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                used += 1;
            }
            let written = ready!(connection.poll_write(context, &slices[..used]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    fn advance(&mut self, mut written: usize) {
        self.sent += written as u64;
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.len() {
                piece.advance(written);
                return;
            }
            written -= piece.len();
            self.pieces.pop_front();
        }
    }

    fn refill(&mut self) -> io::Result<bool> {
        let Some((spool, offset)) = &mut self.file else { return Ok(false) };
        let piece = spool.read_at(*offset, STRETCH)?;
        *offset += piece.len() as u64;
        if piece.is_empty() {
            self.file = None;
            self.end();
        } else {
            self.push(piece);
        }
        Ok(!self.pieces.is_empty())
    }
}
