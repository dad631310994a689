//! Bodies of requests: the connection's task puts in what comes, and a stream takes it out and, in doing
//! so, lets the client send more. What waits here is bounded by the window that was given.

use std::{
    io,
    task::{Context, Poll},
};

use bytes::BytesMut;
use http2::frame;

use super::{Session, Stream, wake};

/// What a body may run ahead of whoever forwards it as it comes, and of whoever wants it whole and
/// takes it at once.
const AHEAD: i64 = 64 << 10;
const FAR_AHEAD: i64 = 1 << 20;

/// What is wrong with a DATA frame.
pub(in super::super) enum DataError {
    /// It is longer than the window, which is this.
    Window(i64),
    Ended,
}

impl Session {
    /// The head of a DATA frame: whether its payload is wanted, or what is wrong with it.
    pub(in super::super) fn expect_data(&self, id: u32, size: u32) -> Result<bool, DataError> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Ok(false);
        };
        if i64::from(size) > stream.receive_window {
            return Err(DataError::Window(stream.receive_window));
        }
        stream.receive_window -= i64::from(size);
        if stream.ended {
            return Err(DataError::Ended);
        }
        Ok(true)
    }

    pub(in super::super) fn data(&self, id: u32, payload: &[u8]) {
        let mut state = self.state.borrow_mut();
        let wanted = |stream: &&mut Stream| !stream.reset && !stream.unwanted;
        if let Some(stream) = state.streams.get_mut(&id).filter(wanted) {
            stream.received.extend_from_slice(payload);
            wake(&mut stream.reader);
        }
    }

    /// The client has said its last on this stream.
    pub(in super::super) fn end_data(&self, id: u32) {
        if let Some(stream) = self.state.borrow_mut().streams.get_mut(&id) {
            stream.ended = true;
            wake(&mut stream.reader);
        }
    }

    /// Moves what has come into `buffer`; 0 is the end, or a stream that was broken off.
    pub(in super::super) fn poll_read(
        &self,
        id: u32,
        context: &Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Poll::Ready(Ok(0));
        };
        if !stream.received.is_empty() {
            let received = stream.received.split();
            let bytes = received.len();
            if buffer.is_empty() {
                *buffer = received;
            } else {
                buffer.extend_from_slice(&received);
            }
            return Poll::Ready(Ok(bytes));
        }
        if stream.ended {
            return Poll::Ready(Ok(0));
        }
        stream.reader = Some(context.waker().clone());
        let wanted = if stream.whole { FAR_AHEAD } else { AHEAD };
        if stream.receive_window < wanted / 2 {
            let more = (wanted - stream.receive_window) as u32;
            stream.receive_window = wanted;
            state.out.last = None;
            frame::window_update(id, more, &mut state.out.bytes);
            state.wake();
        }
        Poll::Pending
    }

    pub(in super::super) fn take_whole(&self, id: u32) {
        if let Some(stream) = self.state.borrow_mut().streams.get_mut(&id) {
            stream.whole = true;
        }
    }

    /// Whether the client has said its last, and all of it was read.
    pub(in super::super) fn has_ended(&self, id: u32) -> bool {
        let state = self.state.borrow();
        let stream = state.streams.get(&id);
        stream.is_some_and(|stream| stream.ended && !stream.reset && stream.received.is_empty())
    }
}
