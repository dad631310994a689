//! The request while it is being sent: head and body in one vectored write where the body is in
//! memory, in stretches of 64 KB where it is in a file.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};

use super::Connection;
use crate::body::Spool;

pub struct Outgoing {
    /// To be written, in order.
    pieces: VecDeque<Bytes>,
    /// The body, as far as it has not been read into `pieces`.
    file: Option<(Rc<Spool>, u64)>,
    pub sent: u64,
}

const STRETCH: usize = 64 << 10;
/// More pieces than this go in several writes.
const SLICES: usize = 16;

impl Outgoing {
    pub fn new(head: Bytes, body: Option<&Rc<Spool>>) -> Outgoing {
        let mut pieces = VecDeque::with_capacity(2);
        pieces.push_back(head);
        let mut file = None;
        match body.map(|spool| (spool, &**spool)) {
            None => (),
            Some((_, Spool::Memory(parts))) => pieces.extend(parts.iter().cloned()),
            Some((spool, Spool::File { .. })) => file = Some((Rc::clone(spool), 0)),
        }
        Outgoing { pieces, file, sent: 0 }
    }

    /// More of a body that is sent as it comes.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
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
        let more = !piece.is_empty();
        self.push(piece);
        Ok(more)
    }
}
