//! Bodies of requests: the connection's task puts in what comes, and a stream takes it out and, in doing
//! so, lets the client send more. What waits here is bounded by the window that was given.

use std::{
    io,
    task::{Context, Poll},
};

use http2::{ErrorCode, frame};
use tokio::io::ReadBuf;

use super::{Progress, Session, wake};

/// What is wrong with a DATA frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum DataError {
    /// It is longer than the window.
    Window,
    Ended,
}

impl Session {
    /// The head of a DATA frame: whether its payload is wanted, or what is wrong with it.
    pub(in super::super) fn expect_data(&self, id: u32, size: u32) -> Result<bool, DataError> {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.open_stream(id) else { return Ok(false) };
        if i64::from(size) > stream.receive_window {
            return Err(DataError::Window);
        }
        stream.receive_window -= i64::from(size);
        if stream.ended {
            return Err(DataError::Ended);
        }
        Ok(stream.progress == Progress::Asked)
    }

    pub(in super::super) fn data(&self, id: u32, payload: &[u8]) {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.open_stream(id) else { return };
        if stream.progress != Progress::Asked {
            return;
        }
        // RFC 9113 §8.1.1: a body that is longer or shorter than it is said to be is none.
        if let Some(announced) = &mut stream.announced {
            let Some(left) = announced.checked_sub(payload.len() as u64) else {
                drop(state);
                return self.reset(id, ErrorCode::ProtocolError);
            };
            *announced = left;
        }
        stream.received.extend_from_slice(payload);
        wake(&mut stream.reader);
    }

    /// The client has said its last on this stream.
    pub(in super::super) fn end_data(&self, id: u32) {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.open_stream(id) else { return };
        if stream.progress == Progress::Asked && stream.announced.is_some_and(|left| left > 0) {
            drop(state);
            return self.reset(id, ErrorCode::ProtocolError);
        }
        stream.ended = true;
        wake(&mut stream.reader);
    }

    /// Moves what has come; nothing is the end, or a stream that was broken off.
    pub(in super::super) fn poll_read(
        &self,
        id: u32,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let wanted = state.initial_receive_window;
        let Some(stream) = state.open_stream(id) else { return Poll::Ready(Ok(())) };
        if !stream.received.is_empty() {
            let taken = stream.received.len().min(buffer.remaining());
            buffer.put_slice(&stream.received.split_to(taken));
            return Poll::Ready(Ok(()));
        }
        if stream.ended {
            return Poll::Ready(Ok(()));
        }
        stream.reader = Some(context.waker().clone());
        if stream.receive_window <= wanted / 2 {
            let more = (wanted - stream.receive_window) as u32;
            stream.receive_window = wanted;
            state.out.last = None;
            frame::window_update(id, more, &mut state.out.bytes);
            wake(&mut state.task);
        }
        Poll::Pending
    }

    /// Whether the client has said its last, and all of it was read.
    pub(in super::super) fn has_ended(&self, id: u32) -> bool {
        let mut state = self.state.borrow_mut();
        state.open_stream(id).is_some_and(|stream| stream.ended && stream.received.is_empty())
    }
}
