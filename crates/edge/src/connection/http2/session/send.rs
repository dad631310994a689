//! Answers: a stream writes frames into the outbox as far as the windows and its share of the outbox
//! allow, and is woken when there is more room.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use bytes::BytesMut;
use http2::{
    FrameHead, Kind, MAX_WINDOW, flags,
    frame::{self, HEAD},
    hpack,
};

use super::{Outbox, Session, broken_off, wake};

/// What all streams together may have in the outbox, and what each may however many there are.
const OUTBOX: usize = 256 << 10;
const SHARE: usize = 16 << 10;

/// More than this, and even a stream that has said everything waits until it is on its way.
const FULL: usize = 1 << 20;

impl Session {
    /// More may be sent on the connection. `Err`: more than there can be.
    pub(in super::super) fn widen(&self, by: u32) -> Result<(), i64> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if i64::from(by) > i64::from(MAX_WINDOW) - state.window {
            return Err(state.window);
        }
        state.window += i64::from(by);
        state.streams.values_mut().for_each(|stream| wake(&mut stream.writer));
        Ok(())
    }

    /// The same on one stream.
    pub(in super::super) fn widen_stream(&self, id: u32, by: u32) -> Result<(), i64> {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(&id) else { return Ok(()) };
        if i64::from(by) > i64::from(MAX_WINDOW) - stream.send_window {
            return Err(stream.send_window);
        }
        stream.send_window += i64::from(by);
        wake(&mut stream.writer);
        Ok(())
    }

    /// `SETTINGS_INITIAL_WINDOW_SIZE`, which counts for the streams there are, too. `Err`: a window
    /// would be larger than there can be.
    pub(in super::super) fn resize_windows(&self, size: u32) -> Result<(), ()> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let delta = i64::from(size) - state.initial_window;
        state.initial_window = i64::from(size);
        for stream in state.streams.values_mut() {
            stream.send_window += delta;
            if stream.send_window > i64::from(MAX_WINDOW) {
                return Err(());
            }
            wake(&mut stream.writer);
        }
        Ok(())
    }

    pub(in super::super) fn set_frame_size(&self, size: u32) {
        self.state.borrow_mut().frame_size = size as usize;
    }

    pub(in super::super) fn change_table(&self) {
        self.state.borrow_mut().table_changed = true;
    }

    /// A block of fields: the head of an answer, or what follows its body.
    pub(in super::super) fn fields(
        &self,
        id: u32,
        block: &[u8],
        chunk_size: usize,
    ) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let stream = state.streams.get_mut(&id).filter(|stream| !stream.reset);
        let stream = stream.ok_or_else(broken_off)?;
        stream.chunk_size = chunk_size;
        stream.unwanted = true;
        stream.received = BytesMut::new();
        let start = state.out.bytes.len();
        if std::mem::take(&mut state.table_changed) {
            let mut whole = Vec::with_capacity(block.len() + 1);
            hpack::forget_table(&mut whole);
            whole.extend_from_slice(block);
            frame::headers(id, &whole, state.frame_size, &mut state.out.bytes);
        } else {
            frame::headers(id, block, state.frame_size, &mut state.out.bytes);
        }
        state.out.payload += block.len() as u64;
        state.out.last = Some((id, start));
        state.wake();
        Ok(())
    }

    /// Frames as much of a body as the windows and the outbox allow.
    pub(in super::super) fn poll_write(
        &self,
        id: u32,
        context: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let share = (OUTBOX / state.streams.len().max(1)).max(SHARE);
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Poll::Ready(Err(broken_off()));
        };
        if stream.queued.0 != state.out.round {
            stream.queued = (state.out.round, 0);
        }
        let room = share.saturating_sub(stream.queued.1);
        let windows = usize::try_from(stream.send_window.min(state.window)).unwrap_or(0);
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let bytes = wanted.min(room).min(windows);
        if bytes == 0 && wanted > 0 {
            stream.writer = Some(context.waker().clone());
            if room == 0 {
                state.out.wait_for_room(id);
            }
            state.wake();
            return Poll::Pending;
        }
        stream.queued.1 += bytes;
        stream.send_window -= bytes as i64;
        state.window -= bytes as i64;
        state.out.payload += bytes as u64;
        let most = stream.chunk_size.min(state.frame_size);
        state.out.bytes.reserve(bytes + HEAD * bytes.div_ceil(most));
        let mut parts = Parts { rest: parts, part: &[] };
        let mut left = bytes;
        // What follows at once upon what was not offered to the socket yet goes into the same frame.
        if let Some((_, start)) = state.out.last.filter(|(last, _)| *last == id) {
            let more = frame::lengthen(&mut state.out.bytes[start..], most, left);
            parts.take(more, &mut state.out.bytes);
            left -= more;
        }
        while left > 0 {
            let length = left.min(most);
            left -= length;
            state.out.last = Some((id, state.out.bytes.len()));
            let head = FrameHead {
                length: length as u32,
                kind: Kind::Data,
                flags: flags::NONE,
                stream: id,
            };
            head.write(&mut state.out.bytes);
            parts.take(length, &mut state.out.bytes);
        }
        state.wake();
        Poll::Ready(Ok(bytes))
    }

    /// Marks the last frame as the stream's last, or sends one that says so.
    pub(in super::super) fn end(&self, id: u32) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return;
        };
        stream.answered = true;
        match state.out.last.take() {
            Some((last, start)) if last == id => {
                // Length and kind stand before the flags.
                state.out.bytes[start + 4] |= flags::END_STREAM;
            }
            _ => frame::frame(Kind::Data, flags::END_STREAM, id, &[], &mut state.out.bytes),
        }
        state.wake();
    }

    /// Ready when there is room for the answers of others.
    pub(in super::super) fn poll_room(
        &self,
        id: u32,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.out.bytes.len() - state.out.sent < FULL {
            return Poll::Ready(Ok(()));
        }
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Poll::Ready(Err(broken_off()));
        };
        stream.writer = Some(context.waker().clone());
        state.out.wait_for_room(id);
        Poll::Pending
    }
}

impl Outbox {
    /// Whoever asks again and again waits once.
    fn wait_for_room(&mut self, id: u32) {
        if !self.waiting.contains(&id) {
            self.waiting.push(id);
        }
    }
}

/// What is left of several stretches of memory.
struct Parts<'a, 'b> {
    rest: &'a [IoSlice<'b>],
    part: &'a [u8],
}

impl Parts<'_, '_> {
    fn take(&mut self, mut bytes: usize, out: &mut Vec<u8>) {
        while bytes > 0 {
            if self.part.is_empty() {
                let (part, rest) =
                    self.rest.split_first().expect("no more is framed than there is");
                (self.part, self.rest) = (part, rest);
                continue;
            }
            let (here, rest) = self.part.split_at(bytes.min(self.part.len()));
            out.extend_from_slice(here);
            bytes -= here.len();
            self.part = rest;
        }
    }
}
