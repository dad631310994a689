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

use super::{Progress, Session, broken_off, wake};

/// What all streams together may have in the outbox, and what each may however many there are.
const OUTBOX: usize = 256 << 10;
const SHARE: usize = 16 << 10;

/// A window would be larger than there can be.
pub(in super::super) struct TooWide;

impl Session {
    /// More may be sent on the connection.
    pub(in super::super) fn widen(&self, by: u32) -> Result<(), TooWide> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.window = wider(state.window, i64::from(by))?;
        state.streams.values_mut().for_each(|stream| wake(&mut stream.writer));
        Ok(())
    }

    /// The same on one stream.
    pub(in super::super) fn widen_stream(&self, id: u32, by: u32) -> Result<(), TooWide> {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(&id) else { return Ok(()) };
        stream.send_window = wider(stream.send_window, i64::from(by))?;
        wake(&mut stream.writer);
        Ok(())
    }

    /// `SETTINGS_INITIAL_WINDOW_SIZE`, which counts for the streams there are, too.
    pub(in super::super) fn resize_windows(&self, size: u32) -> Result<(), TooWide> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let delta = i64::from(size) - state.initial_window;
        state.initial_window = i64::from(size);
        for stream in state.streams.values_mut() {
            stream.send_window = wider(stream.send_window, delta)?;
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

    /// The head of an answer, as a block: the last one, if a body may follow.
    pub(in super::super) fn fields(
        &self,
        id: u32,
        mut block: Vec<u8>,
        is_last: bool,
    ) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if std::mem::take(&mut state.table_changed) {
            let mut whole = Vec::with_capacity(block.len() + 1);
            hpack::forget_table(&mut whole);
            whole.append(&mut block);
            block = whole;
        }
        let stream = state.open_stream(id).ok_or_else(broken_off)?;
        if is_last {
            stream.progress = Progress::Answering;
            stream.received = BytesMut::new();
        }
        let start = state.out.bytes.len();
        frame::headers(id, &block, state.frame_size, &mut state.out.bytes);
        state.out.payload += block.len() as u64;
        state.out.last = is_last.then_some((id, start));
        wake(&mut state.task);
        Ok(())
    }

    /// Frames as much of a body as the windows and the outbox allow.
    pub(in super::super) fn poll_write(
        &self,
        id: u32,
        context: &Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let share = (OUTBOX / state.streams.len().max(1)).max(SHARE);
        let (round, window) = (state.out.round, state.window);
        let Some(stream) = state.open_stream(id) else {
            return Poll::Ready(Err(broken_off()));
        };
        if stream.queued.0 != round {
            stream.queued = (round, 0);
        }
        let room = share.saturating_sub(stream.queued.1);
        let windows = usize::try_from(stream.send_window.min(window)).unwrap_or(0);
        let wanted: usize = pieces.iter().map(|piece| piece.len()).sum();
        let bytes = wanted.min(room).min(windows);
        if bytes == 0 && wanted > 0 {
            stream.writer = Some(context.waker().clone());
            // Whoever asks again and again waits once.
            if room == 0 && !state.out.waiting.contains(&id) {
                state.out.waiting.push(id);
            }
            wake(&mut state.task);
            return Poll::Pending;
        }
        stream.queued.1 += bytes;
        stream.send_window -= bytes as i64;
        state.window -= bytes as i64;
        state.out.payload += bytes as u64;
        let most = state.frame_size;
        state.out.bytes.reserve(bytes + HEAD * bytes.div_ceil(most));
        let mut pieces = pieces.iter().map(|piece| &piece[..]);
        let (mut piece, mut left) = (&[][..], bytes);
        while left > 0 {
            let mut length = left.min(most);
            left -= length;
            state.out.last = Some((id, state.out.bytes.len()));
            let head = FrameHead {
                length: length as u32,
                kind: Kind::Data,
                flags: flags::NONE,
                stream: id,
            };
            head.write(&mut state.out.bytes);
            while length > 0 {
                if piece.is_empty() {
                    piece = pieces.next().expect("no more is framed than there is");
                    continue;
                }
                let (here, rest) = piece.split_at(length.min(piece.len()));
                state.out.bytes.extend_from_slice(here);
                length -= here.len();
                piece = rest;
            }
        }
        wake(&mut state.task);
        Poll::Ready(Ok(bytes))
    }

    /// Marks the last frame as the stream's last, or sends one that says so.
    pub(in super::super) fn end(&self, id: u32) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.open_stream(id) else { return };
        stream.progress = Progress::Answered;
        state.answered += 1;
        match state.out.last.take() {
            Some((last, start)) if last == id => {
                // Length and kind stand before the flags.
                state.out.bytes[start + 4] |= flags::END_STREAM;
            }
            _ => frame::frame(Kind::Data, flags::END_STREAM, id, &[], &mut state.out.bytes),
        }
        wake(&mut state.task);
    }
}

fn wider(window: i64, by: i64) -> Result<i64, TooWide> {
    let wider = window + by;
    if wider > i64::from(MAX_WINDOW) { Err(TooWide) } else { Ok(wider) }
}
