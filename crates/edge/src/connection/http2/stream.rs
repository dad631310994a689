//! One stream, as the rest of the edge sees it: a socket of which a client's body is read and to
//! which its answer is written. The frames around both are [`Session`]'s.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll},
};

use bytes::BytesMut;

use super::session::Session;
use crate::connection::{Client, Io};

pub struct Stream {
    session: Rc<Session>,
    id: u32,
}

impl Stream {
    pub(super) fn new(session: &Rc<Session>, id: u32) -> Stream {
        Stream { session: Rc::clone(session), id }
    }

    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        self.session.poll_read(self.id, context, buffer)
    }

    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.session.poll_write(self.id, context, parts)
    }

    pub fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        self.session.poll_gone(self.id, context)
    }

    fn has_ended(&self) -> bool {
        self.session.has_ended(self.id)
    }
}

/// What only the client of a stream can do, and every other does without a word.
impl Client {
    fn stream<T>(&self, ask: impl FnOnce(&Stream) -> T) -> Option<T> {
        match &*self.io.borrow() {
            Io::Stream(stream) => Some(ask(stream)),
            _ => None,
        }
    }

    /// Whether the body has come to its end, which a stream can say although the connection goes on.
    pub fn has_ended(&self) -> bool {
        self.stream(Stream::has_ended).unwrap_or(false)
    }

    /// The whole body will be taken as it comes: the client need not wait for it to be used.
    pub fn take_whole(&self) {
        self.stream(|stream| stream.session.take_whole(stream.id));
    }

    /// The head of an answer, or the fields after its body, as a block.
    pub(in crate::connection) fn send_fields(&self, block: &[u8], chunk: usize) -> io::Result<()> {
        let sent = self.stream(|stream| stream.session.fields(stream.id, block, chunk));
        sent.unwrap_or(Ok(()))
    }

    /// The answer has been said to its end.
    pub(in crate::connection) async fn end_answer(&self) -> io::Result<()> {
        let Some((session, id)) = self.stream(|it| (Rc::clone(&it.session), it.id)) else {
            return Ok(());
        };
        session.end(id);
        poll_fn(|context| session.poll_room(id, context)).await
    }
}
